"""A head of training only: what covers the ground at each date.

Few pixels of few pairs change, so from changes alone the vision part learns slowly what a roof or a
wood looks like. The world knows the cover of every pixel of both dates; naming it teaches features
that see the same thing under other light, and the dense head compares those.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geochg.datasets.world.land import LAND, UNKNOWN


class LandHead(nn.Module):
    """Linear on each level of the features, so that every level must carry what it tells.

    Args:
        channels: Of the vision part's levels, the finest first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(width, len(LAND), 1) for width in channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """`(2 * batch, covers, rows, columns)` logits at the finest level.

        Args:
            maps: Per level `(2 * batch, channels, rows, columns)`, see `DateFeatures.maps`.
        """
        found: Tensor = maps[0].new_zeros(())
        for level, features in zip(reversed(self.levels), reversed(maps), strict=True):
            here = level(features)
            found = here + (functional.interpolate(found, here.shape[-2:]) if found.ndim else 0)
        return found


def land_loss(logits: Tensor, before: Tensor, after: Tensor, stride_px: int) -> Tensor:
    """Cross-entropy where the cover is known.

    Args:
        logits: Of `LandHead`: first the before dates, then the after dates.
        before: `(batch, height, width)` uint8 index into `LAND`, or `UNKNOWN`.
        after: As `before`.
        stride_px: Image pixels per pixel of the logits.
    """
    half = stride_px // 2
    truth = torch.cat((before, after))[:, half::stride_px, half::stride_px].long()
    entropy = functional.cross_entropy(logits, truth, ignore_index=UNKNOWN, reduction="sum")
    return entropy / (truth != UNKNOWN).sum().clamp(min=1)
