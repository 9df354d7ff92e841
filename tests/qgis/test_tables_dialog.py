"""The tables of a result: from what to what and by zone, as it is filtered and reviewed."""

import csv
import shutil

import pytest
from qgis.core import (
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtWidgets import QApplication

from geochg_qgis.i18n import tr
from geochg_qgis.layers.confidence_filter import set_least_confidence
from geochg_qgis.layers.image_identity import ImageIdentity
from geochg_qgis.layers.result_layers import ResultOrigin, open_result


@pytest.fixture
def result(dock, pair, written, tmp_path):
    """A result in the project, whose changes are listed."""
    path = shutil.copy(written / "c.gpkg", tmp_path / "c.gpkg")
    origin = ResultOrigin(*map(ImageIdentity.of, pair), {"model": "cva"})
    layer = open_result(f"{path}|layername=changes", "c", origin)
    QgsProject.instance().addMapLayer(layer)
    dock.changes.show_layer(layer)
    return layer


@pytest.fixture
def zones(qgis_new_project, pair):
    """The western half of the pair and a part of the east, in memory, in another CRS' order."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:4326", "districts", "memory")
    layer.dataProvider().addAttributes([QgsField("district", QVariant.String)])
    layer.updateFields()
    extent = pair[0].extent()
    middle = extent.center().x()
    halves = (
        ("=west", QgsRectangle(extent.xMinimum(), extent.yMinimum(), middle, extent.yMaximum())),
        ("east", QgsRectangle(middle, extent.yMinimum(), middle + 0.01, extent.yMaximum())),
    )
    for name, box in halves:
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name])
        feature.setGeometry(QgsGeometry.fromRect(box))
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def wait(dialog, qtbot, ending="."):
    waiting = ("", tr("Summing up"))
    qtbot.waitUntil(lambda: dialog.status.text() not in waiting, timeout=90_000)


def sums(model, number):
    column = model.columns.index(number)
    return sum(row[column] for row in model.rows)


def test_the_tables_follow_filter_and_review(dock, result, qtbot):
    assert dock.changes.tables.isEnabled()
    dock.changes.tables.click()
    dialog = dock.tables
    wait(dialog, qtbot)
    table = dialog.models[0]
    assert sums(table, "features") == result.featureCount()
    area = sum(feature["area_m2"] for feature in result.getFeatures())
    assert sums(table, "area_m2") == pytest.approx(area, abs=0.1 * table.rowCount())
    assert not dialog.tabs.isTabEnabled(1)
    assert "zone" not in table.columns
    # One is rejected, one relabelled: in the file, as a review does.
    first, second = sorted(feature.id() for feature in result.getFeatures())[:2]
    fields = result.fields()
    review, label = fields.indexFromName("review"), fields.indexFromName("review_class")
    result.dataProvider().changeAttributeValues({first: {review: "rejected"}})
    result.dataProvider().changeAttributeValues({second: {review: "accepted", label: "water"}})
    dialog.sum_up.click()
    wait(dialog, qtbot)
    assert sums(table, "features") == result.featureCount() - 1
    assert "water" in {row[0] for row in table.rows}
    assert "1" in dialog.status.text()
    set_least_confidence(result, 100)
    dialog.sum_up.click()
    wait(dialog, qtbot)
    rejected = {feature["review"] == "rejected" for feature in result.getFeatures()}
    assert sums(table, "features") == result.featureCount() - (True in rejected)
    dialog.reject()


def test_zones_of_a_layer_of_the_project(dock, result, zones, qtbot, tmp_path):
    dialog = dock.open_tables()
    wait(dialog, qtbot)
    assert dialog.zones.currentLayer() is None
    # The result itself is no layer of zones.
    names = [dialog.zones.itemText(row) for row in range(dialog.zones.count())]
    assert [name for name in names if name] == ["districts"]
    dialog.zones.setLayer(zones)
    dialog.names.setField("district")
    qtbot.waitUntil(lambda: dialog.models[1].rowCount() > 0, timeout=90_000)
    wait(dialog, qtbot)
    table = dialog.models[1]
    assert table.columns == ["zone", "class", "change", "count", "area_m2"]
    assert {row[0] for row in table.rows} <= {"=west", "east", ""}
    area = sum(feature["area_m2"] for feature in result.getFeatures())
    assert sums(table, "area_m2") == pytest.approx(area, abs=1 + 0.1 * table.rowCount())
    dialog.tabs.setCurrentIndex(1)
    dialog.copy.click()
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == table.columns
    assert any(line.startswith("'=west\t") for line in lines[1:])
    assert len(lines) == 1 + table.rowCount()
    dialog.save_as(str(tmp_path / "by zone"))
    qtbot.waitUntil(lambda: "by zone.csv" in dialog.status.text(), timeout=90_000)
    rows = list(csv.reader((tmp_path / "by zone.csv").open(encoding="utf-8")))
    assert rows[0] == table.columns
    assert len(rows) == 1 + table.rowCount()
    dialog.reject()


def test_what_cannot_be_summed_up_says_why(dock, result, zones, qtbot):
    dialog = dock.open_tables()
    wait(dialog, qtbot)
    feature = next(zones.getFeatures())
    zones.dataProvider().changeAttributeValues({feature.id(): {0: "east"}})
    dialog.zones.setLayer(zones)
    dialog.names.setField("district")
    qtbot.waitUntil(lambda: "east" in dialog.status.text(), timeout=90_000)
    assert dialog.models[0].rowCount() == 0
    assert not dialog.save.isEnabled()
    dialog.reject()


def test_numbers_sort_as_numbers_and_cells_are_told_in_words(dock):
    from geochg_qgis.panel.sums_model import SumsModel

    model = SumsModel()
    model.set_table(
        {
            "columns": ["zone", "class", "change", "count", "area_m2"],
            "data": [["a", "road", "appeared", 9, 5.0], ["b", None, None, 0, 0.0],
                     ["", "water", "altered", 10, 12_300.0]],
        }
    )  # fmt: skip
    model.sort(3)
    assert [row[3] for row in model.rows] == [0, 9, 10]
    shown = [model.data(model.index(2, column)) for column in range(5)]
    assert shown == [tr("outside all zones"), tr("water"), tr("altered"), "10", "1.23 ha"]
    assert model.data(model.index(0, 1)) == ""
