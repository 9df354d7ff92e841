"""What a run is told before it begins: which rows it takes, where, and what makes it odd."""

import json
from dataclasses import replace

import deltavlm_factory
import pytest
import torch
from tuning_rows import tuned, write_rows
from vlm_factory import save_vlm

from geochg import extras
from geochg.datasets.examples import read_examples
from geochg.errors import InputError, ModelError, OptionError
from geochg.extras import MissingExtraError
from geochg.files.same_run import differences
from geochg.training.finetune.adapters import adapted_modules
from geochg.training.finetune.base import find_base
from geochg.training.finetune.options import Metric, TuneOptions
from geochg.training.finetune.plan import dry_run, plan_run, preflight_warnings
from geochg.training.finetune.run_state import comparable_state
from geochg.training.processes import dry_run_processes, local_device


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    deltavlm_factory.save(deltavlm_factory.tiny_model(), folder)
    return find_base(f"deltavlm:{folder}")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Twelve rows about four pairs, of no part."""
    file = write_rows(tmp_path_factory.mktemp("rows") / "data")
    return [replace(row, split="") for row in read_examples(file)]


def planned(base, rows, own=(), **options):
    return plan_run(rows, own, base, TuneOptions(device="cpu", bf16=False, steps=1, **options))


def warnings(plan):
    return [(notice.message, notice.warning) for notice in preflight_warnings(plan)]


def test_nothing_is_told_of_a_plain_run(base, rows):
    assert warnings(planned(base, rows)) == []


def test_held_out_rows_that_are_learned_are_told_and_a_dry_run_tells_them(base, rows, tmp_path):
    plan = planned(base, rows, rows[:3])
    ((message, warning),) = warnings(plan)
    assert warning
    assert message.startswith("3 of 3 validation rows show a picture or a location that is learned")
    assert dry_run(plan, tmp_path).remarks == (message,)
    assert dry_run(planned(base, rows), tmp_path).remarks == ()


def test_rows_that_are_not_used_are_told(base, rows):
    parts = ["train"] * 6 + ["test"] * 3 + ["fold1"] * 3
    marked = [replace(row, split=part) for row, part in zip(rows, parts, strict=True)]
    message = "rows of splits that are neither learned from nor held out: 3 of 'fold1', 3 of 'test'"
    assert warnings(planned(base, marked)) == [(message, True)]
    # Test rows are left out on purpose, and so are those of val beside rows of one's own.
    usual = [replace(row, split=row.split.replace("fold1", "val")) for row in marked]
    assert warnings(planned(base, usual)) == [(message.replace("3 of 'fold1', ", ""), False)]
    ((own, _),) = warnings(planned(base, usual[:6] + usual[9:], usual[6:9]))
    assert "3 of 'val'" in own
    with pytest.raises(InputError, match="no rows to learn from, only 3 of 'fold1'"):
        planned(base, marked[9:])


def test_a_metric_without_rows_is_told(base, rows):
    ((message, warning),) = warnings(planned(base, rows, metric=Metric.COUNT))
    assert warning
    assert "--metric count" in message
    assert warnings(planned(base, rows, metric=Metric.LOCATE)) == []


def test_bleu_needs_its_package_before_a_run_begins(base, rows, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"^sacrebleu is .*geochg\[evaluate\]"):
        planned(base, rows, metric=Metric.BLEU_4)
    planned(base, rows, metric=Metric.CIDER_D)


def test_each_process_takes_a_gpu_of_its_own(base, rows, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert plan_run(rows, [], base, TuneOptions(), processes=2).device == "cuda:1"
    assert local_device("cpu") == "cpu"
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert plan_run(rows, [], base, TuneOptions()).device == "cuda"
    # The Trainer would move the model off it.
    with pytest.raises(ModelError, match="the first GPU it sees") as caught:
        plan_run(rows, [], base, TuneOptions(device="cuda:1"))
    assert "CUDA_VISIBLE_DEVICES=1" in caught.value.hint


def test_one_process_tells_what_several_would_take(base, rows, monkeypatch):
    options = TuneOptions(device="cpu", batch_size=2, epochs=2, validation_share=0)
    steps = [plan_run(rows, [], base, options, processes=n).steps for n in (1, 3)]
    assert steps == [12, 4]
    assert (dry_run_processes(None), dry_run_processes(3)) == (1, 3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="takes one process"):
        dry_run_processes(2)


@pytest.mark.parametrize("kind", ["deltavlm", "llava", "instructblip"])
def test_rows_without_room_for_their_answers_are_refused(kind, base, rows, tmp_path):
    source = base.source
    if kind != "deltavlm":
        source = f"vlm:{save_vlm(kind, tmp_path / kind)}"
    file = rows[0].origin.file
    with pytest.raises(InputError, match=r"takes more than 3 tokens: '.*[Pp]lease") as caught:
        tuned(source, file, tmp_path, max_tokens=3)
    assert caught.value.hint == "raise --max-tokens"


@pytest.mark.parametrize("part", ["dense", "vision", "vision_top", r"dense\..*|vision\..*"])
def test_adapters_go_into_whole_convolutions_and_not_into_those_in_groups(part):
    network = deltavlm_factory.tiny_model()
    modules = dict(network.named_modules())
    names = adapted_modules(network, "deltavlm", [part])
    convolutions = [module for module in modules.values() if isinstance(module, torch.nn.Conv2d)]
    assert any(module.groups > 1 for module in convolutions)
    adapted = [modules[name] for name in names if isinstance(modules[name], torch.nn.Conv2d)]
    assert adapted
    assert all(module.groups == 1 for module in adapted)


def test_an_adapter_of_all_that_sees_is_merged(base, rows, tmp_path):
    file = write_rows(tmp_path / "few", pairs=2)
    seeing = {"lora": ("dense", "vision"), "rank": 3, "steps": 1, "merge": True}
    assert tuned(base.source, file, tmp_path, **seeing)["kind"] == "model"


def test_masks_that_nobody_asks_for_stop_nobody(base, rows, tmp_path):
    file = write_rows(tmp_path / "odd")
    for mask in (tmp_path / "odd" / "label").iterdir():
        mask.write_bytes(b"no picture at all")
    tuned(base.source, file, tmp_path, steps=1, name="words")
    for name, wanted in (("dense", {"lora": ("dense",)}), ("frames", {"crop": 0.8})):
        with pytest.raises(InputError, match="cannot be read as a picture"):
            tuned(base.source, file, tmp_path, steps=1, name=name, **wanted)


def test_checkpoints_of_nobody_knows_which_run_are_refused(base, rows, tmp_path):
    checkpoint = tmp_path / "out.work" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "whole").touch()
    with pytest.raises(InputError, match=r"has no run\.json"):
        tuned(base.source, rows[0].origin.file, tmp_path, resume=True)
    assert (checkpoint / "whole").exists()


def test_facts_of_another_version_are_told_not_stumbled_over(base, rows, tmp_path):
    state = json.loads(json.dumps(planned(base, rows).run_state()))

    def differing(former):
        return differences(comparable_state(former, state), comparable_state(state, state))

    assert differing(state) == []
    assert differing({**state, "options": {**state["options"], "gone": 1}}) == []
    less = {**state, "options": {k: v for k, v in state["options"].items() if k != "rank"}}
    assert differing(less) == ["rank"]
    assert "base" in differing([])
    assert differing({**state, "processes": 4}) == [
        f"number of processes (4, not {state['processes']})"
    ]
