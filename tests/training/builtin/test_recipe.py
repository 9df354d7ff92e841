"""The passes of the vision stage: what each run begins with, and what comes of them."""

import pytest
import torch
from deltavlm_factory import tiny_config, tiny_model

from geochg.training.builtin import recipe
from geochg.training.builtin.options import CompactOptions

NAME = "dense.change.bias"


@pytest.fixture
def runs(monkeypatch):
    """Runs of a stage that adds the seed and 1 to a bias: what each began with, by its folder."""
    begun = {}

    def train_vision(model, grounds, folder, settings):
        bias = model.state_dict()[NAME]
        begun[folder.name] = bias.clone()
        bias += settings.seed + 1

    monkeypatch.setattr(recipe, "train_vision", train_vision)
    return begun


def tiny():
    return tiny_model(tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3))


@pytest.mark.parametrize(("count", "mean"), [(1, 1.0), (2, 2.0), (3, 8 / 3)])
def test_the_second_pass_goes_on_from_the_mean_of_runs_that_begin_alike(
    runs, tmp_path, count, mean
):
    model = tiny()
    start = model.state_dict()[NAME].clone()
    recipe.train_passes(model, [], tmp_path, CompactOptions(frozen_runs=count))
    assert len(runs) == count + 1
    for number in range(count):
        assert torch.equal(runs[f"frozen_{number + 1}"], start)
    assert torch.allclose(runs["opened"], start + mean)
    assert torch.allclose(model.state_dict()[NAME], start + mean + recipe.OPENED_SEED + 1)


def test_runs_that_are_done_are_not_done_again(runs, tmp_path):
    options = CompactOptions(frozen_runs=2)
    first, again = tiny(), tiny()
    recipe.train_passes(first, [], tmp_path, options)
    (tmp_path / "opened.safetensors").unlink()
    runs.clear()
    recipe.train_passes(again, [], tmp_path, options)
    assert list(runs) == ["opened"]
    assert torch.equal(again.state_dict()[NAME], first.state_dict()[NAME])
