"""The style that a layer's file is opened with is saved, and saved anew, without a question."""

import pytest
from qgis.core import QgsCoordinateTransformContext, QgsVectorFileWriter, QgsVectorLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QMessageBox

from geochg_qgis.layers.default_style import save_default_style

LAYER = "changes"


@pytest.fixture
def questions(qgis_app):
    """Texts of windows that wait for an answer, which are closed."""
    texts = []

    def close():
        for window in QApplication.topLevelWidgets():
            if isinstance(window, QMessageBox) and window.isVisible():
                texts.append(window.text())
                window.reject()

    timer = QTimer()
    timer.timeout.connect(close)
    timer.start(50)
    yield texts
    timer.stop()


def written(path, driver):
    source = QgsVectorLayer("Polygon?crs=EPSG:3857&field=kind:string", "m", "memory")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = driver, LAYER
    context = QgsCoordinateTransformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(source, str(path), context, options)


def opened(path):
    name = f"|layername={LAYER}" if path.suffix == ".gpkg" else ""
    layer = QgsVectorLayer(f"{path}{name}", "c", "ogr")
    assert layer.isValid()
    return layer


def save(path, expression, mark=""):
    layer = opened(path)
    layer.setDisplayExpression(expression)
    save_default_style(layer, mark)


def test_the_style_of_a_layer_that_was_replaced_gives_way(questions, tmp_path):
    path = tmp_path / "c.gpkg"
    written(path, "GPKG")
    opened(path).saveStyleToDatabase("mine", "", False, "")
    for expression in ("'first'", "'second'"):
        save(path, expression)
        assert opened(path).displayExpression() == expression
    assert questions == []
    assert sorted(opened(path).listStylesInDatabase()[2]) == ["geochg", "mine"]


def test_a_style_beside_a_file_is_replaced_where_it_has_the_mark(tmp_path, qgis_app):
    path = tmp_path / "c.geojson"
    written(path, "GeoJSON")
    save(path, "'first'")
    save(path, "'other'")
    save(path, "'other'", "no such words")
    assert opened(path).displayExpression() == "'first'"
    save(path, "'second'", "first")
    assert opened(path).displayExpression() == "'second'"
