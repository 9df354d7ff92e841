"""What the dense head is trained with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geochg.models.deltavlm.dense import DenseOutput


@dataclass(frozen=True, slots=True)
class DenseTargets:
    """The truth about a batch of pairs.

    Attributes:
        masks: `(batch, channels, height, width)` bool or 0-1, channels as the head's, at the size
            of the image or already at the head's; a pixel may be in several (a building appeared
            where vegetation disappeared).
        ignore: `(batch, height, width)` bool, pixels without truth (clouds, nodata); None for none.
        counts: `(batch, channels)` changed objects; NaN or None where nobody counted.
    """

    masks: Tensor
    ignore: Tensor | None = None
    counts: Tensor | None = None


@dataclass(frozen=True, slots=True)
class DenseWeights:
    """The share of each part in the total; `focus` is the exponent of the focal loss."""

    channels: float = 1.0
    dice: float = 0.5
    change: float = 1.0
    direction: float = 0.2
    presence: float = 0.2
    density: float = 0.1
    focus: float = 1.0


def dense_losses(
    output: DenseOutput,
    targets: DenseTargets,
    directions: int,
    weights: DenseWeights | None = None,
) -> dict[str, Tensor]:
    """The parts of the loss by name, each a scalar, and their weighted sum as `total`.

    Masks are averaged down to the head's resolution, so edges get soft targets.

    Args:
        output: Of the head.
        targets: The truth.
        directions: How many directions each class has.
        weights: Of the parts.
    """
    weights = weights or DenseWeights()
    masks = _averaged(targets.masks.float(), output.logits)
    anything = masks.sum(dim=1, keepdim=True).clamp(max=1)
    known = _known(targets, output)
    parts = {
        "channels": focal_loss(output.logits, masks, known, weights.focus),
        "dice": dice_loss(output.logits, masks, known),
        "change": focal_loss(output.change_logits, anything, known, weights.focus)
        + dice_loss(output.change_logits, anything, known),
        "direction": direction_loss(output.logits, masks, known, directions),
        "presence": functional.binary_cross_entropy_with_logits(
            output.presence_logits, (anything * known).flatten(1).amax(dim=1).gt(0.5).float()
        ),
        "density": density_loss(output.density, targets.counts),
    }
    total = sum(
        (getattr(weights, name) * part for name, part in parts.items()), masks.new_zeros(())
    )
    return {**parts, "total": total}


def focal_loss(logits: Tensor, target: Tensor, known: Tensor, focus: float) -> Tensor:
    """Binary cross-entropy weighted by how wrong the guess is, `|target - p| ** focus`.

    The focal loss of Lin et al. 2017 in its form for soft targets (Li et al. 2020, eq. 6), summed
    over the pixels and divided by the number of changed ones, which the unchanged far outnumber.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    wrong = (target - torch.sigmoid(logits)).abs() ** focus
    changed = (target * known).sum()
    # A floor of one pixel in a hundred keeps batches without change from exploding.
    return (entropy * wrong * known).sum() / changed.clamp(min=known.expand_as(target).sum() / 100)


def dice_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """One minus the Dice overlap of each channel over the batch, mean over channels with change."""
    guess, truth = torch.sigmoid(logits) * known, target * known
    overlap = 2 * (guess * truth).sum((0, 2, 3)) + 1
    loss = 1 - overlap / (guess.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    present = truth.amax((0, 2, 3)).gt(0.5).float()
    return (loss * present).sum() / present.sum().clamp(min=1)


def direction_loss(logits: Tensor, target: Tensor, known: Tensor, directions: int) -> Tensor:
    """Cross-entropy over the directions of a class, where that class changed.

    Args:
        logits: `(batch, classes * directions, rows, columns)`.
        target: As `logits`, 0-1.
        known: `(batch, 1, rows, columns)` 0-1.
        directions: How many there are.
    """
    guess = _by_class(logits, directions).log_softmax(dim=2)
    truth = _by_class(target, directions)
    share = truth.sum(dim=2)
    told = truth / share[:, :, None].clamp(min=1e-6)
    changed = share.clamp(max=1) * known
    entropy: Tensor = -(told * guess).sum(dim=2) * changed
    return entropy.sum() / changed.sum().clamp(min=1)


def density_loss(density: Tensor, counts: Tensor | None) -> Tensor:
    """Smooth L1 between the logarithms of one plus the numbers of objects."""
    if counts is None:
        return density.sum() * 0
    counted = ~counts.isnan()
    guess, truth = density.sum((2, 3)).log1p(), counts.nan_to_num().log1p()
    error = functional.smooth_l1_loss(guess, truth, beta=0.2, reduction="none") * counted
    return error.sum() / counted.sum().clamp(min=1)


def _known(targets: DenseTargets, output: DenseOutput) -> Tensor:
    """`(batch, 1, rows, columns)`: the share of each pixel of the head that has a truth."""
    if targets.ignore is None:
        return torch.ones_like(output.change_logits)
    return _averaged((~targets.ignore[:, None]).float(), output.change_logits)


def _by_class(layers: Tensor, directions: int) -> Tensor:
    batch, channels, rows, cols = layers.shape
    return layers.reshape(batch, channels // directions, directions, rows, cols)


def _averaged(layers: Tensor, like: Tensor) -> Tensor:
    """The layers at the size of others, by means over areas."""
    rows, cols = like.shape[-2:]
    if layers.shape[-2:] == like.shape[-2:]:
        return layers
    return functional.adaptive_avg_pool2d(layers, (rows, cols))
