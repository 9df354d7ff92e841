"""Training steps of every model run on another device than the host's, with the same loss."""

import deltavlm_factory
import numpy as np
import pytest
import torch
from pretend_device import DEVICE, PretendDevice, to_device
from torch import Tensor
from transformers.integrations import TensorBoardCallback
from vlm_factory import MAKERS, save_vlm

from geochg.datasets.ground.covers import ANY, Cover
from geochg.models.vlm.loading import VlmSettings, open_vlm
from geochg.records import Task
from geochg.tasks import SPECS
from geochg.training.builtin.stage_arguments import stage_arguments
from geochg.training.builtin.vision_stage import VisionOptions, VisionStage, VisionTrainer
from geochg.training.finetune.deltavlm import TrainableDeltaVLM
from geochg.training.finetune.sample import ChangeMasks, Sample
from geochg.training.finetune.vlm import trainable_vlm

SCENE_WAITS = 11
"""The statistics of each pair are made on the host, of five levels of both dates."""


def sample(masks: bool = False) -> Sample:
    dates = np.random.default_rng(1).integers(0, 255, (2, 3, 64, 64), np.uint8)
    classes = np.zeros((64, 64), np.uint8)
    classes[3:15, 3:15] = 1
    answers = ("Yes", "1 road has changed.", "A new road crosses the place.")
    layers = ChangeMasks(classes, classes.copy()) if masks else None
    return Sample(tuple(dates), Task.DIALOGUE, SPECS[Task.DIALOGUE].prompts, answers, layers)


def moved(inputs):
    return {
        name: part.to(DEVICE) if isinstance(part, Tensor) else part for name, part in inputs.items()
    }


def check_step(module, inputs, waits: int) -> None:
    """Trains a module for a step, on the host and on the device.

    Args:
        module: Gives losses by name.
        inputs: A batch.
        waits: How often the host may wait for the device.
    """
    torch.manual_seed(0)
    with torch.no_grad():
        expected = module(**inputs)
    with PretendDevice() as device:
        to_device(module)
        arguments = moved(inputs)
        torch.manual_seed(0)
        losses = module(**arguments)
        optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad])
        sum(losses.values()).backward()
        optimizer.step()
        assert device.own_waits().total() <= waits, device.own_waits()
        for name, loss in losses.items():
            assert float(loss.detach()) == pytest.approx(float(expected[name]), rel=1e-4), name
        assert any(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("kind", MAKERS)
def test_vision_language_models_learn(kind, tmp_path):
    folder = save_vlm(kind, tmp_path)
    engine = open_vlm(folder, VlmSettings("cpu", torch.float32, None, "", 8))
    model = trainable_vlm(engine, folder, 512)
    # Which tokens have labels is looked up once.
    check_step(model.eval(), model.inputs([sample(), sample()]), waits=1)


def test_deltavlm_learns():
    network = deltavlm_factory.tiny_model()
    model = TrainableDeltaVLM(
        network, deltavlm_factory.processor(network.config), None, 999, 1.0
    ).eval()
    model.wants_masks = model.learns_from_masks()
    check_step(model, model.inputs([sample(masks=True)]), waits=10)


def vision_stage() -> VisionStage:
    config = deltavlm_factory.tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    return VisionStage(deltavlm_factory.tiny_model(config), open_encoder=False).eval()


def pair_batch() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    cover = torch.full((2, 64, 64), int(ANY - Cover.BUILDING), dtype=torch.uint8)
    cover[:, 8:24, 8:24] = Cover.BUILDING
    return {
        "before": torch.rand(2, 4, 64, 64, generator=random),
        "after": torch.rand(2, 4, 64, 64, generator=random),
        "cover_before": cover.flip(1),
        "cover_after": cover,
        "change": (cover != cover.flip(1)).to(torch.uint8),
        "teaches_change": torch.tensor([True, True]),
        "resolution_m": torch.tensor([0.5, 1.0]),
    }


def test_the_dense_head_of_the_compact_model_learns():
    check_step(vision_stage(), pair_batch(), waits=SCENE_WAITS)


def test_the_losses_of_a_step_are_asked_for_where_they_are_logged(tmp_path):
    stage = vision_stage()
    arguments = stage_arguments(tmp_path, 4, learning_rate=1e-3, most_warmup_steps=1, save_steps=9)
    trainer = VisionTrainer(VisionOptions(4), model=stage, args=arguments, keep=1)
    # Without a run that has begun, its log would go into the working folder.
    trainer.remove_callback(TensorBoardCallback)
    with PretendDevice() as device:
        to_device(stage)
        trainer.compute_loss(stage, moved(pair_batch()))
        assert device.own_waits().total() <= SCENE_WAITS
        trainer.log({"loss": 1.0})
    assert set(trainer.state.log_history[-1]) >= {"change", "building", "cover", "total"}
