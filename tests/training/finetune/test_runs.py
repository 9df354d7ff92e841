"""Whole runs on tiny models of the real classes."""

import json
import shutil
import signal
import subprocess
import sys

import deltavlm_factory
import pytest
import torch
from safetensors.torch import load_file
from tuning_rows import tuned, write_rows
from vlm_factory import save_vlm

from geochg.datasets.examples import read_examples
from geochg.errors import CancelledRunError, InputError, ModelError, OptionError
from geochg.events import Progress
from geochg.models.model_files import UNFINISHED
from geochg.models.registry import load_model
from geochg.records import Task
from geochg.tasks import ask
from geochg.training.checkpoints import WHOLE, explain_write_errors
from geochg.training.finetune.adapters import make_trainable
from geochg.training.finetune.base import find_base, open_base, open_whole_base
from geochg.training.finetune.options import TuneOptions, preset, presets
from geochg.training.finetune.plan import dry_run, plan_run
from geochg.training.finetune.pruning import (
    apply_masks,
    check_sparsity,
    keep_masks_applied,
    load_pruning_masks,
    magnitude_masks,
    sparsity,
)
from geochg.training.finetune.run_state import PRUNING_MASKS


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    deltavlm_factory.save(deltavlm_factory.tiny_model(), folder / "deltavlm")
    save_vlm("llava", folder / "llava")
    return {"deltavlm": f"deltavlm:{folder / 'deltavlm'}", "llava": f"vlm:{folder / 'llava'}"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "data")


def pixels():
    return [deltavlm_factory.tile(seed) for seed in (1, 2)]


def said(model):
    """What a model says, in words, of two tiles."""
    answers = model.answer(pixels(), [ask(Task.QUESTION, "What is there?")])
    return [answer[0].text for answer in answers]


@pytest.mark.parametrize("kind", ["deltavlm", "llava"])
def test_an_adapter_that_is_loaded_says_what_was_learned(kind, bases, rows, tmp_path):
    card = tuned(bases[kind], rows, tmp_path, rank=4, learning_rate=0.05)
    folder = tmp_path / "out"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "card.json",
    ]
    assert card["base"]["checksum"].startswith("sha256:")
    assert json.loads((folder / "card.json").read_text(encoding="utf-8")) == card
    base = load_model(bases[kind], {}, "cpu")
    with_adapter = load_model(bases[kind], {"adapter": str(folder)}, "cpu")
    assert with_adapter.identity.adapter.startswith(str(folder))
    tuned(bases[kind], rows, tmp_path, name="whole", rank=4, learning_rate=0.05, merge=True)
    name = bases[kind].partition(":")[0]
    whole = load_model(f"{name}:{tmp_path / 'whole'}", {}, "cpu")
    assert said(with_adapter) == said(whole) != said(base)


def test_the_builtin_model_takes_an_adapter(rows, tmp_path):
    tuned("builtin", rows, tmp_path, steps=1, rank=2, learning_rate=1.0)
    # With an adapter it runs by torch, in float32.
    base = load_model("builtin", {"precision": "float32"}, "cpu")
    adapted = load_model("builtin", {"adapter": str(tmp_path / "out")}, "cpu")
    (seen, again) = (
        model.answer(pixels()[:1], [ask(Task.LOCATE)])[0][0] for model in (base, adapted)
    )
    # The map is the same, since only the language model was adapted.
    assert abs(seen.layers_at() - again.layers_at()).max() < 1e-3
    weights = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert any(part.abs().max() > 0 for name, part in weights.items() if "lora_B" in name)


@pytest.mark.parametrize("kind", ["deltavlm", "llava"])
@pytest.mark.parametrize("quantize", ["", "4bit", "8bit"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
def test_prune_quantise_adapt_merge_reload(kind, quantize, share, bases, rows, tmp_path):
    """The sparsity after each step, and the words of what comes out."""
    base = find_base(bases[kind])
    given = {"quantize": quantize, "prune": share, "merge": True, "rank": 4}
    options = TuneOptions(**given, device="cpu", bf16=False)
    work = tmp_path / "look"
    work.mkdir()
    if share:
        dense = open_whole_base(base, TuneOptions(), work)
        masks = magnitude_masks(dense.network, share)
        assert sparsity(dense.network, masks) < share / 2
        pruned = open_whole_base(base, options, work)
        assert sparsity(pruned.network, masks) == pytest.approx(share, abs=1e-4)
        quantised, kept = open_base(base, options, "cpu", work)
        assert all(torch.equal(kept[name], masks[name]) for name in masks)
        make_trainable(quantised, base, options)
        if quantize:
            whole_quantised, _ = open_base(
                base, TuneOptions(quantize=quantize, device="cpu"), "cpu", work
            )
            with pytest.raises(ModelError, match="packed by quantisation"):
                magnitude_masks(whole_quantised.network, share)
    card = tuned(bases[kind], rows, tmp_path, **given)
    name = bases[kind].partition(":")[0]
    again = open_whole_base(find_base(f"{name}:{tmp_path / 'out'}"), TuneOptions(), tmp_path)
    if share:
        assert card["results"]["sparsity"] == pytest.approx(share, abs=1e-4)
        saved = load_pruning_masks(tmp_path / "out")
        assert (tmp_path / "out" / PRUNING_MASKS).is_file()
        assert sparsity(again.network, saved) == pytest.approx(share, abs=1e-4)
        assert all(torch.equal(saved[name], masks[name]) for name in masks)
    # The same without merging: base in full precision, adapter beside it.
    examples = read_examples(rows)[:3]
    from geochg.training.finetune.sample import load_sample

    inputs = again.inputs([load_sample(example, masks=False) for example in examples])
    with torch.no_grad():
        found = float(again.eval()(**inputs)["text"])
        plain = float(open_whole_base(base, TuneOptions(), tmp_path).eval()(**inputs)["text"])
    assert found != plain
    if not share:
        other = tmp_path / "beside"
        tuned(bases[kind], rows, other, **{**given, "merge": False})
        beside = open_whole_base(base, TuneOptions(), tmp_path)
        from geochg.training.finetune.adapters import merge_saved_adapter

        merge_saved_adapter(beside, other / "out")
        with torch.no_grad():
            assert float(beside.eval()(**inputs)["text"]) == pytest.approx(found, rel=1e-4)


def test_pruning_cuts_the_smallest_of_each_layer(bases, tmp_path):
    network = open_whole_base(find_base(bases["llava"]), TuneOptions(), tmp_path).network
    masks = magnitude_masks(network, 0.1)
    assert not any("vision" in name or "embed" in name or "lm_head" in name for name in masks)
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int((~mask).sum()) for mask in masks.values()) == round(0.1 * total)
    for name, mask in masks.items():
        weight = network.get_submodule(name).weight.abs()
        assert weight[~mask].max() <= weight[mask].min()
        assert float((~mask).float().mean()) == pytest.approx(0.1, abs=2e-3)


def test_a_pruned_base_that_is_opened_again_knows_what_it_came_from(bases, tmp_path):
    # Files exported from the base lie there, and what comes out gets such files too.
    base = find_base(bases["deltavlm"])
    model = open_whole_base(base, TuneOptions(prune=0.1, device="cpu"), tmp_path)
    assert model.folder == base.folder


def test_what_is_cut_grows_back_unless_it_is_kept_cut():
    weights = {}
    for kept in (False, True):
        torch.manual_seed(0)
        model = torch.nn.ModuleDict(
            {"language_model": torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False))}
        )
        masks = magnitude_masks(model, 0.25)
        apply_masks(model, masks)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        if kept:
            keep_masks_applied(model, masks, optimizer)
        for _ in range(3):
            optimizer.zero_grad()
            (model["language_model"](torch.ones(1, 8)) ** 2).sum().backward()
            optimizer.step()
        weights[kept] = sparsity(model, masks)
    assert weights == {False: 0.0, True: 0.25}


def test_whole_parts_are_trained_and_stay_cut(bases, rows, tmp_path):
    card = tuned(bases["llava"], rows, tmp_path, lora=(), full=("language",), prune=0.1)
    assert card["results"]["sparsity"] == pytest.approx(0.1, abs=1e-4)
    before = open_whole_base(
        find_base(bases["llava"]), TuneOptions(), tmp_path
    ).network.state_dict()
    after = open_whole_base(
        find_base(f"vlm:{tmp_path / 'out'}"), TuneOptions(), tmp_path
    ).network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("language_model" in name and "_proj" in name for name in moved)


class Killed(BaseException):
    """As if the process ended."""


def at_step(step, action):
    def listen(event):
        if isinstance(event, Progress) and event.done == step:
            action()

    return listen


def kill():
    raise Killed


OPTIONS = {
    "steps": 6,
    "save_steps": 2,
    "dropout": 0.3,
    "accumulate": 2,
    "lora": ("language", "dense"),
}


@pytest.fixture(scope="module")
def unbroken(bases, rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    tuned(bases["deltavlm"], rows, folder, evaluate_steps=2, **OPTIONS)
    return load_file(folder / "out" / "adapter_model.safetensors")


@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_run_that_was_killed_ends_with_the_same_bits(step, unbroken, bases, rows, tmp_path):
    given = {**OPTIONS, "evaluate_steps": 2}
    with pytest.raises(Killed):
        tuned(bases["deltavlm"], rows, tmp_path, at_step(step, kill), **given)
    if step > 2:
        with pytest.raises(InputError, match="not finished"):
            tuned(bases["deltavlm"], rows, tmp_path, **given)
    tuned(bases["deltavlm"], rows, tmp_path, resume=True, **given)
    found = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert found.keys() == unbroken.keys()
    assert all(torch.equal(found[name], unbroken[name]) for name in found)
    assert not list((tmp_path / "out.work").glob("checkpoint-*"))


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(unbroken, bases, rows, tmp_path):
    given = {**OPTIONS, "evaluate_steps": 2}
    before = signal.getsignal(signal.SIGINT)
    interrupt = at_step(3, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(CancelledRunError, match="stopped after step 3 of 6") as caught:
        tuned(bases["deltavlm"], rows, tmp_path, interrupt, **given)
    assert "--resume" in caught.value.hint
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "out.work" / "checkpoint-3" / WHOLE).is_file()
    tuned(bases["deltavlm"], rows, tmp_path, resume=True, **given)
    found = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert all(torch.equal(found[name], unbroken[name]) for name in found)


def test_a_checkpoint_that_is_not_whole_is_passed_over(unbroken, bases, rows, tmp_path):
    given = {**OPTIONS, "evaluate_steps": 2}
    with pytest.raises(Killed):
        tuned(bases["deltavlm"], rows, tmp_path, at_step(5, kill), **given)
    work = tmp_path / "out.work"
    (work / "checkpoint-4" / WHOLE).unlink()
    (work / "checkpoint-4" / "trained.safetensors").write_bytes(b"half")
    tuned(bases["deltavlm"], rows, tmp_path, resume=True, **given)
    found = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert all(torch.equal(found[name], unbroken[name]) for name in found)


def test_a_run_goes_on_only_with_what_it_was_begun_with(bases, rows, tmp_path):
    with pytest.raises(Killed):
        tuned(bases["llava"], rows, tmp_path, at_step(3, kill), save_steps=2)
    with pytest.raises(OptionError, match="differs in rank"):
        tuned(bases["llava"], rows, tmp_path, save_steps=2, rank=3, resume=True)
    other = write_rows(tmp_path / "other", pairs=6)
    with pytest.raises(OptionError, match="differs in training rows"):
        tuned(bases["llava"], other, tmp_path, save_steps=2, resume=True)


def test_a_half_written_adapter_or_model_is_not_loaded(bases, rows, tmp_path):
    tuned(bases["llava"], rows, tmp_path, steps=1)
    (tmp_path / "out" / UNFINISHED).touch()
    with pytest.raises(ModelError, match="half written"):
        load_model(bases["llava"], {"adapter": str(tmp_path / "out")}, "cpu")
    whole = tmp_path / "model"
    shutil.copytree(bases["llava"].partition(":")[2], whole)
    (whole / UNFINISHED).touch()
    with pytest.raises(ModelError, match="half written"):
        load_model(f"vlm:{whole}", {}, "cpu")


def test_training_stops_early_and_keeps_the_best(bases, rows, tmp_path):
    # A rate at which all is soon forgotten.
    card = tuned(
        bases["llava"], rows, tmp_path, steps=12, evaluate_steps=1, patience=2, learning_rate=3.0,
        validation_share=0.5, warmup=0,
    )  # fmt: skip
    history = json.loads((tmp_path / "out.work" / "evaluations.json").read_text(encoding="utf-8"))
    losses = {int(step): found["loss"] for step, found in history.items()}
    best = min(losses, key=losses.get)
    assert card["results"]["best_step"] == best
    assert max(losses) == best + 2 < 12
    assert card["results"]["validation_loss"] == pytest.approx(losses[best], abs=1e-5)


def test_gradients_of_a_step_do_not_depend_on_how_it_is_split(bases, rows, tmp_path):
    for name, batch, accumulate in (("one", 4, 1), ("two", 2, 2)):
        tuned(
            bases["llava"], rows, tmp_path, name=name, batch_size=batch, accumulate=accumulate,
            dropout=0.0, steps=3,
        )  # fmt: skip
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5


def test_a_dry_run_tells_what_is_trained_and_trains_nothing(bases, rows, tmp_path):
    options = TuneOptions(rank=4, batch_size=2, epochs=2, device="cpu", bf16=False)
    plan = plan_run(read_examples(rows), [], find_base(bases["llava"]), options)
    report = dry_run(plan, tmp_path / "w")
    # Per layer: q and o 32x32, k and v 32x16, gate and up 32x48, down 48x32.
    each = 2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 48)
    assert report.trained_parameters == 2 * 4 * each
    assert report.rows == 9
    assert report.steps == 9
    assert report.learning_bytes == 12 * report.trained_parameters
    assert 0 < report.step_seconds < 60
    assert report.seconds == pytest.approx(report.step_seconds * 9, abs=0.06)
    assert report.fits
    assert not list((tmp_path / "w").iterdir())


def test_too_little_memory_is_told_before_the_first_step(bases, rows, tmp_path, monkeypatch):
    from geochg.training.finetune import base

    monkeypatch.setattr(base, "available_bytes", lambda device: 1000)
    with pytest.raises(ModelError, match="the weights of the base alone take") as caught:
        tuned(bases["llava"], rows, tmp_path)
    assert "--quantize 4bit" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_presets_hold_the_published_numbers():
    assert set(presets()) == {"deltavlm", "geollava", "unirs", "changechat"}
    made = {name: TuneOptions.from_dict(preset(name)) for name in presets()}
    geollava, deltavlm, unirs = made["geollava"], made["deltavlm"], made["unirs"]
    assert (geollava.rank, geollava.alpha, geollava.dropout) == (64, 128, 0.1)
    assert (geollava.bits, geollava.learning_rate, geollava.warmup) == (4, 1e-4, 50)
    assert (deltavlm.learning_rate, deltavlm.weight_decay, deltavlm.epochs) == (1e-5, 0.05, 30)
    assert deltavlm.batch_size * deltavlm.accumulate == 24
    assert deltavlm.full[0] == "vision_top"
    assert unirs.batch_size * unirs.accumulate == 128
    with pytest.raises(OptionError, match="no preset 'gpt'"):
        preset("gpt")


@pytest.mark.parametrize("name", ["deltavlm", "geollava", "unirs"])
def test_presets_train_a_model_of_their_kind(name, bases, rows, tmp_path):
    kind = "deltavlm" if name == "deltavlm" else "llava"
    few = {"steps": 1, "batch_size": 2, "accumulate": 1, "evaluate_steps": 0, "patience": 0}
    options = {**preset(name), **few, "warmup": 0, "bf16": False}
    card = tuned(
        bases[kind],
        rows,
        tmp_path,
        **{
            key: tuple(value) if isinstance(value, list) else value
            for key, value in options.items()
        },
    )
    assert card["kind"] == ("adapter" if name == "geollava" else "model")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank": 0}, "rank 0"),
        ({"prune": 1.0}, "prune 1.0"),
        ({"lora": ()}, "nothing to train"),
        ({"quantize": "3bit"}, "quantize 3bit"),
        ({"quantize": "4bit", "lora": (), "full": ("language",)}, "cannot be trained themselves"),
        ({"patience": 2}, "patience is given, but nothing is evaluated"),
        ({"learning_rate": float("nan")}, "learning rate nan"),
        ({"crop": 0.0}, "crop 0"),
    ],
)
def test_options_that_make_no_sense(values, message):
    with pytest.raises(OptionError, match=message) as caught:
        TuneOptions(**values)
    assert caught.value.hint


def test_a_base_without_the_part_is_told(bases, rows, tmp_path):
    with pytest.raises(ModelError, match="in the module group 'dense'"):
        tuned(bases["llava"], rows, tmp_path, lora=("dense",))
    with pytest.raises(ModelError, match="both adapted and trained"):
        tuned(bases["llava"], rows, tmp_path, full=("language",))
    with pytest.raises(OptionError, match="neither a module group"):
        tuned(bases["llava"], rows, tmp_path, lora=("(",))


@pytest.mark.parametrize("quantize", ["", "4bit"])
def test_a_new_run_takes_nothing_of_an_older_one(quantize, bases, rows, tmp_path):
    given = {"steps": 2, "quantize": quantize}
    with pytest.raises(Killed):
        tuned(bases["llava"], rows, tmp_path, at_step(1, kill), prune=0.1, **given)
    (tmp_path / "out.work" / "evaluations.json").write_text("{}", encoding="utf-8")
    card = tuned(bases["llava"], rows, tmp_path, prune=0.3, **given)
    assert card["results"]["sparsity"] == pytest.approx(0.3, abs=1e-3)
    assert not (tmp_path / "out.work" / "evaluations.json").exists()


def test_masks_that_cut_another_share_are_refused(bases, tmp_path):
    network = open_whole_base(find_base(bases["llava"]), TuneOptions(), tmp_path).network
    masks = magnitude_masks(network, 0.1)
    apply_masks(network, masks)
    assert check_sparsity(network, masks, 0.1) == pytest.approx(0.1, abs=1e-3)
    with pytest.raises(InputError, match=r"not a share of 0\.2"):
        check_sparsity(network, masks, 0.2)


def test_a_run_goes_on_without_what_was_half_written(unbroken, bases, rows, tmp_path):
    given = {**OPTIONS, "evaluate_steps": 2}
    with pytest.raises(Killed):
        tuned(bases["deltavlm"], rows, tmp_path, at_step(5, kill), **given)
    work, told = tmp_path / "out.work", []
    history, facts = work / "evaluations.json", work / "run.json"
    history.write_text(history.read_text(encoding="utf-8")[:9], encoding="utf-8")
    kept = facts.read_text(encoding="utf-8")
    facts.write_text(kept[:20], encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read") as caught:
        tuned(bases["deltavlm"], rows, tmp_path, resume=True, **given)
    assert "start anew" in caught.value.hint
    facts.write_text(kept, encoding="utf-8")
    written = facts.stat().st_mtime_ns
    tuned(bases["deltavlm"], rows, tmp_path, told.append, resume=True, **given)
    assert any("evaluations begin anew" in getattr(event, "message", "") for event in told)
    assert facts.stat().st_mtime_ns == written
    found = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert found.keys() == unbroken.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("writer", ["safetensors", "torch", "file"])
def test_a_disk_that_takes_no_more_is_told(writer, tmp_path):
    write = {
        "safetensors": "from safetensors.torch import save_file\n"
        "    save_file({'a': torch.ones(99999)}, file)",
        "torch": "torch.save(torch.ones(99999), file)",
        "file": "file.write_bytes(bytes(99999))",
    }[writer]
    script = f"""
import resource, signal, sys, torch
from pathlib import Path
from geochg.errors import RunError
from geochg.training.checkpoints import explain_write_errors

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
  with explain_write_errors(file.parent):
    {write}
except RunError as error:
    sys.exit(0 if "make room" in error.hint else 2)
sys.exit(3)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_is_no_matter_of_the_disk_is_left_as_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), explain_write_errors(tmp_path):
        raise RuntimeError("shapes do not match")
