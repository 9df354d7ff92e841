"""Runs of Processing that ended before they were done: listed in the panel, and gone on with."""

import json
import os
import signal

import pytest
from processing_models import context_of_project
from qgis.core import (
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsVectorLayer,
)

from geochg_qgis.interrupted_runs import InterruptedRun, interrupted_runs, is_active
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.link.output_paths import has_journal
from geochg_qgis.settings import store_setting

WAIT_MS = 180_000


@pytest.fixture(autouse=True)
def no_other_runs(qgis_app):
    store_setting("unfinished", "[]")
    yield
    store_setting("unfinished", "[]")


@pytest.fixture
def images(pair):
    return {"BEFORE": pair[0], "AFTER": pair[1], "MODEL": "builtin", "TILE_SIZE": 64}


class Stopped(QgsProcessingFeedback):
    """Is cancelled, or has the worker killed, when the first tiles are answered."""

    def __init__(self, stop=None):
        super().__init__(False)
        self.stop = stop or self.cancel
        self.outputs = []

    def setProgress(self, percent):
        super().setProgress(percent)
        if percent > 12:
            # Once: progress that was sent before goes on to come.
            stop, self.stop = self.stop, lambda: None
            stop()


def run(parameters, feedback=None):
    import processing

    feedback = feedback or QgsProcessingFeedback(False)
    return processing.run(
        "geochg:analyze", parameters, context=context_of_project(), feedback=feedback
    )


def stopped(parameters, stop=None):
    with pytest.raises(QgsProcessingException):
        run(parameters, Stopped(stop))


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_a_cancelled_run_is_listed_and_goes_on_in_the_panel(
    provider, images, dock, qtbot, tmp_path, suffix
):
    output, heatmap = tmp_path / f"mine.{suffix}", tmp_path / "heat.tif"
    wanted = {**images, "MIN_AREA": 3000, "OUTPUT": str(output), "HEATMAP": str(heatmap)}
    stopped(wanted)
    qtbot.waitUntil(lambda: dock.interrupted.isVisible(), timeout=5000)
    (listed,) = dock.interrupted.runs
    assert listed.output == output
    assert "dubai_2015 → dubai_2018" in listed.title
    with qtbot.waitSignal(dock.runs.ended, timeout=WAIT_MS):
        dock.interrupted.go_on_buttons[0].click()
    (result,) = results_in_project()
    assert result.source().startswith(str(output))
    used = json.loads(result.customProperty("geochg/options"))
    assert (used["tile_size_px"], used["min_area_m2"], used["resume"]) == (64, 3000, True)
    assert heatmap.exists()
    assert not list(tmp_path.glob("*.journal*"))
    assert interrupted_runs() == []


def test_a_layer_beside_others_goes_on_in_their_file(provider, images, dock, qtbot, tmp_path):
    output = tmp_path / "both.gpkg"
    run({**images, "MODEL": "cva", "OUTPUT": f"ogr:dbname='{output}' table=\"first\" (geom)"})
    stopped({**images, "OUTPUT": f"ogr:dbname='{output}' table=\"second\" (geom)"})
    qtbot.waitUntil(lambda: dock.interrupted.isVisible(), timeout=5000)
    with qtbot.waitSignal(dock.runs.ended, timeout=WAIT_MS):
        dock.interrupted.go_on_buttons[0].click()
    (result,) = results_in_project()
    assert result.source() == f"{output}|layername=second"
    counts = [
        QgsVectorLayer(f"{output}|layername={name}", name, "ogr").featureCount()
        for name in ("first", "second")
    ]
    assert min(counts) > 0


def test_one_whose_worker_died_is_listed_and_resumed_by_processing(
    provider, images, connection, tmp_path
):
    output = tmp_path / "c.gpkg"
    wanted = {**images, "OUTPUT": str(output)}
    stopped(wanted, lambda: os.kill(connection.current_client.pid, signal.SIGKILL))
    assert [run.output for run in interrupted_runs()] == [output]
    assert not is_active(output)
    run({**wanted, "RESUME": True})
    assert interrupted_runs() == []
    assert not list(tmp_path.glob("*.journal*"))


def test_it_is_not_listed_while_it_runs(provider, images, tmp_path):
    output = tmp_path / "c.gpkg"
    listed = []

    def look():
        listed.append((is_active(output), InterruptedRun.read(output), interrupted_runs()))

    run({**images, "TILE_SIZE": 256, "OUTPUT": str(output)}, Stopped(look))
    was_active, recorded, others = listed[0]
    assert was_active
    assert recorded is not None
    assert others == []


def test_a_run_of_other_options_leaves_the_record_as_it_is(provider, images, tmp_path):
    output = tmp_path / "c.gpkg"
    stopped({**images, "OUTPUT": str(output)})
    (former,) = interrupted_runs()
    for changed in ({"MODEL": "cva"}, {"MODEL": "cva", "RESUME": True}):
        with pytest.raises(QgsProcessingException):
            run({**images, **changed, "OUTPUT": str(output)})
        assert has_journal(output)
        assert interrupted_runs() == [former]


def test_a_run_that_never_began_leaves_no_record(provider, images, tmp_path):
    for folder in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(QgsProcessingException):
            run({**images, "MODEL": "nosuch", "OUTPUT": str(folder / "c.gpkg")})
    assert not list(tmp_path.glob("c.gpkg*"))
    assert interrupted_runs() == []
