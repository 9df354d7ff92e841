"""The list follows its result, whoever filters, edits or deletes; the slider is the filter."""

import subprocess
import sys

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from geochg_qgis.layers.confidence_filter import ConfidenceFilter, confidence_filter
from geochg_qgis.layers.result_layers import RESULT

COUNT = 10
WAIT_MS = 5000


@pytest.fixture
def path(tmp_path, qgis_app):
    """A GeoPackage of ten changes, from 0 to 90 % sure, every other a road."""
    fields = "class:string", "change:string", "area_m2:double", "confidence:double"
    definition = "&".join(f"field={each}" for each in (*fields, "caption:string", "review:string"))
    made = QgsVectorLayer(f"Polygon?crs=EPSG:32640&{definition}", "made", "memory")
    features = []
    for number in range(COUNT):
        feature = QgsFeature(made.fields())
        name = "road" if number % 2 else "water"
        feature.setAttributes([name, "appeared", 10.0, number / COUNT, f"caption {number}", None])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(number, 0, number + 1, 1)))
        features.append(feature)
    made.dataProvider().addFeatures(features)
    path = tmp_path / "changes.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "changes"
    outcome = QgsVectorFileWriter.writeAsVectorFormatV3(
        made, str(path), QgsProject.instance().transformContext(), options
    )
    assert outcome[0] == QgsVectorFileWriter.WriterError.NoError
    return path


@pytest.fixture
def layer(path, qgis_new_project):
    layer = QgsVectorLayer(f"{path}|layername=changes", "changes", "ogr")
    assert layer.featureCount() == COUNT
    layer.setCustomProperty(RESULT, True)
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def errors():
    return []


@pytest.fixture
def changes(qgis_iface, layer, errors, qtbot):
    from geochg_qgis.panel.change_list_widget import ChangeListWidget

    changes = ChangeListWidget(qgis_iface, errors.append)
    changes.resize(400, 600)
    changes.show()
    qtbot.waitUntil(lambda: changes.model.rowCount() == COUNT, timeout=WAIT_MS)
    yield changes
    changes.close_down()
    changes.deleteLater()


def shows(qtbot, changes, count):
    qtbot.waitUntil(lambda: changes.model.rowCount() == count, timeout=WAIT_MS)


def elsewhere(path, sql):
    """Has another process write to the file."""
    code = (
        "from osgeo import ogr; import sys; d = ogr.Open(sys.argv[1], 1);"
        "d.ExecuteSQL(sys.argv[2]); d = None"
    )
    subprocess.run([sys.executable, "-c", code, str(path), sql], check=True)


@pytest.mark.parametrize(
    ("text", "own", "percent"),
    [
        ("", "", 0),
        ('("confidence" >= 0.60 OR "confidence" IS NULL)', "", 60),
        ('(a) AND ("confidence" >= 0.60 OR "confidence" IS NULL)', "a", 60),
        # As it was before confidence could be missing.
        ('"confidence" >= 0.60', "", 60),
        ('"confidence" >= 1.00', "", 100),
        ('("class" = \'road\') AND "confidence" >= 0.05', "\"class\" = 'road'", 5),
        ('(a or (b)) AND "confidence" >= 0.50', "a or (b)", 50),
        ('("class" = \')\') AND "confidence" >= 0.50', "\"class\" = ')'", 50),
        ("(\"class\" = 'it''s (') AND \"confidence\" >= 0.50", "\"class\" = 'it''s ('", 50),
        # Not ours: what the term is joined to is not one whole.
        ('a OR b AND "confidence" >= 0.50', None, 0),
        ('(a) OR (b) AND "confidence" >= 0.50', None, 0),
        ('(a) AND (b) AND "confidence" >= 0.50', None, 0),
        ('"confidence" >= 0.555', None, 0),
        ('"confidence" > 0.5', None, 0),
        ('"confidence" >= 0.5 OR "class" = \'road\'', None, 0),
        ('"confidence" >= 1.5', None, 0),
    ],
)
def test_filters_are_taken_apart_and_put_together(qgis_app, text, own, percent):
    found = confidence_filter(text)
    assert found == ConfidenceFilter(text if own is None else own, percent)
    # Whatever it was, nothing of it is lost, and it is found again.
    again = found._replace(percent=70).text()
    assert confidence_filter(again) == ConfidenceFilter(found.user_filter, 70)
    assert found._replace(percent=0).text() == found.user_filter


def test_the_slider_is_as_it_was_when_the_project_is_opened_again(
    changes, layer, qtbot, tmp_path, errors
):
    changes.confidence.slider.setValue(55)
    shows(qtbot, changes, 4)
    # The layer's filter follows the list.
    qtbot.waitUntil(lambda: layer.featureCount() == 4, timeout=WAIT_MS)
    project = QgsProject.instance()
    project.write(str(tmp_path / "p.qgz"))
    project.clear()
    assert changes.confidence.slider.value() == 0
    project.read(str(tmp_path / "p.qgz"))
    shows(qtbot, changes, 4)
    assert changes.confidence.slider.value() == 55
    assert changes.confidence.least.text() == "55 %"
    changes.confidence.slider.setValue(0)
    shows(qtbot, changes, COUNT)
    assert errors == []


def test_a_filter_of_the_users_stays_and_is_named(changes, layer, qtbot, errors):
    own = "\"class\" = 'road'"
    layer.setSubsetString(own)
    shows(qtbot, changes, 5)
    assert own in changes.count.text()
    changes.confidence.slider.setValue(60)
    shows(qtbot, changes, 2)
    qtbot.waitUntil(lambda: layer.featureCount() == 2, timeout=WAIT_MS)
    assert {feature["class"] for feature in layer.getFeatures()} == {"road"}
    assert min(feature["confidence"] for feature in layer.getFeatures()) == 0.7
    changes.confidence.slider.setValue(0)
    shows(qtbot, changes, 5)
    qtbot.waitUntil(lambda: layer.subsetString() == own, timeout=WAIT_MS)
    assert errors == []


def test_the_slider_and_the_list_follow_a_filter_set_elsewhere(changes, layer, qtbot):
    layer.setSubsetString('"confidence" >= 0.80')
    shows(qtbot, changes, 2)
    assert changes.confidence.slider.value() == 80
    layer.setSubsetString("")
    shows(qtbot, changes, COUNT)
    assert changes.confidence.slider.value() == 0


def test_a_query_is_not_added_to(changes, layer, qtbot, errors):
    query = "SELECT * FROM changes WHERE \"class\" = 'road'"
    assert layer.setSubsetString(query)
    shows(qtbot, changes, 5)
    changes.confidence.slider.setValue(60)
    qtbot.waitUntil(lambda: bool(errors), timeout=WAIT_MS)
    assert "query" in errors[0].message
    assert errors[0].hint
    assert layer.subsetString() == query
    assert changes.confidence.slider.value() == 0


def test_while_it_is_edited_the_slider_goes_back(changes, layer, qtbot, errors):
    layer.startEditing()
    changes.confidence.slider.setValue(60)
    qtbot.waitUntil(lambda: bool(errors), timeout=WAIT_MS)
    assert "edited" in errors[0].message
    assert changes.confidence.slider.value() == 0
    assert changes.model.rowCount() == COUNT
    layer.rollBack()


def test_deleted_in_the_attribute_table_they_leave_the_list(changes, layer, qtbot):
    first = changes.model.at(0).feature
    layer.startEditing()
    layer.deleteFeature(first)
    shows(qtbot, changes, COUNT - 1)
    assert changes.model.row_of(first) == -1
    layer.rollBack()
    shows(qtbot, changes, COUNT)
    layer.startEditing()
    layer.deleteFeatures([first, changes.model.at(1).feature])
    layer.commitChanges()
    shows(qtbot, changes, COUNT - 2)
    assert f"{COUNT - 2} of {COUNT - 2}" in changes.count.text()


def test_written_by_another_program_they_are_read_again(changes, layer, qtbot, path):
    last = changes.model.at(COUNT - 1).feature
    layer.selectByIds([last])
    elsewhere(path, f"DELETE FROM changes WHERE fid != {last}")
    shows(qtbot, changes, 1)
    assert changes.selected_features() == [last]
    elsewhere(path, "UPDATE changes SET caption = 'other words'")
    qtbot.waitUntil(lambda: changes.model.at(0).caption == "other words", timeout=WAIT_MS)
    assert changes.detail.caption.text() == "other words"


def test_reading_is_no_reason_to_read_again(changes, layer, qtbot):
    qtbot.wait(1500)
    read = []
    changes.reader.done.connect(lambda _: read.append(1))
    changes.read_records()
    qtbot.wait(2000)
    assert len(read) == 1


def test_one_deleted_unseen_is_dropped_when_it_is_clicked(changes, layer, qtbot, path):
    changes._watcher.changed.disconnect()
    gone = changes.model.at(3).feature
    elsewhere(path, f"DELETE FROM changes WHERE fid = {gone}")
    where = changes.table.visualRect(changes.model.index(3, 0)).center()
    QTest.mouseClick(changes.table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.waitUntil(lambda: changes.model.row_of(gone) == -1, timeout=WAIT_MS)
    assert changes.model.rowCount() == COUNT - 1


def test_the_order_and_the_filter_hold_when_it_is_read_again(changes, layer, qtbot):
    changes.table.sortByColumn(3, Qt.SortOrder.AscendingOrder)
    changes.filter.setText("ROAD")
    assert [changes.model.at(row).confidence for row in range(5)] == [0.1, 0.3, 0.5, 0.7, 0.9]
    layer.startEditing()
    layer.deleteFeature(changes.model.at(1).feature)
    shows(qtbot, changes, 4)
    assert [changes.model.at(row).confidence for row in range(4)] == [0.1, 0.5, 0.7, 0.9]
    changes.filter.setText("caption 7")
    assert [changes.model.at(row).caption for row in range(1)] == ["caption 7"]
    layer.rollBack()
