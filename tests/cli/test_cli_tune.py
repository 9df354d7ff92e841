"""`geochg train DATA` from the command line, alone and by torchrun."""

import json
import os
import subprocess
import sys
from dataclasses import fields

import deltavlm_factory
import pytest
import torch
from four_bits import needs_four_bits
from safetensors.torch import load_file
from tuning_rows import write_rows
from vlm_factory import save_vlm

from geochg.training.finetune.options import TuneOptions

FEW = ("--steps", 2, "--batch-size", 2, "--device", "cpu", "--no-bf16")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    deltavlm_factory.save(deltavlm_factory.tiny_model(), folder / "deltavlm")
    save_vlm("llava", folder / "llava")
    write_rows(folder / "data")
    return folder


def test_each_option_has_a_line_of_help():
    helps = {spec.name: spec.facts.help for spec in TuneOptions.specs()}
    assert list(helps) == [field.name for field in fields(TuneOptions)]
    assert all(helps.values())


def test_a_model_is_tuned_and_analyzes(geochg, place, tmp_path, make_raster):
    import numpy as np

    model = f"deltavlm:{place / 'deltavlm'}"
    given = (place / "data" / "train.json", "--model", model, *FEW)
    code, out, errors = geochg("train", *given, "-o", tmp_path / "adapter", "--json")
    assert code == 0, errors
    card = json.loads(out)
    assert card["kind"] == "adapter"
    assert card["results"]["steps"] == 2
    assert "runs" in {path.name for path in (tmp_path / "adapter.work").iterdir()}

    rng = np.random.default_rng(0)
    before, after = (
        make_raster(name, rng.integers(0, 255, (3, 64, 64)).astype(np.uint8))
        for name in ("a.tif", "b.tif")
    )
    code, out, errors = geochg(
        "analyze", before, after, "-o", tmp_path / "c.geojson", "--model", model,
        "--adapter", tmp_path / "adapter", "--align", "off", "--device", "cpu", "--json",
    )  # fmt: skip
    assert code == 0, errors
    layer = json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    assert "sha256:" in json.dumps(layer["geochg"]["model"])
    assert str(tmp_path / "adapter") in json.dumps(layer["geochg"])


@pytest.mark.parametrize("how", [("--merge",), ("--prune", 0.1, "--quantize", "4bit")])
def test_a_whole_model_comes_out_as_fast_as_it_went_in(
    how, geochg, place, exported_deltavlm, tmp_path
):
    from geochg.models.deltavlm.runtime.onnx_vision import OnnxVision
    from geochg.models.registry import load_model
    from geochg.records import Presence, Task
    from geochg.tasks import ask
    from geochg.training.finetune.pruning import load_pruning_masks

    if "4bit" in how:
        needs_four_bits()
    code, out, errors = geochg(
        "train", place / "data" / "train.json", "--model", f"deltavlm:{exported_deltavlm}", *how,
        "--rank", 2, *FEW, "-o", tmp_path / "m", "--json",
    )  # fmt: skip
    assert code == 0, errors
    card = json.loads(out)
    assert card["kind"] == "model"
    model = load_model(f"deltavlm:{tmp_path / 'm'}", {}, "cpu")
    assert isinstance(model.vision, OnnxVision)
    (answers,) = model.answer([deltavlm_factory.tile(1)], [ask(Task.PRESENCE), ask(Task.CAPTION)])
    assert isinstance(answers[0], Presence)
    assert answers[1].text
    if "--prune" in how:
        assert card["results"]["sparsity"] == pytest.approx(0.1, abs=1e-3)
        weights = load_file(tmp_path / "m" / "model.safetensors")
        masks = load_pruning_masks(tmp_path / "m")
        assert masks
        for name, mask in masks.items():
            assert not weights[f"{name}.weight"][~mask].any()


def test_an_adapter_to_builtin_in_four_bits_goes_on_builtin(geochg, place, tmp_path):
    needs_four_bits()
    code, out, errors = geochg(
        "train", place / "data" / "train.json", "--model", "builtin", "--quantize", "4bit",
        "--rank", 2, *FEW, "-o", tmp_path / "a", "--json",
    )  # fmt: skip
    assert code == 0, errors
    assert json.loads(out)["kind"] == "adapter"
    code, out, errors = geochg(
        "evaluate", place / "data" / "train.json", "--task", "presence", "--device", "cpu",
        "--model-option", f"adapter={tmp_path / 'a'}", "--json",
    )  # fmt: skip
    assert code == 0, errors
    assert json.loads(out)["model"]["adapter"].startswith(str(tmp_path / "a"))


def test_changes_without_a_direction_stay_changes_when_they_are_learned(geochg, tmp_path):
    import shutil

    from geochg.datasets.examples import read_examples
    from geochg.training.finetune.sample import UNKNOWN, load_sample

    write_rows(tmp_path / "pairs")
    shutil.rmtree(tmp_path / "pairs" / "direction")
    code, _, errors = geochg(
        "dataset", "build", tmp_path / "out", "--pairs", tmp_path / "pairs",
        "--classes", "1=building", "--shares", 1, 0, 0, "--json",
    )  # fmt: skip
    assert code == 0, errors
    assert any((tmp_path / "out" / "direction").iterdir())
    found = [load_sample(example, masks=True).masks for example in read_examples(tmp_path / "out")]
    changed = [masks for masks in found if masks.changed]
    assert changed
    for masks in found:
        assert ((masks.directions == UNKNOWN) == (masks.classes > 0)).all()
        assert not masks.directions[masks.classes == 0].any()


def test_masks_that_were_built_of_rasters_are_found(geochg, make_raster, tmp_path):
    import numpy as np

    from geochg.datasets.examples import read_examples
    from geochg.training.finetune.sample import load_sample

    rng = np.random.default_rng(0)
    before = rng.integers(60, 120, (3, 128, 128)).astype(np.uint8)
    after, mask = before.copy(), np.zeros((1, 128, 128), np.uint8)
    after[:, 20:50, 20:50], mask[:, 20:50, 20:50] = 230, 1
    files = [
        make_raster(name, pixels)
        for name, pixels in (("a.tif", before), ("b.tif", after), ("m.tif", mask))
    ]
    code, _, errors = geochg(
        "dataset", "build", tmp_path / "out", "--rasters", *files, "--classes", "1=building",
        "--shares", 1, 0, 0, "--tile-size", 64, "--json",
    )  # fmt: skip
    assert code == 0, errors
    examples = read_examples(tmp_path / "out")
    assert {example.before.suffix for example in examples} == {".tif"}
    found = [load_sample(example, masks=True).masks for example in examples]
    assert None not in found
    assert any(masks.changed for masks in found)


def test_a_dense_head_without_masks_is_told(geochg, place, tmp_path):
    for masks in (True, False):
        rows = write_rows(tmp_path / str(masks), masks=masks)
        code, _, errors = geochg(
            "train", rows, "--model", f"deltavlm:{place / 'deltavlm'}", "--lora", "language,dense",
            *FEW, "-o", tmp_path / f"out{masks}", "--json",
        )  # fmt: skip
        assert code == 0, errors
        assert ("no row has masks, which the dense head would need" in errors) is not masks


def test_a_preset_gives_what_is_not_given(geochg, place, tmp_path):
    code, out, errors = geochg(
        "train", place / "data" / "train.json", "--model", f"vlm:{place / 'llava'}",
        "--preset", "geollava", "--rank", 8, *FEW, "-o", tmp_path / "a", "--json",
    )  # fmt: skip
    assert code == 0, errors
    options = json.loads(out)["options"]
    assert (options["rank"], options["alpha"], options["quantize"]) == (8, 128.0, "4bit")


def test_parts_that_are_trained_themselves_need_no_adapters(geochg, place, tmp_path):
    code, out, errors = geochg(
        "train", place / "data" / "train.json", "--model", f"vlm:{place / 'llava'}",
        "--full", "projector", "--quantize", "none", *FEW, "-o", tmp_path / "m", "--json",
    )  # fmt: skip
    assert code == 0, errors
    card = json.loads(out)
    assert card["kind"] == "model"
    assert (card["options"]["lora"], card["options"]["quantize"]) == ([], "")


def test_a_dry_run_writes_nothing(geochg, place, tmp_path):
    given = ("train", place / "data", "--model", f"vlm:{place / 'llava'}", *FEW, "--dry-run")
    code, out, _ = geochg(*given)
    assert code == 0
    for told in ("rows: 9", "steps: 2, of 2 rows each", "trained", "memory:", "time:"):
        assert told in out
    code, out, _ = geochg(*given, "--json")
    assert json.loads(out)["fits"] is True
    assert not list(tmp_path.iterdir())


SWEEP = """
[options]
steps = 1
batch_size = 2
device = "cpu"
bf16 = false
[grid]
rank = [2, 4]
prune = [0.0, 0.1]
"""


def test_a_sweep_does_what_is_not_done_yet(geochg, place, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP, encoding="utf-8")
    given = ("train", place / "data", "--model", f"vlm:{place / 'llava'}", "--sweep", file)
    code, out, errors = geochg(*given, "-o", tmp_path / "runs")
    assert code == 0, errors
    assert out == (tmp_path / "runs" / "table.md").read_text(encoding="utf-8")
    assert len(out.strip().splitlines()) == 6
    rows = json.loads((tmp_path / "runs" / "table.json").read_text(encoding="utf-8"))
    assert [(row["rank"], row["prune"]) for row in rows] == [(2, 0.0), (2, 0.1), (4, 0.0), (4, 0.1)]
    assert rows[1]["sparsity"] == pytest.approx(0.1, abs=1e-3)
    assert all("validation_loss" in row for row in rows)

    import shutil

    shutil.rmtree(tmp_path / "runs" / "rank_4-prune_0.1")
    kept = tmp_path / "runs" / "rank_2-prune_0.0" / "card.json"
    written = kept.stat().st_mtime_ns
    code, again, errors = geochg(*given, "-o", tmp_path / "runs", "--json")
    assert code == 0
    assert "rank_4-prune_0.1" in errors
    assert "rank_2" not in errors
    assert kept.stat().st_mtime_ns == written
    assert [row["validation_loss"] for row in json.loads(again)] == [
        row["validation_loss"] for row in rows
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[grid]\nranks = [2]", "unknown option 'ranks'"),
        ("[grid]\nrank = 2", "is no list"),
        ("grids = 1", "'grids'"),
        ("[grid", "not a TOML file"),
        ("[grid]\nrank = [2, 2]", "twice"),
        ('preset = "gpt"', "no preset"),
    ],
)
def test_sweeps_that_make_no_sense(text, names, refused, place, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(text, encoding="utf-8")
    refused(
        "train", place / "data", "--model", f"vlm:{place / 'llava'}", "--sweep", file,
        "-o", tmp_path / "runs", names=names,
    )  # fmt: skip


def test_bad_input_is_told_and_nothing_is_left(refused, place, tmp_path):
    rows, model = place / "data" / "train.json", ("--model", f"vlm:{place / 'llava'}")
    output = ("-o", tmp_path / "new")
    (tmp_path / "there").mkdir()
    broken = tmp_path / "broken.json"
    broken.write_text('[\n {"id": 1,\n]', encoding="utf-8")
    empty = tmp_path / "empty.json"
    empty.write_text("[]", encoding="utf-8")
    for arguments, names in (
        ((rows, *model), "nowhere to write"),
        ((rows, *model, "-o", tmp_path / "there"), "exists already"),
        ((broken, *model, *output), "broken.json, line 3"),
        ((empty, *model, *output), "no rows to learn from"),
        ((tmp_path / "none.json", *model, *output), "none.json"),
        ((rows, "--model", "irmad", *output), "not a model that can be trained"),
        ((rows, "--model", "vlm:nowhere", *output), "nowhere"),
        ((rows, *model, *output, "--processes", 2), "2 processes are expected"),
        ((rows, *model, *output, "--patience", 3), "patience is given"),
    ):
        refused("train", *arguments, names=names)


def test_a_part_that_the_base_lacks_is_told_before_training(geochg, place, tmp_path):
    code, out, errors = geochg(
        "train", place / "data", "--model", f"vlm:{place / 'llava'}", "--lora", "dense",
        *FEW, "-o", tmp_path / "new",
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert "in the module group 'dense'" in errors
    assert not (tmp_path / "new").exists()


def torchrun(number, *arguments):
    """What `torchrun` ends with."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(number), "-m", "geochg_cli", "train"),
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        env=env,
        timeout=300,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun on Windows lacks its store")
def test_two_processes_learn_what_one_learns_with_twice_the_batch(geochg, place, tmp_path):
    given = (
        place / "data" / "train.json", "--model", f"vlm:{place / 'llava'}", "--dropout", 0,
        "--steps", 3, "--device", "cpu", "--no-bf16", "--learning-rate", 0.01,
        "--evaluate-steps", 2,
    )  # fmt: skip
    done = torchrun(
        2, *given, "--batch-size", 2, "--processes", 2, "-o", tmp_path / "two", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
    code, _, errors = geochg("train", *given, "--batch-size", 4, "-o", tmp_path / "one")
    assert code == 0, errors
    two, one = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("two", "one"))
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    assert any(bool(part.any()) for name, part in one.items() if "lora_B" in name)
    losses = [
        json.loads((tmp_path / f"{name}.work" / "evaluations.json").read_text(encoding="utf-8"))
        for name in ("one", "two")
    ]
    assert losses[0]["2"]["loss"] == pytest.approx(losses[1]["2"]["loss"], abs=1e-5)
    assert not torch.distributed.is_initialized()


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun on Windows lacks its store")
def test_two_processes_prune_one_base(place, tmp_path):
    done = torchrun(
        2, place / "data" / "train.json", "--model", f"vlm:{place / 'llava'}", "--prune", 0.1,
        "--quantize", "4bit", *FEW, "--processes", 2, "-o", tmp_path / "m", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]["sparsity"] == pytest.approx(0.1, abs=1e-3)


def test_a_sweep_refuses_runs_that_were_done_otherwise(geochg, place, tmp_path):
    file = tmp_path / "sweep.toml"
    text = (
        '[options]\nsteps = 1\nbatch_size = 2\ndevice = "cpu"\nbf16 = false\n[grid]\nrank = [2]\n'
    )
    file.write_text(text, encoding="utf-8")

    def swept(data, *given):
        model = ("--model", f"vlm:{place / 'llava'}", "--sweep", file)
        return geochg("train", data, *model, "-o", tmp_path / "runs", *given)

    for again in (False, True):
        code, _, errors = swept(place / "data")
        assert code == 0, errors
        assert ("rank_2" in errors) is not again
    code, _, errors = swept(place / "data", "--alpha", 7)
    assert code == 2
    assert "differs in alpha (32.0, not 7.0)" in errors
    other = write_rows(tmp_path / "other", pairs=6)
    code, _, errors = swept(other)
    assert code == 2
    assert "differs in training rows" in errors
