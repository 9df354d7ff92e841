"""How runs end: early, cut short while they write, and what is told of what came out."""

import json

import deltavlm_factory
import pytest
import torch
from four_bits import needs_four_bits
from safetensors.torch import load_file
from tuning_rows import tuned, write_rows
from vlm_factory import save_vlm

from geochg.datasets.examples import read_examples
from geochg.events import Progress
from geochg.training.finetune import run as module
from geochg.training.finetune.base import find_base, open_whole_base
from geochg.training.finetune.metrics import evaluate
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.plan import plan_run
from geochg.training.finetune.pruning import load_pruning_masks
from geochg.training.finetune.run_state import PRUNING_MASKS
from geochg.training.finetune.trainer import EvaluationCallback


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return f"vlm:{save_vlm('llava', tmp_path_factory.mktemp('llava'))}"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "data")


EARLY = {
    "steps": 12, "evaluate_steps": 1, "patience": 2, "learning_rate": 3.0, "validation_share": 0.5,
    "warmup": 0, "save_steps": 100,
}  # fmt: skip
"""A rate at which all is soon forgotten."""


class Killed(BaseException):
    """As if the process ended."""


def test_a_run_that_stopped_early_and_was_killed_then_is_not_trained_on(
    llava, rows, tmp_path, monkeypatch
):
    whole = tuned(llava, rows, tmp_path, name="whole", **EARLY)
    assert whole["results"]["steps"] == whole["results"]["best_step"] + 2 < 12

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_card", kill)
        with pytest.raises(Killed):
            tuned(llava, rows, tmp_path, **EARLY)
    steps = []

    def listen(event):
        if isinstance(event, Progress):
            steps.append(event.done)

    again = tuned(llava, rows, tmp_path, listen, resume=True, **EARLY)
    assert steps == []
    for name in ("steps", "best_step", "validation_loss"):
        assert again["results"][name] == whole["results"][name]
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("whole", "out"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_what_comes_out_of_pruning_is_what_is_scored(llava, rows, tmp_path):
    given = {"prune": 0.5, "steps": 8, "learning_rate": 0.05, "validation_share": 0.5}
    card = tuned(llava, rows, tmp_path, **given)
    options = TuneOptions(device="cpu", validation_share=0.5)
    out = find_base(f"vlm:{tmp_path / 'out'}")
    validation = plan_run(read_examples(rows), [], out, options).validation_set
    found = evaluate(open_whole_base(out, TuneOptions(device="cpu"), tmp_path), validation, 2)
    assert card["results"]["validation_loss"] == pytest.approx(found["loss"], abs=1e-5)


@pytest.mark.parametrize(("merge", "told"), [(True, 4), (False, None)])
def test_a_whole_model_of_quantised_weights_says_what_was_scored(
    merge, told, llava, rows, tmp_path
):
    needs_four_bits()
    card = tuned(llava, rows, tmp_path, quantize="4bit", merge=merge, steps=1)
    assert card["results"].get("validated_in_bits") == told


def test_a_run_that_learns_to_see_is_judged_by_that_too(rows, tmp_path):
    folder = deltavlm_factory.save(deltavlm_factory.tiny_model(), tmp_path / "base")
    source = f"deltavlm:{folder}"
    words = tuned(source, rows, tmp_path, name="words", lora=("language",), steps=1)["results"]
    seen = tuned(source, rows, tmp_path, name="seen", lora=("dense",), steps=1)["results"]
    assert "validation_seeing" not in words
    assert 0 < seen["validation_seeing"] < seen["validation_loss"]


def test_an_evaluation_that_found_no_number_is_never_the_best(tmp_path):
    evaluation = EvaluationCallback(tmp_path, TuneOptions(), dict, lambda file: None, print)
    evaluation.history = {1: {"loss": float("nan")}, 2: {"loss": 5.0}, 3: {"loss": 6.0}}
    assert evaluation.best_step == 2


def test_masks_that_were_read_do_not_hold_their_file(llava, tmp_path):
    """Windows neither replaces nor removes a file that a tensor lies in."""
    from geochg.training.finetune.pruning import magnitude_masks, save_pruning_masks

    network = open_whole_base(find_base(llava), TuneOptions(), tmp_path).network
    save_pruning_masks(magnitude_masks(network, 0.1), tmp_path)
    masks = load_pruning_masks(tmp_path)
    kept = {name: mask.clone() for name, mask in masks.items()}
    file = tmp_path / PRUNING_MASKS
    head = file.read_bytes()[:8]
    start = 8 + int.from_bytes(head, "little")
    with file.open("r+b") as writing:
        writing.seek(start)
        writing.write(bytes(file.stat().st_size - start))
    assert any(mask.any() for mask in kept.values())
    assert all(torch.equal(masks[name], kept[name]) for name in kept)


def test_a_history_is_taken_up_to_the_step_it_goes_on_from(tmp_path):
    options = TuneOptions(evaluate_steps=1, patience=2)
    evaluation = EvaluationCallback(tmp_path, options, dict, lambda file: None, print)
    found = {str(step): {"loss": loss} for step, loss in enumerate((3.0, 1.0, 2.0, 2.5, 0.5), 1)}
    (tmp_path / "evaluations.json").write_text(json.dumps(found), encoding="utf-8")
    for step, best, is_over in ((1, 1, False), (3, 2, False), (4, 2, True)):
        evaluation.restore(step)
        assert (evaluation.best_step, evaluation.is_over) == (best, is_over)
