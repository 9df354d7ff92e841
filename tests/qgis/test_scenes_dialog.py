"""A place and two months: the worker fetches both scenes of a catalogue on the loopback, and a run
begins with them."""

import subprocess
from pathlib import Path

import pytest
from processing_models import context_of_project
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate
from qgis_worker import ROOT, WORKER_PYTHON

from geochg_qgis.layers.scene_layers import scene_name
from geochg_qgis.link.protocol import error_of

SUPPORT = ROOT / "tests" / "support"
LEFT, TOP, SIDE_M = 500_000, 5_100_000, 640
# Its own Python: that of QGIS has no rasterio.
MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from scene_catalog import SIDE_PX, CatalogFolder
catalog = CatalogFolder(sys.argv[2], "farm", int(sys.argv[3]))
ground = np.random.default_rng(3).integers(800, 1200, (SIDE_PX, SIDE_PX))
later = ground.copy()
later[20:40, 20:40] += 3000
catalog.add_scene("early", "2020-06-13", ground)
catalog.add_scene("late", "2024-06-12", later)
print(catalog.save())
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """The address of a catalogue, and its folder."""
    root = tmp_path_factory.mktemp("stac")
    command = [str(WORKER_PYTHON), str(SUPPORT / "stac_server.py"), str(root)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    made = subprocess.run(
        [str(WORKER_PYTHON), "-c", MAKE, str(SUPPORT), str(root), port],
        check=True,
        capture_output=True,
        text=True,
    )
    yield made.stdout.strip(), root / "farm"
    server.kill()
    server.wait()


@pytest.fixture
def dialog(dock, catalog, tmp_path):
    dialog = dock.open_scenes()
    dialog.catalog.setEditText(catalog[0])
    dialog.before.setDate(QDate(2020, 6, 1))
    dialog.after.setDate(QDate(2024, 6, 1))
    dialog.folder.setFilePath(str(tmp_path / "kept"))
    dock.options.model.setEditText("cva")
    return dialog


def test_an_older_worker_is_told_to_be_too_old(dock, qtbot, monkeypatch):
    class OlderClient:
        def __init__(self):
            self.hello = {}

        def ask(self, *_, **__):
            raise error_of({"code": -32601, "message": "no", "data": {"hint": "no"}})

    monkeypatch.setattr(dock._connection, "client", lambda *_: OlderClient())
    dialog = dock.open_scenes()
    text = "This geochg is too old for that. Set up a newer one"
    qtbot.waitUntil(lambda: dialog.status.text() == text, timeout=10_000)


def polygon_layer():
    layer = QgsVectorLayer("Polygon?crs=EPSG:32633", "farm", "memory")
    feature = QgsFeature(layer.fields())
    box = QgsRectangle(LEFT + 100, TOP - SIDE_M + 100, LEFT + SIDE_M - 100, TOP - 100)
    feature.setGeometry(QgsGeometry.fromRect(box))
    layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer


def choose_polygon(dialog, qgis_iface):
    layer = polygon_layer()
    layer.selectAll()
    qgis_iface.setActiveLayer(layer)
    dialog.area.choose("selection")


def test_a_place_and_two_months_become_a_result(dock, dialog, qgis_iface, qtbot, catalog, tmp_path):
    choose_polygon(dialog, qgis_iface)
    dock.options.output.setFilePath(str(tmp_path / "changes.gpkg"))
    done = []
    dock.runs.done.connect(lambda layer, result: done.append((layer, result)))
    dialog.fetch_button.click()
    qtbot.waitUntil(
        lambda: bool(done) or bool(dialog.status.text() and not dialog._task), timeout=120_000
    )
    assert done, dialog.status.text()
    layer, result = done[0]
    assert not dialog.isVisible()
    assert layer.featureCount() == 1
    sources = result["geochg"]["sources"]
    assert [scene["id"] for scene in sources["before"]["scene"]["scenes"]] == ["early"]
    assert sources["after"]["date"] == "2024-06-12"
    names = [layer.name() for layer in dock.pair.both_layers()]
    assert names == ["sentinel-2-l2a 2020-06-13", "sentinel-2-l2a 2024-06-12"]
    assert dock.area.kind.currentData() == "selection"
    assert len(list((tmp_path / "kept").glob("*.tif"))) == 2
    qtbot.waitUntil(lambda: not dock.runs.is_running, timeout=60_000)


def test_the_dialog_names_who_is_asked_and_asks_nobody_before(dock, dialog, qtbot, catalog):
    log = catalog[1] / "requests.log"
    before = log.read_text() if log.exists() else ""
    qtbot.waitUntil(lambda: dialog.catalog.count() >= 2, timeout=60_000)
    assert catalog[0] in dialog.asked.text()
    dialog.catalog.setEditText("earth-search")
    assert "https://earth-search.aws.element84.com/v1" in dialog.asked.text()
    offered = [dialog.collection.itemText(row) for row in range(dialog.collection.count())]
    assert "sentinel-2-l2a" in offered
    assert dialog.collection.currentText() == "sentinel-2-l2a"
    assert (log.read_text() if log.exists() else "") == before


def test_what_is_missing_is_said(dock, dialog, qtbot, qgis_iface):
    dialog.area.choose("drawn")
    dialog.fetch_button.click()
    assert dialog.status.text().startswith("No area is drawn")
    dialog.area.set_drawn(QgsRectangle(0, 0, 1, 1))
    assert "POLYGON" in dialog.parameters()["area"].upper()
    dialog.folder.setFilePath("")
    dialog.fetch_button.click()
    assert dialog.status.text().startswith("There is no folder for the scenes")
    dialog.after.setDate(QDate(2020, 6, 1))
    assert not dialog.fetch_button.isEnabled()
    assert "earlier" in dialog.status.text()


def test_what_the_catalogue_lacks_is_said_in_the_dialog(dock, dialog, qgis_iface, qtbot):
    choose_polygon(dialog, qgis_iface)
    dialog.before.setDate(QDate(2019, 6, 1))
    dialog.max_cloud.setValue(20)
    dialog.composite.setCurrentIndex(1)
    assert dialog.parameters()["fetching"]["max_cloud"] == 20
    assert dialog.parameters()["fetching"]["composite"] == "median"
    dialog.fetch_button.click()
    assert not dialog.fetch_button.isEnabled()
    qtbot.waitUntil(lambda: dialog._task is None, timeout=60_000)
    assert "has no scene" in dialog.status.text()
    assert dialog.isVisible()
    assert dialog.fetch_button.isEnabled()


def test_stop_ends_fetching_and_not_the_dialog(dock, dialog, qgis_iface, qtbot):
    choose_polygon(dialog, qgis_iface)
    dialog.fetch_button.click()
    dialog.close_button.click()
    qtbot.waitUntil(lambda: dialog._task is None, timeout=60_000)
    # What was complete before counts, as with every run.
    assert dialog.status.text().startswith("Stopped") or not dialog.isVisible()
    if dialog.isVisible():
        dialog.catalog.setEditText("earth-search")
        assert dialog.status.text().startswith("Stopped")
        assert dialog.fetch_button.isEnabled()


def run_algorithm(catalog, output, **others):
    import processing

    parameters = {
        "EXTENT": f"{LEFT},{LEFT + SIDE_M},{TOP - SIDE_M},{TOP} [EPSG:32633]",
        "BEFORE": "2020-06",
        "AFTER": "2024-06",
        "CATALOG": catalog[0],
        "MODEL": "cva",
        "OUTPUT": str(output),
        **others,
    }
    return processing.run(
        "geochg:analyze_area",
        parameters,
        context=context_of_project(),
        feedback=QgsProcessingFeedback(),
    )


def test_the_algorithm_does_both_steps(provider, qgis_new_project, catalog, tmp_path):

    results = run_algorithm(catalog, tmp_path / "c.gpkg")
    layer = QgsVectorLayer(str(tmp_path / "c.gpkg"), "c", "ogr")
    assert results["COUNT"] == layer.featureCount() == 1
    assert Path(results["BEFORE_SCENE"]).parent == tmp_path / "c_scenes"
    assert QgsRasterLayer(results["AFTER_SCENE"], "after").isValid()


def test_the_algorithm_takes_polygons_and_needs_an_area(
    provider, qgis_new_project, catalog, tmp_path
):
    layer = polygon_layer()
    output = tmp_path / "c.gpkg"
    results = run_algorithm(
        catalog, output, EXTENT=None, POLYGONS=layer, SCENES=str(tmp_path / "kept"), COMPOSITE=1
    )
    assert results["COUNT"] == 1
    assert len(list((tmp_path / "kept").glob("*.tif"))) == 2
    with pytest.raises(QgsProcessingException, match="no area to fetch scenes of"):
        run_algorithm(catalog, output, EXTENT=None)
    with pytest.raises(QgsProcessingException, match="lies after"):
        run_algorithm(catalog, output, BEFORE="2025")


def test_names_of_scenes_tell_the_day_or_the_month():
    path = "/a/sentinel-2-l2a_2020-06-01_2020-06-30_0123456789.tif"
    assert scene_name({"path": path, "dates": ["2020-06-13"]}) == "sentinel-2-l2a 2020-06-13"
    dates = ["2020-06-23", "2020-06-13"]
    assert scene_name({"path": path, "dates": dates}) == "sentinel-2-l2a 2020-06"
    assert scene_name({"path": path}) == "sentinel-2-l2a"
