"""The dense change head: where each class appeared, disappeared or was altered.

Not in the paper. From the multi-scale features of both dates it builds, coarse to fine, an even
stream (the same whichever date comes first) and an odd stream (its sign turns when the dates are
swapped). A class's `appeared` logit is even + odd, its `disappeared` logit even - odd and its
`altered` logit even, so swapping the dates swaps appeared and disappeared exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from geochg.models.deltavlm.configuration import SIGN_OF, DeltaVLMDenseConfig
from geochg.models.deltavlm.vision import split_dates

CHANGE_PRIOR = -3.0
"""Bias of the change logits at the start of training: change is rare."""

DENSITY_PRIOR = -5.0
"""Bias of the density at the start of training: few of its pixels hold an object."""

_LEAST = 1e-6


class DenseOutput(NamedTuple):
    """What the head says about a batch of pairs.

    Attributes:
        logits: `(batch, channels, rows, columns)`, channels as `DeltaVLMDenseConfig.channels`.
        change_logits: `(batch, 1, rows, columns)`: anything changed at all.
        density: `(batch, channels, rows / 2, columns / 2)` not negative; its sum over the map is
            the number of objects. On the finest level where there is only one.
        presence_logits: `(batch,)`: whether the pair changed.
    """

    logits: Tensor
    change_logits: Tensor
    density: Tensor
    presence_logits: Tensor

    def select(self, index: Tensor) -> DenseOutput:
        """The pairs at the given places of the batch."""
        return DenseOutput(*(part[index] for part in self))


def channel_probability(output: DenseOutput, temperature: float) -> Tensor:
    """Probability of each channel, `(batch, channels, rows, columns)`, 0-1.

    Where change as such is likelier than any single channel (the class is in doubt), all channels
    are raised in proportion until the strongest is as likely as change.
    """
    channels = torch.sigmoid(output.logits / temperature)
    change = torch.sigmoid(output.change_logits / temperature)
    strongest = channels.amax(dim=1, keepdim=True)
    return channels * (change / strongest.clamp(min=_LEAST)).clamp(min=1)


class DenseHead(nn.Module):
    """See the module.

    Args:
        config: Of the head.
        channels: Of the vision part's levels, the finest first.
    """

    def __init__(self, config: DeltaVLMDenseConfig, channels: Sequence[int]) -> None:
        super().__init__()
        widths = list(config.widths)
        if len(widths) != len(channels):
            raise ValueError(f"{len(widths)} widths for {len(channels)} levels of features")
        self.levels = nn.ModuleList(
            _Level(channel, width, coarser)
            for channel, width, coarser in zip(channels, widths, [*widths[1:], 0], strict=True)
        )
        self.maps = _Directions(config, widths[0], CHANGE_PRIOR)
        self.change = Readout(widths[0], CHANGE_PRIOR)
        self.count_level = min(1, len(widths) - 1)
        self.density = _Directions(config, widths[self.count_level], DENSITY_PRIOR)
        self.presence = nn.Sequential(
            nn.Linear(2 * widths[self.count_level], config.presence_width),
            nn.ReLU(),
            nn.Linear(config.presence_width, 1),
        )

    def forward(self, maps: Sequence[Tensor]) -> DenseOutput:
        """Finds change in a batch of pairs.

        Args:
            maps: Per level `(2 * batch, channels, rows, columns)`, see `DateFeatures.maps`.
        """
        streams: list[tuple[Tensor, Tensor]] = []
        for level, features in zip(reversed(self.levels), reversed(maps), strict=True):
            streams.append(level(*split_dates(features), *(streams[-1] if streams else ())))
        even, odd = streams[-1]
        coarse_even, coarse_odd = streams[-1 - self.count_level]
        pooled = torch.cat((coarse_even.mean((2, 3)), coarse_even.amax((2, 3))), dim=1)
        return DenseOutput(
            logits=self.maps(even, odd),
            change_logits=self.change(even),
            density=functional.softplus(self.density(coarse_even, coarse_odd)),
            presence_logits=self.presence(pooled)[:, 0],
        )


class _Level(nn.Module):
    """One level of the two streams; `coarser` is the width of the level below, 0 at the last."""

    def __init__(self, channels: int, width: int, coarser: int) -> None:
        super().__init__()
        self.lateral = _conv(channels, width, 1)
        self.compare = _conv(2 * width, width, 1)
        self.refine = _conv(width, width, 3)
        self.gate = nn.Conv2d(width, width, 1)
        self.turn = nn.Conv2d(width, width, 1, bias=False)
        self.even_up = nn.Conv2d(coarser, width, 1) if coarser else None
        self.odd_up = nn.Conv2d(coarser, width, 1, bias=False) if coarser else None

    def forward(
        self,
        before: Tensor,
        after: Tensor,
        coarse_even: Tensor | None = None,
        coarse_odd: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        before, after = split_dates(self.lateral(torch.cat((before, after))))
        difference = after - before
        even = self.compare(torch.cat((difference.abs(), before + after), dim=1))
        odd = self.turn(difference)
        if self.even_up is not None and self.odd_up is not None:
            assert coarse_even is not None
            assert coarse_odd is not None
            even = even + _doubled(self.even_up(coarse_even))
            odd = odd + _doubled(self.odd_up(coarse_odd))
        even = self.refine(even)
        # A product of odd and even is odd.
        return even, odd * torch.sigmoid(self.gate(even))


class Readout(nn.Conv2d):
    """A last convolution; it begins small, lest its noise drown the prior that change is rare.

    Args:
        width: Channels that are read.
        prior: What the bias begins with; None for no bias.
        kinds: Channels that come out.
    """

    def __init__(self, width: int, prior: float | None, kinds: int = 1) -> None:
        super().__init__(width, kinds, 1, bias=prior is not None)
        self.prior = prior or 0.0


class _Directions(nn.Module):
    """One value a channel from the two streams."""

    def __init__(self, config: DeltaVLMDenseConfig, width: int, prior: float) -> None:
        super().__init__()
        kinds = len(config.classes)
        self.signs = [SIGN_OF[direction] for direction in config.directions]
        self.turned = Readout(width, prior, kinds)
        self.altered = Readout(width, prior, kinds)
        self.odd = Readout(width, None, kinds)

    def forward(self, even: Tensor, odd: Tensor) -> Tensor:
        turned, altered, sign = self.turned(even), self.altered(even), self.odd(odd)
        layers = [turned + by * sign if by else altered for by in self.signs]
        return torch.stack(layers, dim=2).flatten(1, 2)


def _conv(channels: int, width: int, size: int) -> nn.Sequential:
    # Batch norm rather than layer norm: it folds into the convolution, see `folding`.
    return nn.Sequential(
        nn.Conv2d(channels, width, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _doubled(layers: Tensor) -> Tensor:
    return functional.interpolate(layers, scale_factor=2.0, mode="nearest")
