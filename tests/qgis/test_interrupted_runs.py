"""Unfinished runs: recorded beside their journals and in the project, and gone on with."""

import json
import sqlite3
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox

from geochg_qgis.interrupted_runs import InterruptedRun, forget_run, interrupted_runs
from geochg_qgis.layers.image_identity import source_pair
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.link.output_paths import has_journal
from geochg_qgis.panel.run_plan import RunPlan
from geochg_qgis.settings import store_setting


@pytest.fixture(autouse=True)
def no_other_runs(qgis_app):
    store_setting("unfinished", "[]")
    yield
    store_setting("unfinished", "[]")


def begun(dock, output, **options):
    """A recorded run whose journal is empty."""
    dock.options.output.setFilePath(str(output))
    run = dock.choice.plan().interrupted(dock._connection)
    run = InterruptedRun(**{**vars(run), "options": {**run.options, **options}})
    run.record()
    output.with_name(f"{output.name}.journal").write_text("")
    return run


@pytest.fixture
def errors(dock, monkeypatch):
    told = []
    monkeypatch.setattr(dock.messages, "show_error", told.append)
    return told


def test_a_run_goes_on_in_a_new_session_without_project_or_settings_of_the_panel(
    dock, qtbot, errors, pair
):
    """As after QGIS was closed: another project, other layers, the panel as it is at first."""
    paths = [layer.source() for layer in pair]
    dock.options.model.setEditText("builtin")
    dock.options.fields["tile_size_px"].widget.setValue(128)
    dock.options.fields["min_area_m2"].widget.setValue(3000)
    dock.runs.progressed.connect(
        lambda progress: dock.cancel() if progress.stage == "tiles" and progress.done else None
    )
    with qtbot.waitSignal(dock.runs.ended, timeout=120_000):
        dock.run()
    dock.runs.progressed.disconnect()
    assert dock.interrupted.isVisible()
    QgsProject.instance().clear()
    dock.options.model.setEditText("cva")
    dock.options.fields["tile_size_px"].widget.setValue(256)
    dock.options.fields["min_area_m2"].widget.setValue(0)
    dock.interrupted.refresh()
    (run,) = dock.interrupted.runs
    assert run.options["tile_size_px"] == 128
    with qtbot.waitSignal(dock.runs.ended, timeout=300_000):
        dock.interrupted.go_on_buttons[0].click()
    assert errors == []
    (result,) = results_in_project()
    assert [layer.source() for layer in source_pair(result)] == paths
    used = json.loads(result.customProperty("geochg/options"))
    assert (used["model"], used["tile_size_px"], used["min_area_m2"]) == ("builtin", 128, 3000)
    assert used["resume"]
    assert not dock.interrupted.isVisible()
    assert not has_journal(run.output)
    assert not list(Path(paths[0]).parent.glob("*.journal*"))


def test_several_are_listed_and_each_goes_on_as_itself(dock, errors, pair, tmp_path, monkeypatch):
    first = begun(dock, tmp_path / "first.gpkg", model="cva")
    second = begun(dock, tmp_path / "second.gpkg", model="irmad")
    dock.interrupted.refresh()
    assert {run.output for run in dock.interrupted.runs} == {first.output, second.output}
    plans = []
    monkeypatch.setattr(dock.runs, "begin", plans.append)
    for button in dock.interrupted.go_on_buttons:
        button.click()
    assert {(plan.output.name, plan.options["model"]) for plan in plans} == {
        ("first.gpkg", "cva"),
        ("second.gpkg", "irmad"),
    }
    assert errors == []


def test_of_two_alike_the_chosen_one_is_resumed(dock, pair, tmp_path):
    runs = [begun(dock, tmp_path / name) for name in ("first.gpkg", "second.gpkg")]
    for run in runs:
        plan = RunPlan.of_interrupted(run).with_resume(dock._connection)
        assert plan.output == run.output
        assert plan.options["resume"]


def test_they_are_known_by_the_project_though_it_was_moved(dock, pair, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    run = begun(dock, folder / "c.gpkg")
    assert QgsProject.instance().write(str(folder / "p.qgz"))
    run.record()
    assert QgsProject.instance().write()
    store_setting("unfinished", "[]")
    moved = folder.rename(tmp_path / "elsewhere")
    QgsProject.instance().clear()
    assert interrupted_runs() == []
    assert QgsProject.instance().read(str(moved / "p.qgz"))
    (known,) = interrupted_runs()
    assert known.output == moved / "c.gpkg"


def test_beside_an_image_they_are_found_by_anyone(dock, pair):
    output = Path(pair[1].source()).with_name("c.gpkg")
    run = begun(dock, output)
    paths = [layer.source() for layer in pair]
    QgsProject.instance().clear()
    store_setting("unfinished", "[]")
    assert interrupted_runs() == []
    QgsProject.instance().addMapLayers([QgsRasterLayer(path, "image") for path in paths])
    assert interrupted_runs() == [run]


def test_a_missing_image_is_told(dock, errors, pair, tmp_path):
    begun(dock, tmp_path / "c.gpkg")
    path = Path(pair[0].source())
    QgsProject.instance().clear()
    path.unlink()
    dock.interrupted.refresh()
    dock.interrupted.go_on_buttons[0].click()
    assert "is not at" in errors[-1].message


def answering(monkeypatch, *answers):
    """Answers questions in order; the list holds their texts, which must be plain ones."""
    texts, answers = [], list(answers)

    def exec_box(box):
        assert box.textFormat() == Qt.TextFormat.PlainText
        texts.append(box.text())
        return answers.pop(0)

    monkeypatch.setattr(QMessageBox, "exec", exec_box)
    return texts


@pytest.mark.parametrize("model", ["openai:m@http://127.0.0.1:9", "vlm:owner/name", "<b>x</b>"])
def test_a_model_that_is_not_of_geochg_is_asked_about(dock, pair, tmp_path, monkeypatch, model):
    run = begun(dock, tmp_path / "c.gpkg", model=model)
    dock.interrupted.refresh()
    dock.interrupted.chosen.disconnect()
    chosen = []
    dock.interrupted.chosen.connect(chosen.append)
    texts = answering(monkeypatch, QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes)
    dock.interrupted.go_on_buttons[0].click()
    assert chosen == []
    dock.interrupted.go_on_buttons[0].click()
    assert chosen == [run]
    assert all(model in text for text in texts)


def test_discarding_removes_the_journal_when_it_is_confirmed(dock, pair, tmp_path, monkeypatch):
    run = begun(dock, tmp_path / "c.gpkg")
    dock.interrupted.refresh()
    texts = answering(monkeypatch, QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes)
    dock.interrupted.discard_buttons[0].click()
    assert run.title in texts[0]
    assert has_journal(run.output)
    dock.interrupted.discard_buttons[0].click()
    assert not has_journal(run.output)
    assert interrupted_runs() == []
    assert not dock.interrupted.isVisible()


def test_a_run_of_another_program_is_not_discarded(dock, pair, tmp_path, monkeypatch, errors):
    """As the worker holds its journal, be it of `qgis_process` or of another QGIS."""
    run = begun(dock, tmp_path / "c.gpkg")
    journal = tmp_path / "c.gpkg.journal"
    held = sqlite3.connect(journal, isolation_level=None)
    held.execute("PRAGMA locking_mode = EXCLUSIVE")
    held.execute("PRAGMA journal_mode = WAL")
    held.execute("CREATE TABLE tiles (number)")
    monkeypatch.setattr(dock.interrupted, "_show_error", errors.append)
    dock.interrupted.refresh()
    answering(monkeypatch, *[QMessageBox.StandardButton.Yes] * 2)
    dock.interrupted.discard_buttons[0].click()
    assert "no run uses it" in errors[0].hint
    assert InterruptedRun.read(run.output) == run
    held.close()
    dock.interrupted.discard_buttons[0].click()
    assert len(errors) == 1
    assert not has_journal(run.output)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 3}', '{"options": []}'])
def test_records_that_make_no_sense_are_left_out(dock, pair, tmp_path, text):
    run = begun(dock, tmp_path / "c.gpkg")
    (tmp_path / "c.gpkg.journal.json").write_text(text)
    assert InterruptedRun.read(run.output) is None
    assert interrupted_runs() == []
    forget_run(run.output)
    assert not (tmp_path / "c.gpkg.journal.json").exists()


def test_one_of_an_exported_image_cannot_go_on(dock, pair, tmp_path):
    run = begun(dock, tmp_path / "c.gpkg")
    InterruptedRun(**{**vars(run), "is_exported": True}).record()
    dock.interrupted.refresh()
    assert not dock.interrupted.go_on_buttons[0].isEnabled()
    assert "anew" in dock.interrupted.go_on_buttons[0].toolTip()
