"""A layer of polygons against an image: from the panel, and as an algorithm."""

import pytest
from osgeo import gdal
from processing_models import context_of_project
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from geochg_qgis.layers.polygon_source import polygon_source
from geochg_qgis.layers.verdict_layers import VERDICTS, verdict_summary

NAMES = ["=a", "b", "c", "d"]
ANSWER = {
    "geochg": {
        "shift_m": 1.25,
        "check": {
            "class": "building",
            "counts": {"present": 1200, "gone": 3, "cannot tell": 0, "missing": 7},
        },
    }
}


@pytest.fixture
def image(pair, tmp_path):
    """A part of the later image, in the project."""
    path = str(tmp_path / "part.tif")
    gdal.Translate(path, pair[1].source(), srcWin=[200, 300, 256, 256])
    layer = QgsRasterLayer(path, "part")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def layer(image):
    """Four squares on the image, in memory."""
    crs = image.crs()
    definition = "field=fid:string&field=name:string&field=size:integer"
    layer = QgsVectorLayer(f"Polygon?crs={crs.authid()}&{definition}", "my parcels", "memory")
    extent = image.extent()
    side = 0.1 * extent.width()
    for number, name in enumerate(NAMES):
        feature = QgsFeature(layer.fields())
        feature.setAttributes(["same", name, number])
        x = extent.xMinimum() + 0.2 * (number + 0.5) * extent.width()
        box = QgsRectangle(x, extent.center().y(), x + side, extent.center().y() + side)
        feature.setGeometry(QgsGeometry.fromRect(box))
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def saved(layer, path):
    """The layer in a GeoPackage of several layers."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName, options.layerOptions = "parcels", ["FID=key"]
    context = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    copy = QgsVectorLayer(f"{path}|layername=parcels", "parcels", "ogr")
    assert copy.isValid()
    return copy


def read(text):
    layer = QgsVectorLayer(text, "read", "ogr")
    assert layer.isValid()
    return layer


def test_a_layer_is_checked_from_the_panel(dock, layer, image, pair, qtbot, tmp_path):
    before = dock.pair.before
    chosen = before.currentLayer()
    row = before.findText("A layer of polygons…")
    assert row == before.count() - 1
    before.setCurrentIndex(row)
    before.activated.emit(row)
    assert before.currentLayer() == chosen
    dialog = dock.checks.dialog
    assert dialog.isVisible()
    assert (dialog.polygons.currentLayer(), dialog.image.currentLayer()) == (layer, pair[1])
    assert "water" in [dialog.class_name.itemText(n) for n in range(dialog.class_name.count())]
    assert dialog.before.currentLayer() is None
    dialog.image.setLayer(image)
    dialog.class_name.setCurrentText("water")
    path = tmp_path / "v.gpkg"
    dialog.output.setFilePath(str(path))
    for field in dialog.fields:
        if field.option.name == "most_shift_m":
            field.set_value(0.0)
    with qtbot.waitSignal(dialog.checked, timeout=90_000) as signal:
        dialog.go.click()
        assert not dialog.go.isEnabled()
    verdicts, text, notices = signal.args
    assert verdicts.id() in QgsProject.instance().mapLayers()
    assert not dialog.isVisible()
    assert "my parcels" in notices[0]
    rows = list(verdicts.getFeatures())
    assert [row["name"] for row in rows[: len(NAMES)]] == NAMES
    assert [row["fid"] for row in rows[: len(NAMES)]] == ["same"] * len(NAMES)
    assert {row["verdict"] for row in rows} <= set(VERDICTS)
    assert {row["verdict"] for row in rows[len(NAMES) :]} <= {"missing"}
    assert "Water" in text
    categories = [category.value() for category in verdicts.renderer().categories()]
    assert categories == list(VERDICTS)
    # The style is in the file, for whoever opens it later.
    again = read(f"{path}|layername=verdict")
    assert again.renderer().type() == "categorizedSymbol"
    dialog.open_for(None)
    dialog.output.setFilePath(str(path))
    dialog.ask()
    assert "is there already" in dialog.status.text()


def test_what_cannot_be_checked_says_why_in_the_dialog(dock, layer, qtbot, tmp_path):
    dialog = dock.checks.open()
    dialog.output.setFilePath(str(tmp_path / "v.gpkg"))
    dialog.before.setLayer(dialog.image.currentLayer())
    dialog.ask()
    assert "the same image" in dialog.status.text()
    dialog.before.setLayer(None)
    layer.setCrs(QgsCoordinateReferenceSystem())
    dialog.ask()
    assert "has no CRS" in dialog.status.text()
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32721"))
    dialog.ask()
    qtbot.waitUntil(lambda: "lies on the image" in dialog.status.text(), timeout=90_000)
    assert dialog.go.isEnabled()
    assert not (tmp_path / "v.gpkg").exists()
    QgsProject.instance().removeMapLayer(layer)
    assert not dialog.go.isEnabled()


def test_the_algorithm_writes_verdicts_and_counts_them(provider, pair, image, layer, tmp_path):
    import processing

    source = saved(layer, tmp_path / "p.gpkg")
    source.setSubsetString('"size" > 0')
    asked = {
        "LAYER": source, "IMAGE": image, "BEFORE": pair[0], "CLASS": "water",
        "MISSING": False, "OUTPUT": str(tmp_path / "v.geojson"),
    }  # fmt: skip
    feedback = QgsProcessingFeedback()
    found = processing.run("geochg:check", asked, context=context_of_project(), feedback=feedback)
    rows = list(read(found["OUTPUT"]).getFeatures())
    assert [row["name"] for row in rows] == NAMES[1:]
    assert found["PRESENT"] + found["GONE"] + found["UNTOLD"] == len(NAMES) - 1
    assert found["MISSING_COUNT"] == 0
    assert "as it is filtered" in feedback.textLog()
    assert (tmp_path / "v.qml").exists()
    with pytest.raises(QgsProcessingException, match="class"):
        processing.run("geochg:check", {**asked, "CLASS": "unicorn"}, context=context_of_project())


def test_unsaved_edits_and_filters_are_taken(layer, tmp_path):
    source = saved(layer, tmp_path / "p.gpkg")
    assert polygon_source(source).text == f"{tmp_path / 'p.gpkg'}|layername=parcels"
    source.startEditing()
    first = next(source.getFeatures())
    source.changeAttributeValue(first.id(), source.fields().indexFromName("name"), "new")
    edited = polygon_source(source)
    assert "unsaved edits" in edited.notice
    rows = list(read(edited.worker_parameter(bool)).getFeatures())
    assert [row["name"] for row in rows] == ["new", *NAMES[1:]]
    assert "key" not in {field.name() for field in rows[0].fields()}
    source.rollBack()
    in_memory = polygon_source(layer)
    rows = list(read(in_memory.worker_parameter(bool)).getFeatures())
    assert [row["fid"] for row in rows] == ["same"] * len(NAMES)
    assert [row["size"] for row in rows] == [0, 1, 2, 3]


def test_the_summary_has_counts_and_shift():
    text = verdict_summary(ANSWER)
    assert text.startswith("Building: 1")
    for part in ("3 gone", "0 cannot tell", "7 missing"):
        assert part in text
    unmeasured = {"geochg": {**ANSWER["geochg"], "shift_m": None}}
    assert "could not be measured" in verdict_summary(unmeasured)
