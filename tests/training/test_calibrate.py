from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
from geochg.models.deltavlm.dense import DenseOutput
from geochg.training.calibrate import calibrate, calibration_error
from geochg.training.drawn import DrawnPair

SIDE_PX, STRIDE_PX = 64, 4


class Pairs:
    """Pairs of noise whose change is drawn from probabilities that the head knows."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image = np.full((3, SIDE_PX, SIDE_PX), index, np.uint8)
        cells = rng.random((16, 16)) < likely(index)
        classes = np.kron(cells, np.ones((STRIDE_PX, STRIDE_PX))).astype(np.uint8)
        return DrawnPair(image, image, classes, classes, classes, classes, [], [])


def likely(index):
    """The true probability of change of each of the head's pixels; odd pairs never change."""
    rng = np.random.default_rng((index, 1))
    return rng.random((16, 16)) ** 2 * (index % 2 == 0)


class Head:
    """A head that knows the truth but is too sure by a factor."""

    def __init__(self, factor):
        self.config = SimpleNamespace(dense_config=DeltaVLMDenseConfig())
        self.summary = SimpleNamespace(temperature=1.0)
        self.vision = SimpleNamespace(maps=lambda before, after: before)
        self.factor = factor

    def train(self, mode):
        assert not mode

    def parameters(self):
        yield SimpleNamespace(device=PLACE)

    def look(self, before):
        indexes = before[:, 0, 0, 0].long().tolist()
        truth = torch.from_numpy(np.stack([likely(index) for index in indexes])).float()
        logits = torch.logit(truth.clamp(1e-4, 1 - 1e-4)) * self.factor
        channels = torch.full((len(indexes), 15, 16, 16), -30.0)
        channels[:, 0] = logits
        presence = torch.tensor([2.0 if index % 2 == 0 else -1.0 for index in indexes])
        return DenseOutput(channels, logits[:, None], channels[:, :, ::2, ::2], presence)


PLACE = "where it was trained"


class Elsewhere(NamedTuple):
    """Pixels that must be brought to the model."""

    pixels: torch.Tensor

    def to(self, device):
        assert device == PLACE
        return self.pixels


class Processor:
    @staticmethod
    def pixels(images):
        return Elsewhere(torch.from_numpy(np.stack(images)).float())


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.5])
def test_a_head_that_is_too_sure_is_cooled_by_as_much(factor):
    head = Head(factor)
    found = calibrate(head, Processor, Pairs())
    assert found.temperature == pytest.approx(factor, rel=0.12)
    assert head.config.dense_config.temperature == head.summary.temperature == found.temperature
    assert found.error < 0.02
    assert found.pairs == 40


def test_the_thresholds_are_the_best_ones():
    head = Head(1.0)
    found = calibrate(head, Processor, Pairs())
    truth = np.concatenate([likely(index) for index in range(40)])
    changed = np.concatenate([Pairs()[index].classes[::4, ::4] > 0 for index in range(40)])

    def f1(cut):
        said = truth >= cut
        return 2 * (said & changed).sum() / (said.sum() + changed.sum())

    assert head.config.dense_config.threshold == found.threshold
    assert found.pixel_f1 == pytest.approx(
        max(f1(cut) for cut in np.linspace(0.05, 0.95, 91)), abs=0.02
    )
    assert found.balanced_accuracy == 1
    assert 0.5 < found.presence_threshold < 0.7


def test_the_calibration_error_of_a_sure_and_wrong_head_is_large():
    changed = np.zeros(1000, bool)
    assert calibration_error(np.full(1000, 0.9, np.float32), changed) == pytest.approx(
        0.9, abs=0.01
    )
    assert calibration_error(np.zeros(1000, np.float32), changed) == 0
