"""Losses of the vision stage: any change, change of buildings, land cover of each date."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.models.deltavlm.dense_head import COVERS, DenseOutput

LOGIT_WEIGHTS = (1.0, 0.5, 0.5)
"""Weights of the pyramid's logits, of the statistics' and of their mean."""

BUILDING_WEIGHT, COVER_WEIGHT = 0.7, 0.4

_CHANGED_WEIGHT = 1.5
_SMOOTH = 20.0


def vision_losses(output: DenseOutput, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parts of the loss by name, and their weighted sum as `total`.

    The change losses are taken at half the image's size, those of land cover at the head's.

    Args:
        output: Output of the head.
        batch: See `pairs.pair_batch`.
    """
    half = {name: batch[name][:, 1::2, 1::2] for name in ("cover_before", "cover_after", "change")}
    size = (half["change"].shape[-2], half["change"].shape[-1])
    pyramid, statistics = (
        functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        for logits in (output.pyramid_logits, output.statistics_logits)
    )
    logit_maps = (pyramid, statistics, (pyramid + statistics) / 2)
    change = half["change"]
    is_known = (change != UNKNOWN_CHANGE) & batch["teaches_change"].view(-1, 1, 1)
    covers = (half["cover_before"], half["cover_after"])
    is_building_change = (covers[0] == Cover.BUILDING) != (covers[1] == Cover.BUILDING)
    known_buildings = _tells_buildings(covers[0]) & _tells_buildings(covers[1])
    parts = {
        "change": _change_loss_over(logit_maps, 0, change == 1, is_known),
        "building": _change_loss_over(logit_maps, 1, is_building_change, known_buildings),
        "cover": cover_loss(output.before_logits, batch["cover_before"])
        + cover_loss(output.after_logits, batch["cover_after"]),
    }
    total = parts["change"] + BUILDING_WEIGHT * parts["building"] + COVER_WEIGHT * parts["cover"]
    return {**parts, "total": total}


def _change_loss_over(
    logit_maps: tuple[Tensor, ...], channel: int, truth: Tensor, is_known: Tensor
) -> Tensor:
    losses = [
        weight * change_loss(logits[:, channel], truth, is_known)
        for weight, logits in zip(LOGIT_WEIGHTS, logit_maps, strict=True)
    ]
    return torch.stack(losses).sum()


def change_loss(logits: Tensor, truth: Tensor, is_known: Tensor) -> Tensor:
    """Cross entropy, and half of one minus the Dice overlap over the batch.

    Args:
        logits: `(batch, rows, columns)`.
        truth: As `logits`, bool.
        is_known: As `logits`, bool: what counts.
    """
    weight = is_known.float()
    target = truth.float() * weight
    guess = logits.sigmoid() * weight
    entropy = functional.binary_cross_entropy_with_logits(
        logits, target, pos_weight=logits.new_tensor(_CHANGED_WEIGHT), reduction="none"
    )
    overlap = (2 * (guess * target).sum() + _SMOOTH) / (guess.sum() + target.sum() + _SMOOTH)
    return (entropy * weight).sum() / weight.sum().clamp(min=1) + (1 - overlap) / 2


def cover_loss(logits: Tensor, covers: Tensor) -> Tensor:
    """Cross entropy of sets of covers: minus the logarithm of the probability of any of them.

    Args:
        logits: `(batch, COVERS, rows, columns)`.
        covers: `(batch, height, width)` uint8, sets of `Cover`; at a multiple of the logits' size.
    """
    stride = covers.shape[-1] // logits.shape[-1]
    covers = covers[:, stride // 2 :: stride, stride // 2 :: stride]
    bits = torch.tensor(
        [1 << bit for bit in range(COVERS)], dtype=covers.dtype, device=covers.device
    )
    allowed = (covers[:, None] & bits.view(1, -1, 1, 1)) > 0
    informative = (covers != NOTHING) & (covers != ANY | Cover.NOT_SEEN)
    # A set of one cover tells most; that ground is seen at all, which is nearly all of it, least.
    weight = torch.where(allowed.sum(dim=1) == 1, 1.0, torch.where(covers == ANY, 0.1, 0.5))
    weight = weight * informative
    likelihood = logits.log_softmax(dim=1).masked_fill(~allowed, -30).logsumexp(dim=1)
    return -(likelihood * weight).sum() / weight.sum().clamp(min=1)


def _tells_buildings(covers: Tensor) -> Tensor:
    """Where a set says that there is a building, or that there is none."""
    has_no_building = (covers != NOTHING) & ((covers & Cover.BUILDING) == 0)
    return (covers == Cover.BUILDING) | has_no_building
