"""After training: how sure the dense head may be, and from where on a pixel or a tile changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch.nn import functional

from geochg.models.deltavlm.dense import DenseOutput, channel_probability
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.training.drawn import DrawnPairs
from geochg.training.seeing import channel_masks

_BATCH = 8
_THRESHOLDS = np.linspace(0.05, 0.95, 91).round(2)
_TEMPERATURES = (0.3, 4.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is found, and how well the head does with it on the pairs it was found on.

    Attributes:
        temperature: Divides the logits before the sigmoid.
        threshold: Probability of change from which on a pixel changed: best F1 of the pixels.
        presence_threshold: Probability from which on a tile changed: best balanced accuracy.
        pixel_f1: At `threshold`, 0-1.
        balanced_accuracy: At `presence_threshold`, 0-1.
        error: Expected calibration error of the pixels' probability of change, 0-1.
        pairs: How many it was found on.
    """

    temperature: float
    threshold: float
    presence_threshold: float
    pixel_f1: float
    balanced_accuracy: float
    error: float
    pairs: int


@torch.inference_mode()
def calibrate(
    model: DeltaVLMForConditionalGeneration, processor: DeltaVLMProcessor, pairs: DrawnPairs
) -> Calibration:
    """Finds temperature and thresholds on pairs the model has not learned from, and sets them.

    The temperature is the one of least cross-entropy (Guo et al. 2017) of "this pixel changed".

    Args:
        model: With a dense head; its configuration is changed.
        processor: Of the model.
        pairs: Of other seeds and, where real textures are used, of the held-out ones.
    """
    config = model.config.dense_config
    model.train(False)
    outputs, truths = _seen(model, processor, pairs)
    share = truths.sum(dim=1).clamp(max=1)

    def entropy(temperature: float) -> float:
        found = channel_probability(outputs, temperature).amax(dim=1)
        return float(functional.binary_cross_entropy(found.clamp(1e-6, 1 - 1e-6), share))

    best = minimize_scalar(entropy, bounds=_TEMPERATURES, method="bounded", options={"xatol": 0.02})
    temperature = float(best.x)
    found = channel_probability(outputs, temperature).amax(dim=1).numpy()
    changed = share.numpy() > 0.5
    threshold, f1 = _best_f1(found, changed)
    present = outputs.presence_logits.sigmoid().numpy()
    cut, accuracy = _best_balanced(present, np.asarray(changed.any(axis=(1, 2))))
    config.temperature, config.threshold, config.presence_threshold = temperature, threshold, cut
    if model.summary is not None:
        model.summary.temperature = temperature
    return Calibration(
        temperature, threshold, cut, f1, accuracy, calibration_error(found, changed), len(pairs)
    )


def calibration_error(found: NDArray[np.float32], changed: NDArray[np.bool_]) -> float:
    """Expected calibration error in fifteen bins of equal width (Guo et al. 2017, eq. 3)."""
    bins = np.clip((found * 15).astype(int), 0, 14).ravel()
    count = np.bincount(bins, minlength=15)
    gap = np.bincount(bins, found.ravel() - changed.ravel(), 15)
    return float(np.abs(gap).sum() / max(count.sum(), 1))


def _seen(
    model: DeltaVLMForConditionalGeneration, processor: DeltaVLMProcessor, pairs: DrawnPairs
) -> tuple[DenseOutput, torch.Tensor]:
    """What the head says of all pairs, and the share of each channel in each of its pixels."""
    outputs, truths = [], []
    # Training leaves it where it trained.
    device = next(model.parameters()).device
    for start in range(0, len(pairs), _BATCH):
        part = [pairs[index] for index in range(start, min(start + _BATCH, len(pairs)))]
        dates = (
            processor.pixels([getattr(pair, name) for pair in part]).to(device)
            for name in ("before", "after")
        )
        output = model.look(model.vision.maps(*dates))
        # The density is large and not calibrated.
        outputs.append(DenseOutput(*(layers.cpu() for layers in _without_density(output))))
        classes, directions = (
            torch.from_numpy(np.stack([getattr(pair, name) for pair in part]))
            for name in ("classes", "directions")
        )
        truths.append(channel_masks(classes, directions, model.config.dense_config))
    joined = DenseOutput(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
    return joined, torch.cat(truths)


def _without_density(output: DenseOutput) -> DenseOutput:
    """The output without its density."""
    return output._replace(density=output.density[:, :0])


def _best_f1(found: NDArray[np.float32], changed: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold of the best F1 of pixels, and that F1."""
    true = np.array([np.count_nonzero(changed & (found >= cut)) for cut in _THRESHOLDS])
    said = np.array([np.count_nonzero(found >= cut) for cut in _THRESHOLDS])
    scores = 2 * true / np.maximum(said + np.count_nonzero(changed), 1)
    return float(_THRESHOLDS[scores.argmax()]), float(scores.max())


def _best_balanced(found: NDArray[np.float32], changed: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold of the best mean of both classes' accuracies, and that mean."""
    above = found[None] >= _THRESHOLDS[:, None]
    hits = (above & changed).sum(1) / max(np.count_nonzero(changed), 1)
    rests = (~above & ~changed).sum(1) / max(np.count_nonzero(~changed), 1)
    scores = (hits + rests) / 2
    # In the middle of all that do as well, farthest from either kind.
    return float(np.median(_THRESHOLDS[scores == scores.max()])), float(scores.max())
