"""Damaged files of a run that is to go on: each is refused in a line, and none is trained on."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tuning_rows import tuned, write_rows
from vlm_factory import save_vlm

from geochg.errors import InputError
from geochg.events import Notice, Progress


class Killed(BaseException):
    """As if the process ended."""


def kill_at_5(event):
    if isinstance(event, Progress) and event.done == 5:
        raise Killed


GIVEN = {"steps": 6, "save_steps": 2, "evaluate_steps": 2, "prune": 0.1}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    save_vlm("llava", folder / "llava")
    write_rows(folder / "data")
    with pytest.raises(Killed):
        tuned(f"vlm:{folder / 'llava'}", folder / "data/train.json", folder, kill_at_5, **GIVEN)
    return folder


@pytest.fixture
def resumed(place, tmp_path):
    """Spoils a copy of the run's folder and goes on with it; what was told."""
    shutil.copytree(place / "out.work", tmp_path / "out.work")

    def resume(name, damage):
        told = []
        damage(tmp_path / "out.work" / name)
        source = f"vlm:{place / 'llava'}"
        tuned(source, place / "data/train.json", tmp_path, told.append, resume=True, **GIVEN)
        return [event.message for event in told if isinstance(event, Notice)]

    return resume


def cut_short(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file):
    file.write_bytes(b"")


def other_json(file):
    file.write_text('{"a": [1, 2], "b": null}', encoding="utf-8")


def remove(file):
    file.unlink()


def infinite(file):
    parts = load_file(file)
    save_file({name: torch.full_like(part, torch.inf) for name, part in parts.items()}, file)


def first_numbers(file):
    parts = load_file(file)
    save_file({name: part.flatten()[:1].clone() for name, part in parts.items()}, file)


def other_number(file):
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"global_step": 4', '"global_step": 0'), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("optimizer.pt", cut_short),
        ("optimizer.pt", remove),
        ("scheduler.pt", empty),
        ("rng_state.pth", other_json),
        ("trained.safetensors", first_numbers),
        ("trained.safetensors", remove),
        ("trainer_state.json", cut_short),
        ("trainer_state.json", other_number),
        ("whole", empty),
        ("whole", other_json),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_way_on_is_told(resumed, file, damage):
    with pytest.raises(InputError, match="checkpoint-4 is damaged") as caught:
        resumed(f"checkpoint-4/{file}", damage)
    assert "remove that folder" in caught.value.hint


@pytest.mark.parametrize("damage", [cut_short, empty, other_json, remove, infinite, first_numbers])
def test_damaged_best_weights_are_refused(resumed, damage):
    with pytest.raises(InputError, match=r"best\.safetensors"):
        resumed("best.safetensors", damage)


@pytest.mark.parametrize("damage", [cut_short, empty, first_numbers])
def test_damaged_pruning_masks_are_refused(resumed, damage):
    with pytest.raises(InputError, match=r"pruning\.safetensors|masks"):
        resumed("pruning.safetensors", damage)


@pytest.mark.parametrize("damage", [cut_short, other_json, remove])
def test_lost_evaluations_are_told(resumed, damage):
    assert any("evaluations begin anew" in text for text in resumed("evaluations.json", damage))


def test_a_checkpoint_that_was_removed_leaves_the_one_before_it(resumed, tmp_path):
    resumed("checkpoint-4", shutil.rmtree)
    card = json.loads((tmp_path / "out" / "card.json").read_text(encoding="utf-8"))
    assert card["results"]["steps"] == 6
