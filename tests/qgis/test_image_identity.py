"""A result finds its two images by what they are, whatever the ids of their layers."""

import shutil
from pathlib import Path

import pytest
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtWidgets import QFileDialog

from geochg_qgis.layers.image_identity import (
    AFTER,
    BEFORE,
    ImageIdentity,
    ImageMissing,
    source_layer,
    source_pair,
)
from geochg_qgis.layers.result_layers import ResultOrigin, open_result, results_in_project
from geochg_qgis.layers.result_registry import ResultRegistry
from geochg_qgis.panel.message_controller import MessageController


def write_result(path):
    """A GeoPackage as a run writes it, not yet opened by the plugin; the source of its layer."""
    fields = "class:string", "change:string", "area_m2:double", "confidence:double"
    definition = "&".join(f"field={each}" for each in (*fields, "caption:string"))
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32640&{definition}", "changes", "memory")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "changes"
    context = QgsCoordinateTransformContext()
    status = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    assert status[0] == QgsVectorFileWriter.WriterError.NoError, status
    return f"{path}|layername=changes"


@pytest.fixture
def origin(pair):
    return ResultOrigin(*map(ImageIdentity.of, pair), {"model": "cva"})


@pytest.fixture
def result(tmp_path, origin):
    layer = open_result(write_result(tmp_path / "c.gpkg"), "c", origin)
    QgsProject.instance().addMapLayer(layer)
    return layer


def readd(path, name=""):
    layer = QgsRasterLayer(str(path), name or Path(path).stem)
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_an_image_that_was_added_again_is_found(pair, result):
    assert source_pair(result) == tuple(pair)
    path, former = pair[0].source(), pair[0].id()
    QgsProject.instance().removeMapLayer(former)
    assert source_layer(result, BEFORE) is None
    again = readd(path, "another name")
    assert again.id() != former
    assert source_layer(result, BEFORE) is again


def test_a_file_that_was_moved_is_found_by_its_header(pair, result, tmp_path):
    path = Path(pair[0].source())
    QgsProject.instance().removeMapLayer(pair[0].id())
    moved = tmp_path / "elsewhere" / "first.tif"
    moved.parent.mkdir()
    path.rename(moved)
    again = readd(moved)
    assert source_layer(result, BEFORE) is again


def test_of_two_copies_that_of_the_same_date_is_taken(pair, result, tmp_path):
    path = Path(pair[0].source())
    QgsProject.instance().removeMapLayer(pair[0].id())
    for name in ("x_2019.tif", "y_2015.tif"):
        shutil.copy(path, tmp_path / name)
    path.unlink()
    other = readd(tmp_path / "x_2019.tif")
    assert source_layer(result, BEFORE) is None
    same = readd(tmp_path / "y_2015.tif")
    assert source_layer(result, BEFORE) is same
    assert other is not same


def test_another_image_in_the_place_of_the_file_is_not_taken(pair, result, tmp_path):
    path, other = Path(pair[0].source()), pair[1].source()
    QgsProject.instance().removeMapLayer(pair[0].id())
    shutil.copy(other, path)
    readd(path, "of 2018")
    assert source_layer(result, BEFORE) is None


def test_a_result_opened_in_a_new_project_is_recognised_with_its_images(pair, result, tmp_path):
    paths = [layer.source() for layer in pair]
    QgsProject.instance().clear()
    assert not results_in_project()
    images = [readd(path) for path in paths]
    opened = QgsVectorLayer(str(tmp_path / "c.gpkg|layername=changes"), "opened", "ogr")
    QgsProject.instance().addMapLayer(opened)
    assert results_in_project() == [opened]
    assert source_pair(opened) == tuple(images)


def test_a_result_is_noticed_when_the_mark_or_a_style_arrives(pair, origin, tmp_path, qtbot):
    source = write_result(tmp_path / "plain.gpkg")
    layer = QgsVectorLayer(source, "plain", "ogr")
    QgsProject.instance().addMapLayer(layer)
    registry = ResultRegistry()
    with qtbot.waitSignal(registry.changed):
        origin.mark(layer)
    assert results_in_project() == [layer]
    style = str(tmp_path / "style.qml")
    layer.saveNamedStyle(style)
    other = QgsVectorLayer(write_result(tmp_path / "other.gpkg"), "other", "ogr")
    QgsProject.instance().addMapLayer(other)
    with qtbot.waitSignal(registry.changed):
        other.loadNamedStyle(style)
    assert set(results_in_project()) == {layer, other}


@pytest.mark.parametrize(("year", "is_same"), [(2015, True), (2018, False)])
def test_a_missing_image_is_found_by_the_user(
    pair, result, tmp_path, qgis_iface, monkeypatch, year, is_same
):
    QgsProject.instance().removeMapLayer(pair[0].id())
    chosen = Path(shutil.copy(tmp_path / f"dubai_{year}.tif", tmp_path / "chosen.tif"))
    with pytest.raises(ImageMissing) as caught:
        source_pair(result)
    assert caught.value.role == BEFORE
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(chosen), ""))
    messages = MessageController(qgis_iface, lambda: None, lambda _: None)
    warnings = []
    monkeypatch.setattr(messages, "show_warning", warnings.append)
    buttons = {}
    monkeypatch.setattr(
        messages, "_add_button", lambda _, text, tip, action: buttons.setdefault(text, action)
    )
    messages.show_error(caught.value)
    buttons["Find it…"]()
    assert source_pair(result)[0].source() == str(chosen)
    assert bool(warnings) is not is_same
    assert source_layer(result, AFTER) is pair[1]
