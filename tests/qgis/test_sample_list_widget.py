"""A sample is judged in the panel: by keys, blind, and written so that geochg assesses it."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis_worker import WORKER_PYTHON

from geochg_qgis.i18n import tr
from geochg_qgis.layers.heatmaps import heatmap_of, heatmaps_in_project
from geochg_qgis.layers.image_identity import ImageIdentity
from geochg_qgis.layers.result_layers import ResultOrigin, open_result
from geochg_qgis.layers.sample_fields import is_judgement
from geochg_qgis.layers.sample_layers import SAMPLE, SampleOrigin, samples_in_project

SAMPLES_TAB = 2
UNITS = 60
DRAW = f"""
import sys
from pathlib import Path
from geochg.accuracy.options import SampleOptions
from geochg.accuracy.sample import draw_sample
for suffix in (".gpkg", ".geojson", ".fgb"):
    draw_sample(sys.argv[1], Path(sys.argv[2] + suffix), SampleOptions(units={UNITS}))
"""


@pytest.fixture(scope="module")
def drawn(written, tmp_path_factory):
    """Samples of the result as geochg draws them, of each format, in one process."""
    folder = tmp_path_factory.mktemp("drawn")
    command = [str(WORKER_PYTHON), "-c", DRAW, str(written / "c.gpkg"), str(folder / "s")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def result(dock, pair, written, tmp_path):
    path = shutil.copy(written / "c.gpkg", tmp_path / "c.gpkg")
    origin = ResultOrigin(*map(ImageIdentity.of, pair), {"model": "cva"})
    layer = open_result(f"{path}|layername=changes", "c", origin)
    QgsProject.instance().addMapLayer(layer)
    return layer


def add_sample(dock, drawn, folder, suffix="gpkg"):
    path = shutil.copy(drawn / f"s.{suffix}", folder / f"s.{suffix}")
    layer = QgsVectorLayer(str(path), "s", "ogr")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def sample(dock, drawn, result, tmp_path):
    layer = add_sample(dock, drawn, tmp_path)
    dock.tabs.setCurrentIndex(SAMPLES_TAB)
    return layer


def values(layer):
    names = ("reference_class", "reference_change")
    return {
        feature["id"]: tuple(str(feature[name] or "") for name in names)
        for feature in layer.getFeatures()
    }


def press(dock, key, modifier=Qt.KeyboardModifier.NoModifier):
    """Triggers what a key stands for: without a window manager no shortcut arrives."""
    sequence = f"Shift+{key}" if modifier == Qt.KeyboardModifier.ShiftModifier else key
    (action,) = (a for a in dock.samples.actions() if a.shortcut().toString() == sequence)
    action.trigger()


def test_a_sample_of_the_project_is_known_and_listed(dock, sample):
    samples = dock.samples
    assert samples.layer is sample
    assert samples_in_project() == [sample]
    assert sample.customProperty(SAMPLE)
    # No result, in which changes would be listed.
    assert sample.id() != dock.changes.layer.id()
    assert samples.count.text() == tr("{0} of {1} judged").format(0, UNITS)
    assert samples.model.rowCount() == UNITS
    origin = SampleOrigin.of_layer(sample)
    assert origin.layer == "c.gpkg"
    assert origin.classes
    offered = [samples.classes.itemData(row) for row in range(samples.classes.count())]
    assert offered[1 : len(origin.classes) + 1] == origin.classes
    assert "building" in offered


def test_units_are_judged_by_keys_undone_and_redone(dock, sample, qtbot):
    samples = dock.samples
    press(dock, "N")
    assert samples.selected_features() == [samples.model.at(0).feature]
    press(dock, "0")
    press(dock, "2")
    name = samples.classes.currentData()
    press(dock, "A")
    assert samples.classes.currentIndex() == 0
    judged = values(sample)
    assert judged[1] == ("", "unchanged")
    assert judged[2] == (name, "appeared")
    assert samples.count.text() == tr("{0} of {1} judged").format(2, UNITS)
    assert samples.model.at(samples.table.selected_rows()[0]).number == 3
    # A direction without a class asks for one, which decides.
    press(dock, "D")
    menu = samples.commands.classes
    assert menu.isVisible()
    menu.actions()[0].trigger()
    menu.close()
    assert values(sample)[3][1] == "disappeared"
    press(dock, "U")
    assert values(sample)[3] == ("", "")
    press(dock, "U", Qt.KeyboardModifier.ShiftModifier)
    assert values(sample)[3][1] == "disappeared"
    samples.states.setCurrentIndex(1)
    assert samples.model.rowCount() == UNITS - 3
    samples.states.setCurrentIndex(2)
    assert samples.model.rowCount() == 3
    samples.states.setCurrentIndex(0)
    samples.choose([samples.model.at(0).feature])
    press(dock, "C")
    assert values(sample)[1] == ("", "")
    press(dock, "N")
    assert samples.model.at(samples.table.selected_rows()[0]).number == 4
    # No field of a review has come into the sample.
    assert {f.name() for f in sample.fields()} == {
        "fid", "id", "reference_class", "reference_change", "note",
    }  # fmt: skip


def test_cutouts_show_what_is_around_the_footprint(dock, sample, qtbot):
    samples = dock.samples
    samples.choose([samples.model.at(0).feature])
    assert samples.cutouts.isVisible()
    qtbot.waitUntil(
        lambda: not any(r.image.isNull() for r in samples.cutouts.renderers), timeout=20_000
    )
    (feature,) = sample.selectedFeatures()
    footprint = feature.geometry().boundingBox()
    extent = samples.cutouts._cutout.extent
    assert extent.contains(footprint)
    assert extent.width() > 8 * footprint.width()
    press(dock, "-")
    assert samples.cutouts._cutout.extent.width() == pytest.approx(1.5 * extent.width())
    press(dock, "+")
    assert samples.cutouts._cutout.extent.width() == pytest.approx(extent.width())


def add_heatmap(path):
    """A raster as geochg writes heatmaps."""
    raster = gdal.GetDriverByName("GTiff").Create(str(path), 8, 8)
    raster.GetRasterBand(1).SetDescription("probability of change")
    raster = None
    layer = QgsRasterLayer(str(path), "heat")
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_the_heatmap_of_a_result_is_known_by_its_name(pair, tmp_path):
    assert heatmap_of(tmp_path / "c.gpkg") is None
    add_heatmap(tmp_path / "cold.tif")
    layers = [add_heatmap(tmp_path / name) for name in ("c_probability_2.tif", "d.tif")]
    assert heatmap_of(tmp_path / "c.gpkg") is layers[0]
    assert heatmap_of(tmp_path / "d.gpkg") is layers[1]
    assert heatmap_of(tmp_path / "dubai_2015.gpkg") is None
    assert len(heatmaps_in_project()) == 3


def test_what_the_map_says_is_hidden_while_judging(dock, sample, result, pair, tmp_path, qtbot):
    root = QgsProject.instance().layerTreeRoot()
    node = root.findLayer(result.id())
    assert not node.isVisible()
    heatmap = root.findLayer(add_heatmap(tmp_path / "any.tif").id())
    qtbot.waitUntil(lambda: not heatmap.isVisible())
    assert all(root.findLayer(image.id()).isVisible() for image in pair)
    texts = [dock.samples.facts.text()]
    model = dock.samples.model
    for row in range(model.rowCount()):
        texts += [str(model.data(model.index(row, column))) for column in range(3)]
    kinds = {f"{f['class']} {f['change']}" for f in result.getFeatures()}
    assert not [text for text in texts for kind in kinds if kind in text]
    dock.tabs.setCurrentIndex(1)
    assert node.isVisible()
    dock.tabs.setCurrentIndex(SAMPLES_TAB)
    assert not node.isVisible()
    dock.samples.blind.setChecked(False)
    assert node.isVisible()
    # One that the user hid stays hidden.
    node.setItemVisibilityChecked(False)
    dock.samples.blind.setChecked(True)
    dock.tabs.setCurrentIndex(1)
    assert not node.isVisible()


def assess_all_as_unchanged(dock, result, page, qtbot):
    """Assesses before anything is judged, then judges all units, and assesses again."""
    samples, dialog = dock.samples, dock.sampling.open_assess()
    assert dialog.changes.currentData() == result.id()
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.go.isEnabled(), timeout=90_000)
    assert "has no judgement" in dialog.status.text()
    assert not dialog.open_page.isEnabled()
    samples.table.selectAll()
    press(dock, "0")
    assert set(values(samples.layer).values()) == {("", "unchanged")}
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.go.isEnabled(), timeout=90_000)
    assert "%" in dialog.status.text().splitlines()[0]
    assert "Accuracy" in page.read_text(encoding="utf-8")
    assert dialog.open_page.isEnabled()
    dialog.reject()


def test_a_geojson_that_was_judged_is_assessed(dock, drawn, result, tmp_path, qtbot):
    add_sample(dock, drawn, tmp_path, "geojson")
    dock.tabs.setCurrentIndex(SAMPLES_TAB)
    qtbot.waitUntil(lambda: dock.samples.model.rowCount() == UNITS)
    assess_all_as_unchanged(dock, result, tmp_path / "s_assessment.html", qtbot)


def test_a_flatgeobuf_is_refused_and_a_copy_is_judged(dock, drawn, result, tmp_path, qtbot):
    layer = add_sample(dock, drawn, tmp_path, "fgb")
    dock.tabs.setCurrentIndex(SAMPLES_TAB)
    samples, errors = dock.samples, []
    samples._show_error = errors.append
    qtbot.waitUntil(lambda: samples.model.rowCount() == UNITS)
    press(dock, "N")
    press(dock, "0")
    assert len(errors) == 1
    assert samples.model.judged_count == 0
    dock.copier.copy(layer.id())
    qtbot.waitUntil(lambda: samples.layer is not layer, timeout=20_000)
    qtbot.waitUntil(lambda: samples.model.rowCount() == UNITS)
    press(dock, "N")
    press(dock, "0")
    assert samples.model.judged_count == 1
    path = tmp_path / "s_review.gpkg"
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT reference_change FROM sample").fetchall()
    assert len(rows) == UNITS
    assert [change for (change,) in rows if change] == ["unchanged"]


def test_a_sample_without_its_column_says_so(dock, sample, qtbot):
    errors = []
    dock.samples._show_error = errors.append
    column = sample.fields().indexFromName("reference_change")
    assert sample.dataProvider().deleteAttributes([column])
    sample.updateFields()
    press(dock, "N")
    press(dock, "0")
    assert "reference_change" in str(errors[0])


def test_what_another_program_writes_is_listed(dock, sample, qtbot):
    path = sample.source().partition("|")[0]
    with closing(sqlite3.connect(path, timeout=10)) as database, database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE sample SET reference_change = 'unchanged' WHERE id = 5")
        database.execute("UPDATE sample SET reference_change = 'grown' WHERE id = 6")
    qtbot.waitUntil(lambda: dock.samples.model.judged_count == 1, timeout=10_000)
    marks = [dock.samples.model.data(dock.samples.model.index(row, 0)) for row in (4, 5)]
    assert marks == ["✓", "?"]


def test_missing_images_are_told_and_found(dock, sample, pair):
    samples, errors = dock.samples, []
    samples._show_error = errors.append
    assert not samples.images.isVisible()
    QgsProject.instance().removeMapLayer(pair[0].id())
    assert samples.images.isVisible()
    samples.images.click()
    assert "dubai_2015" in str(errors[0])


@pytest.mark.parametrize(
    ("name", "change", "is_one"),
    [
        ("", "", False), ("road", "", False), ("", "appeared", False), ("road", "grown", False),
        ("road", "Appeared", True), ("", "UNCHANGED", True), ("unchanged", "", True),
        ("road", "unchanged", True), ("unchanged", "appeared", False), (" ", " ", False),
    ],
)  # fmt: skip
def test_a_judgement_is_what_an_assessment_takes(name, change, is_one):
    assert is_judgement(name, change) is is_one


def test_a_sample_is_drawn_of_a_result_judged_and_assessed(dock, result, tmp_path, qtbot):
    dock.changes.show_layer(result)
    dock.samples.draw.click()
    dialog = dock.sampling.draw_dialog
    fields = {field.option.name: field for field in dialog.fields}
    assert set(fields) == {
        "units", "standard_error", "allocation", "near_m", "footprint_m", "seed", "with_map",
    }  # fmt: skip
    assert dialog.output.filePath() == str(tmp_path / "c_sample.gpkg")
    fields["units"].set_value(3)
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.go.isEnabled(), timeout=90_000)
    assert "too few" in dialog.status.text()
    fields["units"].set_value(UNITS)
    fields["seed"].set_value(7)
    with qtbot.waitSignal(dock.sampling.drawn, timeout=90_000):
        dialog.go.click()
    assert not dialog.isVisible()
    assert dock.tabs.currentIndex() == SAMPLES_TAB
    sample = dock.samples.layer
    assert sample.featureCount() == UNITS
    source = SampleOrigin.of_layer(sample).source
    assert source == f"{tmp_path / 'c.gpkg'}|layername=changes"
    assess_all_as_unchanged(dock, result, tmp_path / "c_sample_assessment.html", qtbot)
    # In a file that is there, nothing is drawn again.
    dialog.open_for(result)
    dialog.output.setFilePath(str(tmp_path / "c_sample.gpkg"))
    dialog.go.click()
    assert "c_sample.gpkg" in dialog.status.text()
    dialog.reject()


def test_the_filter_at_the_draw_is_that_of_the_assessment(dock, result, tmp_path, qtbot):
    from geochg_qgis.layers.confidence_filter import set_least_confidence
    from geochg_qgis.panel.assess_dialog import _source_then

    layer = QgsVectorLayer("Polygon?crs=EPSG:4326", "s", "memory")
    source = f"{tmp_path / 'c.gpkg'}|layername=changes"
    layer.setCustomProperty(SAMPLE, SampleOrigin("c.gpkg", [], source).to_text())
    set_least_confidence(result, 90)
    assert _source_then(layer, result) == source
    layer.setCustomProperty(SAMPLE, SampleOrigin("c.gpkg", []).to_text())
    assert "confidence" in _source_then(layer, result)
