"""The vision stage: what learns, and how it goes on."""

import numpy as np
import pytest
import torch
from deltavlm_factory import tiny_config, tiny_model
from safetensors.torch import load_file, save_file

from geochg.datasets.ground.covers import ANY, Cover
from geochg.datasets.ground.labelled import LabelledGround
from geochg.errors import InputError, ModelError
from geochg.models.deltavlm.vision import NO_INFRARED, colors_of
from geochg.training.builtin import pairs as pairs_module
from geochg.training.builtin.recipe import load_vision
from geochg.training.builtin.vision_stage import (
    PairBatches,
    VisionOptions,
    VisionStage,
    average_checkpoints,
    normalised_images,
    train_vision,
)

SIDE_PX = 64


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pairs_module, "SIDE_PX", SIDE_PX)


def ground(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(40, 90, (80, 80, 3)).astype(np.uint8)
    cover = np.full((80, 80), int(ANY - Cover.BUILDING), np.uint8)
    for row, col in rng.integers(0, 60, (5, 2)):
        image[row : row + 16, col : col + 16] = 230
        cover[row : row + 16, col : col + 16] = Cover.BUILDING
    return LabelledGround("built", [image], [cover], 0.5, (0.5, 0.6), 1.0)


GROUNDS = [ground(seed) for seed in range(3)]


def options(**changes):
    return VisionOptions(**{"steps": 2, "batch_size": 2, "save_steps": 1000, **changes})


def tiny():
    config = tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    return tiny_model(config)


def moved(model):
    """Names of the parameters that are not those of a fresh model."""
    old = dict(tiny().named_parameters())
    return {name for name, part in model.named_parameters() if (part != old[name]).any()}


def test_with_a_frozen_encoder_only_the_head_learns(tmp_path):
    model = tiny()
    train_vision(model, GROUNDS, tmp_path, options())
    assert {name.partition(".")[0] for name in moved(model)} == {"dense"}
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_opened_only_the_deep_part_of_the_encoder_learns_too(tmp_path):
    model = tiny()
    train_vision(model, GROUNDS, tmp_path, options(encoder_rate=1e-3))
    of_vision = {name for name in moved(model) if name.startswith("vision.")}
    assert of_vision
    assert all(name.startswith("vision.model.stages.3.") for name in of_vision)


def test_the_opened_part_is_held_near_its_start(tmp_path):
    stage = VisionStage(tiny(), open_encoder=True)
    batch = PairBatches(GROUNDS, options())[0]
    stage.train()
    start = stage(**batch)
    with torch.no_grad():
        stage.vision.model.stages[3][0].project.bias += 30
    far = stage(**batch)
    told = {
        name: losses["total"]
        - losses["change"] - 0.7 * losses["building"] - 0.4 * losses["cover"]
        for name, losses in (("start", start), ("far", far))
    }  # fmt: skip
    assert told["start"].item() == pytest.approx(0, abs=1e-4)
    assert told["far"].item() == pytest.approx(1e-2 * 16 * 30**2, rel=1e-2)


def test_a_few_steps_lower_the_loss(tmp_path):
    torch.manual_seed(0)
    model = tiny()
    stage = VisionStage(model, open_encoder=False).eval()
    batches = PairBatches(GROUNDS, options(seed=9))

    def loss():
        with torch.no_grad():
            return sum(stage(**batches[number])["total"].item() for number in range(2))

    before = loss()
    train_vision(model, GROUNDS, tmp_path, options(steps=25, batch_size=3, learning_rate=1e-2))
    stage.eval()
    assert loss() < 0.9 * before


def test_batches_come_by_their_number():
    one, other = (PairBatches(GROUNDS, options()) for _ in range(2))
    one[0]
    for name, part in one[1].items():
        assert torch.equal(part, other[1][name]), name
    assert not torch.equal(one[0]["before"], one[1]["before"])
    assert not torch.equal(one[0]["before"], PairBatches(GROUNDS, options(seed=1))[0]["before"])


def test_a_missing_infrared_is_told_as_none():
    images = torch.rand(1, 4, 8, 8)
    images[:, 3] = -1
    config = tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    found = normalised_images(images)
    assert torch.allclose(found[:, :3] * 0.5 + 0.5, images[:, :3], atol=1e-6)
    assert found[0, 3, 0, 0] * 0.5 + 0.5 == NO_INFRARED
    colors = colors_of(found, config, 4)
    assert not colors[:, 3:].any()
    images[:, 3] = 0.8
    assert (colors_of(normalised_images(images), config, 4)[:, -1] == 1).all()


def test_a_stopped_training_goes_on_from_its_checkpoint(tmp_path):
    whole, stopped = tiny(), tiny()
    how = options(steps=4, save_steps=2, learning_rate=1e-2)
    train_vision(whole, GROUNDS, tmp_path / "whole", how)
    train_vision(stopped, GROUNDS, tmp_path / "stopped", how)
    # As a kill leaves it: some files half there, and the last one not yet.
    last = tmp_path / "stopped" / "checkpoint-4"
    (last / "whole").unlink()
    (last / "model.safetensors").write_bytes(b"half")
    again = tiny()
    train_vision(again, GROUNDS, tmp_path / "stopped", how)
    assert (last / "whole").exists()
    for name, part in again.state_dict().items():
        assert torch.equal(part, whole.state_dict()[name]), name
    # A run that is over only loads what it left: the mean of the second half's checkpoints.
    over = tiny()
    train_vision(over, GROUNDS, tmp_path / "whole", how)
    name = "dense.change.weight"
    first, last = (
        load_file(tmp_path / "whole" / f"checkpoint-{step}" / "model.safetensors")[name]
        for step in (2, 4)
    )
    assert not torch.equal(first, last)
    assert torch.allclose(over.state_dict()[name], (first + last) / 2, atol=1e-6)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt", "whole"])
@pytest.mark.parametrize("step", [2, 4])
def test_a_damaged_checkpoint_is_neither_gone_on_from_nor_averaged(tmp_path, file, step):
    how = options(steps=4, save_steps=2)
    train_vision(tiny(), GROUNDS, tmp_path, how)
    (tmp_path / f"checkpoint-{step}" / file).write_bytes(b"")
    with pytest.raises(InputError, match=rf"checkpoint-{step} is damaged: {file}"):
        train_vision(tiny(), GROUNDS, tmp_path, how)


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ValueError, match="no dense head"):
        VisionStage(tiny_model(tiny_config(vit=True)), open_encoder=False)


def test_weights_of_another_model_are_refused(tmp_path):
    state = tiny().state_dict()
    vision = {name: part for name, part in state.items() if name.startswith("vision.")}
    wide = {name: torch.stack([part, part]) for name, part in vision.items()}
    file = tmp_path / "model.safetensors"
    lost = {name: torch.full_like(part.float(), torch.nan) for name, part in vision.items()}
    for parts, told in (
        (vision, "has no dense"),
        (wide, "cannot be used"),
        (lost, "no finite numbers"),
        (None, "cannot be"),
    ):
        save_file(parts, file) if parts else file.write_bytes(b"no weights")
        with pytest.raises(ModelError, match=told) as caught:
            load_vision(tiny(), file)
        assert len(str(caught.value).splitlines()) == 2


def test_only_vision_part_and_head_are_taken(tmp_path):
    other = tiny_model(tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3), seed=1)
    save_file(
        {n: p.contiguous() for n, p in other.state_dict().items() if "lm_head" not in n},
        tmp_path / "m.safetensors",
    )
    model = tiny()
    load_vision(model, tmp_path / "m.safetensors")
    wanted, mine, old = other.state_dict(), model.state_dict(), tiny().state_dict()
    for name, part in mine.items():
        source = wanted if name.startswith(("vision.", "dense.")) else old
        assert torch.equal(part, source[name]), name


def test_without_checkpoints_there_is_no_mean(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint"):
        average_checkpoints(tiny(), tmp_path, 0)
