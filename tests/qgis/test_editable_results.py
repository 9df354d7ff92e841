"""Results that lack the fields of a review, or cannot be edited: reviewed, or told and copied."""

import shutil

import pytest
from qgis.core import QgsFeedback, QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QPushButton

from geochg_qgis.layers.editable_results import ResultCopy
from geochg_qgis.layers.image_identity import ImageIdentity, source_pair
from geochg_qgis.layers.result_fields import REVIEW, REVIEW_CLASS, REVIEW_FIELDS
from geochg_qgis.layers.result_layers import ResultOrigin, open_result, results_in_project
from geochg_qgis.layers.review_edits import FeatureState, ReviewEdit
from geochg_qgis.link.errors import LinkError

WAIT_MS = 20_000


@pytest.fixture
def result(dock, pair, written, tmp_path, qtbot, request):
    """A result of a format in the project and the list, in a file of its own."""
    path = shutil.copy(written / f"c.{request.param}", tmp_path)
    layer = QgsVectorLayer(path, "c", "ogr")
    ResultOrigin(*map(ImageIdentity.of, pair), {"model": "cva"}).mark(layer)
    QgsProject.instance().addMapLayer(layer)
    dock.changes.show_layer(layer)
    qtbot.waitUntil(lambda: dock.changes.model.rowCount() == layer.featureCount(), timeout=WAIT_MS)
    return layer


@pytest.fixture
def errors(dock, monkeypatch):
    """The errors that are shown, and what their buttons do."""
    told, buttons = [], {}
    show = dock.messages.show_error
    monkeypatch.setattr(
        dock.messages, "_add_button", lambda _, text, __, action: buttons.__setitem__(text, action)
    )

    def show_error(error):
        told.append(error)
        show(error)

    for widget in (dock.changes, dock.changes.shapes):
        monkeypatch.setattr(widget, "_show_error", show_error)
    return told, buttons


def states(layer, *fields):
    return [tuple(feature[field] or "" for field in fields) for feature in layer.getFeatures()]


@pytest.mark.parametrize("result", ["gpkg", "geojson"], indirect=True)
def test_a_review_is_kept_where_the_fields_were_missing(dock, result, errors):
    assert not set(REVIEW_FIELDS) & set(result.fields().names())
    first, second, third = (dock.changes.model.at(row).feature for row in range(3))
    for feature, decide in (
        (first, lambda: dock.changes.decide("accepted")),
        (second, lambda: dock.changes.relabel("water")),
        (third, lambda: dock.changes.decide("rejected")),
    ):
        dock.changes.choose([feature])
        decide()
    assert errors[0] == []
    path, count = result.source(), result.featureCount()
    column = result.fields().indexFromName(REVIEW)
    assert result.editorWidgetSetup(column).type() == "ValueMap"
    QgsProject.instance().removeMapLayer(result.id())
    again = QgsVectorLayer(path, "again", "ogr")
    assert set(REVIEW_FIELDS) <= set(again.fields().names())
    kept = {f.id(): (f[REVIEW], f[REVIEW_CLASS] or None) for f in again.getFeatures()}
    assert len(kept) == count
    assert [kept[feature] for feature in (first, second, third)] == [
        ("accepted", None),
        ("accepted", "water"),
        ("rejected", None),
    ]


def test_a_geojson_has_the_fields_as_soon_as_it_is_opened_as_a_result(pair, written, tmp_path):
    path = shutil.copy(written / "c.geojson", tmp_path)
    open_result(path, "c", ResultOrigin(*map(ImageIdentity.of, pair), {}))
    again = QgsVectorLayer(path, "again", "ogr")
    assert set(REVIEW_FIELDS) <= set(again.fields().names())
    assert set(states(again, REVIEW)) == {("",)}


@pytest.mark.parametrize("result", ["fgb"], indirect=True)
def test_what_cannot_be_edited_is_told_and_its_copy_is_reviewed(dock, result, errors, qtbot, pair):
    told, buttons = errors
    path, count = result.source(), result.featureCount()
    with open(path, "rb") as file:
        content = file.read()
    dock.changes.confidence.slider.setValue(1)
    dock.changes.choose([dock.changes.model.at(0).feature])
    chosen = dock.changes.model.at(0).caption
    dock.changes.decide("accepted")
    assert "FlatGeobuf" in told[0].message
    assert "GeoPackage" in told[0].hint
    with open(path, "rb") as file:
        assert file.read() == content
    with qtbot.waitSignal(dock.copier.done, timeout=WAIT_MS):
        buttons["Review a copy"]()
    copy = dock.changes.layer
    assert copy is not result
    assert copy.dataProvider().storageType() == "GPKG"
    assert copy.featureCount() == count
    assert source_pair(copy) == tuple(pair)
    assert set(results_in_project()) == {result, copy}
    qtbot.waitUntil(lambda: dock.changes.model.rowCount() == count, timeout=WAIT_MS)
    rows = [row for row in range(count) if dock.changes.model.at(row).caption == chosen]
    dock.changes.choose([dock.changes.model.at(rows[0]).feature])
    dock.changes.decide("accepted")
    accepted = [feature for feature in copy.getFeatures() if feature[REVIEW] == "accepted"]
    assert [feature["caption"] for feature in accepted] == [chosen]
    # As it is when the file is opened in another project.
    QgsProject.instance().removeMapLayer(copy.id())
    again = QgsVectorLayer(f"{path[:-4]}_review.gpkg", "again", "ogr")
    assert again.isValid()
    assert again.customProperty("geochg/result")


@pytest.mark.parametrize("result", ["fgb"], indirect=True)
def test_nothing_is_left_of_a_copy_that_is_abandoned(result, tmp_path):
    files = set(tmp_path.iterdir())
    feedback = QgsFeedback()
    feedback.cancel()
    with pytest.raises(LinkError):
        ResultCopy(result, []).write(feedback)
    assert set(tmp_path.iterdir()) == files


@pytest.mark.parametrize("result", ["fgb"], indirect=True)
def test_the_button_of_the_message_copies_and_closes_it(dock, result, qtbot, qgis_iface):
    dock.changes.choose([dock.changes.model.at(0).feature])
    dock.changes.decide("accepted")
    bar = qgis_iface.messageBar()
    button = next(
        each
        for each in bar.currentItem().findChildren(QPushButton)
        if each.text() == "Review a copy"
    )
    with qtbot.waitSignal(dock.copier.done, timeout=WAIT_MS):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert dock.changes.layer is not result


@pytest.mark.parametrize("result", ["gpkg"], indirect=True)
def test_the_cutouts_go_and_come_with_the_images(dock, result, pair):
    dock.changes.choose([dock.changes.model.at(0).feature])
    cutouts = dock.changes.detail.cutouts
    assert not cutouts.isHidden()
    path = pair[0].source()
    QgsProject.instance().removeMapLayer(pair[0].id())
    assert cutouts.isHidden()
    QgsProject.instance().addMapLayer(QgsRasterLayer(path, "again"))
    assert not cutouts.isHidden()


@pytest.mark.parametrize("result", ["geojson", "fgb"], indirect=True)
def test_no_shapes_are_drawn_where_that_would_renumber_the_changes(dock, result, errors):
    told, buttons = errors
    count = result.featureCount()
    dock.changes.shapes.draw()
    assert not dock.changes.shapes.tool.isActive()
    assert told[0].result_id == result.id()
    dock.changes.choose([dock.changes.model.at(0).feature])
    dock.changes.shapes.cut(dock.changes.selected_features())
    assert not dock.changes.shapes.tool.isActive()
    box = QgsGeometry.fromRect(result.extent())
    dock.changes.review.make(ReviewEdit({-1: None}, {-1: FeatureState({}, box)}))
    assert [error.result_id for error in told] == [result.id()] * 3
    assert result.featureCount() == count
    assert "Review a copy" in buttons
