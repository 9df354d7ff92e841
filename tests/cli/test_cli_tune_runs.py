"""`geochg train` where something goes wrong, and grids of runs."""

import json

import pytest
from told_pairs import CAPTIONS, ROWS, told_folder
from tuning_rows import write_rows
from vlm_factory import save_vlm

from geochg.errors import RunError
from geochg.writers.staging import Staging

FEW = ("--steps", 2, "--batch-size", 2, "--device", "cpu", "--no-bf16")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    save_vlm("llava", folder / "llava")
    write_rows(folder / "data")
    return folder


@pytest.fixture
def given(place):
    return ("train", place / "data", "--model", f"vlm:{place / 'llava'}")


def test_an_output_that_cannot_be_put_in_its_place_loses_nothing(
    geochg, given, tmp_path, monkeypatch
):
    def refuse(staging):
        raise RunError("cannot write it", "make room")

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "commit", refuse)
        code, _, errors = geochg(*given, *FEW, "-o", tmp_path / "out")
    assert code == 1
    assert "cannot write it" in errors
    work = tmp_path / "out.work"
    assert (work / "checkpoint-2").is_dir()
    logs = len(list((work / "runs").rglob("events*")))
    code, out, errors = geochg(*given, *FEW, "-o", tmp_path / "out", "--resume", "--json")
    assert code == 0, errors
    assert json.loads(out)["results"]["steps"] == 2
    assert not (work / "checkpoint-2").exists()
    assert (tmp_path / "out" / "card.json").is_file()
    assert logs


def test_an_output_that_is_there_is_refused_before_anything_is_read(refused, given, tmp_path):
    for there in (tmp_path, ".", ".."):
        refused(*given, *FEW, "-o", there, names="exists already")


def test_an_output_in_its_work_folder_or_the_reverse_is_refused(refused, given, tmp_path):
    # When a run ends, "adapter" is one of the things that are cleared away.
    (tmp_path / "work").mkdir()
    for output, work in (("work/adapter", "work"), ("out", "out"), ("out", "out/work")):
        refused(
            *given, *FEW, "-o", tmp_path / output, "--work", tmp_path / work,
            names="lie in each other",
        )  # fmt: skip


def test_evaluations_stand_beside_the_loss_in_tensorboard(geochg, given, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    code, _, errors = geochg(
        *given, *FEW, "--evaluate-steps", 1, "--metric", "presence", "-o", tmp_path / "out"
    )
    assert code == 0, errors
    (events,) = (tmp_path / "out.work" / "runs").rglob("events*")
    found = EventAccumulator(str(events)).Reload()
    assert {"train/loss", "eval/loss", "eval/presence"} <= set(found.Tags()["scalars"])
    assert [event.step for event in found.Scalars("eval/presence")] == [1, 2]


def test_parts_are_known_by_all_their_usual_names(geochg, place, tmp_path):
    rows = json.loads((place / "data" / "train.json").read_text(encoding="utf-8"))
    for number, row in enumerate(rows):
        row["split"] = ("training", "Validation")[number // 6]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    code, out, errors = geochg(
        "train", tmp_path / "rows.json", "--images", place / "data", "--model",
        f"vlm:{place / 'llava'}", *FEW, "--dry-run",
    )  # fmt: skip
    assert code == 0, errors
    assert "rows: 6 to learn from, 6 held out" in out


def test_a_dry_run_counts_the_processes_that_would_be_there(geochg, given):
    told = {}
    for processes in (1, 3):
        code, out, errors = geochg(
            *given, "--device", "cpu", "--no-bf16", "--batch-size", 1, "--epochs", 1,
            "--processes", processes, "--dry-run", "--json",
        )  # fmt: skip
        assert code == 0, errors
        told[processes] = json.loads(out)
    assert [told[n]["steps"] for n in (1, 3)] == [9, 3]
    assert told[3]["step_rows"] == 3


def test_a_dry_run_tells_what_spoils_a_run(geochg, given, place):
    code, out, errors = geochg(*given, *FEW, "--validation", place / "data", "--dry-run")
    assert code == 0, errors
    assert "12 of 12 validation rows show a picture or a location that is learned from" in out


# --- sweeps --------------------------------------------------------------------------------------

SWEEP = '[options]\nsteps = 1\nbatch_size = 2\ndevice = "cpu"\nbf16 = false\n[grid]\n'


@pytest.fixture
def sweep(tmp_path):
    def write(grid):
        file = tmp_path / "sweep.toml"
        file.write_text(SWEEP + grid, encoding="utf-8")
        return file

    return write


def test_a_run_that_fails_does_not_stop_the_others(geochg, given, sweep, tmp_path):
    file, runs = sweep('lora = [["dense"], ["language"]]'), tmp_path / "runs"
    for again in (False, True):
        code, out, errors = geochg(*given, "--sweep", file, "-o", runs)
        assert (code, out) == (1, "")
        assert "1 of 2 runs failed: lora_dense" in errors
        assert ("run 2 of 2: lora_language" in errors) is not again
    rows = {row["run"]: row for row in json.loads((runs / "table.json").read_text("utf-8"))}
    assert "the module group 'dense'" in rows["lora_dense"]["failed"]
    assert "validation_loss" in rows["lora_language"]
    assert "the module group 'dense'" in (runs / "table.md").read_text(encoding="utf-8")


def test_runs_done_otherwise_are_told_before_the_first_is_begun(geochg, given, sweep, tmp_path):
    runs = tmp_path / "runs"
    code, _, errors = geochg(*given, "--sweep", sweep("rank = [4]"), "-o", runs)
    assert code == 0, errors
    again = (*given, "--sweep", sweep("rank = [2, 4]"), "-o", runs)
    code, _, errors = geochg(*again, "--alpha", 7)
    assert code == 2
    assert "differs in alpha (32.0, not 7.0)" in errors
    assert not (runs / "rank_2").exists()
    (runs / "rank_4" / "card.json").write_text("{", encoding="utf-8")
    code, _, errors = geochg(*again)
    assert code == 2
    assert "card.json cannot be read" in errors


def test_the_table_is_written_though_all_is_done(geochg, given, sweep, tmp_path):
    runs = tmp_path / "runs"
    for _ in range(2):
        code, out, errors = geochg(*given, "--sweep", sweep("rank = [4]"), "-o", runs)
        assert code == 0, errors
        assert (runs / "table.md").read_text(encoding="utf-8") == out
        (runs / "table.md").unlink()


def test_a_dry_sweep_reads_the_data_and_tells_each_run(geochg, given, sweep, refused, tmp_path):
    file = sweep("samples = [2, 4]\nprocesses = [2]")
    file.write_text(file.read_text("utf-8").replace("steps = 1\n", "epochs = 2\n"), "utf-8")
    code, out, errors = geochg(*given, "--sweep", file, "--dry-run", "--json")
    assert code == 0, errors
    assert [(row["rows"], row["validation_rows"], row["steps"]) for row in json.loads(out)] == [
        (2, 3, 1),
        (4, 3, 2),
    ]
    nowhere = (*given[:-1], f"vlm:{tmp_path / 'nowhere'}")
    refused(*nowhere, "--sweep", file, "--dry-run", names="nowhere")


def test_parts_trained_themselves_need_no_adapters_in_a_sweep_either(
    geochg, given, sweep, tmp_path
):
    file = sweep('full = [["projector"]]\nquantize = ["none"]')
    code, _, errors = geochg(*given, "--sweep", file, "-o", tmp_path / "runs")
    assert code == 0, errors
    card = json.loads(
        (tmp_path / "runs" / "full_projector-quantize_none" / "card.json").read_text("utf-8")
    )
    assert (card["options"]["lora"], card["options"]["quantize"]) == ([], "")


def test_what_a_sweep_cannot_take_is_refused(refused, given, sweep, tmp_path):
    file = sweep("rank = [2]")
    for arguments, names in (
        (("-o", tmp_path / "runs", "--work", tmp_path / "w"), "--work does not go with --sweep"),
        (("-o", file), "is a file"),
        (("-o", tmp_path / "no" / "runs"), "does not exist"),
        (("-o", tmp_path / "runs", "--processes", 2), "2 processes are expected"),
    ):
        refused(*given, "--sweep", file, *arguments, names=names)


# --- scores --------------------------------------------------------------------------------------


def test_captions_are_scored_as_evaluate_scores_them(geochg, tmp_path):
    pytest.importorskip("rouge_score")
    folder = told_folder(tmp_path / "pairs", 6, 96)
    captions = folder / CAPTIONS
    code, out, errors = geochg(
        "train", folder / ROWS, "--validation", captions, "--metric", "cider_d", "--rank", 2,
        *FEW, "--evaluate-steps", 1, "-o", tmp_path / "adapter", "--json",
    )  # fmt: skip
    assert code == 0, errors
    told = json.loads(out)["results"]["validation_cider_d"]
    code, out, errors = geochg(
        "evaluate", captions, "--model-option", f"adapter={tmp_path / 'adapter'}", "--device",
        "cpu", "--no-meteor", "--json",
    )  # fmt: skip
    assert code == 0, errors
    group, *_ = json.loads(out)["tasks"]["caption"]["groups"]
    assert group["group"] == "all pairs"
    assert told == pytest.approx(group["scores"][0]["cider_d"], abs=1e-5)
    assert told > 0
