"""Runs that wait for others: shown, begun in their turn, removed, and never begun twice."""

from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import Qt

from geochg_qgis.interrupted_runs import (
    InterruptedRun,
    is_active,
    store_waiting,
    waiting_before,
)
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import has_journal
from geochg_qgis.settings import store_setting

WAIT_MS = 180_000


@pytest.fixture(autouse=True)
def no_other_runs(qgis_app):
    for name in ("unfinished", "waiting"):
        store_setting(name, "[]")
    yield
    for name in ("unfinished", "waiting"):
        store_setting(name, "[]")


@pytest.fixture
def errors(dock, monkeypatch):
    told = []
    monkeypatch.setattr(dock.messages, "show_error", told.append)
    return told


@pytest.fixture
def noticed(dock):
    texts = []
    dock.runs.noticed.connect(texts.append)
    return texts


def choose(dock, model, area_m2, tile_px=256):
    dock.options.model.setEditText(model)
    dock.options.fields["min_area_m2"].widget.setValue(area_m2)
    dock.options.fields["tile_size_px"].widget.setValue(tile_px)


def all_done(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.runs.is_running and not dock.runs.waiting, timeout=WAIT_MS)
    qtbot.wait(50)
    qtbot.waitUntil(lambda: not dock.runs.is_running, timeout=WAIT_MS)


def test_a_second_run_waits_and_begins_in_its_turn(dock, qtbot, errors):
    begun = []
    dock.runs.run_started.connect(begun.append)
    choose(dock, "cva", 5000)
    dock.run_widget.run_button.click()
    assert "next" in dock.run_widget.run_button.text()
    choose(dock, "irmad", 9000)
    dock.run_widget.run_button.click()
    assert [plan.options["model"] for plan in begun] == ["cva"]
    (waiting,) = dock.runs.waiting
    assert waiting.options["model"] == "irmad"
    assert waiting.output != begun[0].output
    assert dock.waiting.isVisible()
    all_done(dock, qtbot)
    assert [plan.options["model"] for plan in begun] == ["cva", "irmad"]
    assert not dock.waiting.isVisible()
    assert "next" not in dock.run_widget.run_button.text()
    assert errors == []
    sources = {Path(layer.source().partition("|")[0]) for layer in results_in_project()}
    assert sources == {plan.output for plan in begun}
    least = {
        min(feature["area_m2"] for feature in layer.getFeatures()) >= 9000
        for layer in results_in_project()
    }
    assert least == {True, False}


def test_the_same_run_does_not_wait_for_itself(dock, qtbot, errors, noticed):
    choose(dock, "cva", 5000)
    for _ in range(2):
        dock.run_widget.run_button.click()
    assert dock.runs.waiting == []
    assert any("already" in text for text in noticed)
    choose(dock, "cva", 6000)
    for _ in range(2):
        dock.run_widget.run_button.click()
    assert len(dock.runs.waiting) == 1
    all_done(dock, qtbot)
    assert len(results_in_project()) == 2


def test_one_that_waits_is_removed(dock, qtbot, errors):
    for area in (5000, 6000, 7000):
        choose(dock, "cva", area)
        dock.run_widget.run_button.click()
    dock.waiting.remove_buttons[0].click()
    assert [plan.options["min_area_m2"] for plan in dock.runs.waiting] == [7000]
    all_done(dock, qtbot)
    assert len(results_in_project()) == 2


def test_an_unfinished_run_goes_on_behind_one_that_runs(dock, qtbot, errors, tmp_path):
    choose(dock, "builtin", 3000, tile_px=128)
    dock.options.output.setFilePath(str(tmp_path / "first.gpkg"))

    def cancel(progress):
        if progress.stage == "tiles" and progress.done:
            dock.cancel()

    dock.runs.progressed.connect(cancel)
    with qtbot.waitSignal(dock.runs.ended, timeout=WAIT_MS):
        dock.run()
    dock.runs.progressed.disconnect(cancel)
    assert has_journal(tmp_path / "first.gpkg")
    choose(dock, "cva", 5000)
    dock.options.output.setFilePath(str(tmp_path / "second.gpkg"))
    dock.run()
    assert is_active(tmp_path / "second.gpkg")
    # Listed while another runs, which is not listed itself.
    assert [run.output.name for run in dock.interrupted.runs] == ["first.gpkg"]
    assert dock.interrupted.isVisible()
    dock.interrupted.go_on_buttons[0].click()
    assert [plan.output.name for plan in dock.runs.waiting] == ["first.gpkg"]
    assert dock.interrupted.runs == []
    dock.waiting.remove_buttons[0].click()
    assert [run.output.name for run in dock.interrupted.runs] == ["first.gpkg"]
    dock.interrupted.go_on_buttons[0].click()
    all_done(dock, qtbot)
    assert errors == []
    assert not has_journal(tmp_path / "first.gpkg")
    for name in ("first", "second"):
        layer = QgsVectorLayer(str(tmp_path / f"{name}.gpkg"), name, "ogr")
        assert layer.featureCount() > 0


def test_one_that_fails_does_not_hold_up_the_next(dock, qtbot, errors):
    choose(dock, "nosuch", 5000)
    dock.run()
    choose(dock, "cva", 5000)
    dock.run()
    all_done(dock, qtbot)
    assert len(errors) == 1
    assert len(results_in_project()) == 1


def test_one_that_cannot_begin_is_told_and_the_next_begins(dock, qtbot, errors, monkeypatch):
    real = InterruptedRun.record

    def record(run, **flags):
        if run.options["min_area_m2"] == 6000:
            raise LinkError("the disk is full", "make room")
        real(run, **flags)

    monkeypatch.setattr(InterruptedRun, "record", record)
    for area in (5000, 6000, 7000):
        choose(dock, "cva", area)
        dock.run()
    all_done(dock, qtbot)
    assert [error.message for error in errors] == ["the disk is full"]
    assert len(results_in_project()) == 2


def test_of_a_project_that_was_closed_the_results_are_told(dock, qtbot, errors, noticed, tmp_path):
    for area in (5000, 6000):
        choose(dock, "cva", area)
        dock.run()
    outputs = [dock.runs._plan.output, dock.runs.waiting[0].output]
    QgsProject.instance().clear()
    all_done(dock, qtbot)
    assert results_in_project() == []
    for output in outputs:
        assert output.exists()
        assert any("closed" in text and str(output) in text for text in noticed)


@pytest.fixture
def next_session(dock, qgis_iface, connection):
    """Closes the panel, runs and all, and opens another."""
    from geochg_qgis.panel.dock_widget import GeochgDockWidget

    docks = []

    def begin():
        dock.runs.close_down()
        docks.append(GeochgDockWidget(qgis_iface, connection))
        qgis_iface.mainWindow().addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, docks[0])
        docks[0].show()
        return docks[0]

    yield begin
    for other in docks:
        other.close_down()
        other.deleteLater()


def test_one_that_waited_when_qgis_was_closed_is_begun_in_the_next_session(
    dock, qtbot, errors, next_session
):
    choose(dock, "builtin", 5000, tile_px=128)
    dock.run()
    choose(dock, "cva", 9000)
    dock.run()
    (waiting,) = dock.runs.waiting
    other = next_session()
    (run,) = [run for run in other.interrupted.runs if not run.is_begun]
    assert "not begun" in run.title
    other.interrupted.go_on_buttons[other.interrupted.runs.index(run)].click()
    assert run not in other.interrupted.runs
    all_done(other, qtbot)
    assert waiting_before() == []
    (layer,) = results_in_project()
    assert Path(layer.source().partition("|")[0]) == waiting.output
    assert min(feature["area_m2"] for feature in layer.getFeatures()) >= 9000


def test_one_that_waited_is_removed_without_what_others_have_done(
    dock, qtbot, tmp_path, next_session
):
    dock.options.output.setFilePath(str(tmp_path / "c.gpkg"))
    run = dock.choice.plan().waiting(dock._connection)
    store_waiting([run])
    journal = tmp_path / "c.gpkg.journal"
    journal.write_text("")
    other = next_session()
    assert other.interrupted.runs == [run]
    other.interrupted.discard_buttons[0].click()
    assert other.interrupted.runs == waiting_before() == []
    assert journal.exists()


def test_what_waits_in_another_qgis_stays_kept(dock, tmp_path):
    def waiting(name):
        dock.options.output.setFilePath(str(tmp_path / name))
        return dock.choice.plan().waiting(dock._connection)

    first, second, theirs = map(waiting, ("a.gpkg", "b.gpkg", "c.gpkg"))
    dock.interrupted.leave_out([first])
    store_waiting([theirs])  # as another QGIS does, which knows none of this one's
    dock.interrupted.leave_out([first, second])
    assert [run.output for run in waiting_before()] == [
        run.output for run in (theirs, first, second)
    ]
    dock.interrupted.leave_out([])
    assert [run.output for run in waiting_before()] == [theirs.output]


@pytest.mark.parametrize(
    "text", ["", "{", "7", "[3]", "{}", '[{"output": 3}]', '[{"output": "c"}]']
)
def test_settings_of_waiting_runs_that_make_no_sense_are_left_out(qgis_app, text):
    store_setting("waiting", text)
    assert waiting_before() == []
