"""Maps of how much two dates differ, in colour, structure and deep features.

Some are relative to their median in the scene: twice the median is twice as unusual, whatever the
sensors. Others stay as they are, for scenes in which half of the ground changed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from geochg.models.deltavlm.scene import (
    COLOR_WINDOWS,
    RELATIVE_COLOR,
    RELATIVE_LEVEL,
    WHITENED_CHANNELS,
    WIDE_WINDOWS,
    SceneLayout,
)

STRUCTURE_WINDOWS = (5, 11)

_PLAIN_COLOR = 1 + 1 + 2
_PLAIN_LEVEL = 1
_LOG_FLOOR = 0.05

WIDE_COLOR = len(COLOR_WINDOWS)
"""Index of the map that gives a logit by itself: the colour difference in the widest window."""


def map_count(levels: int) -> int:
    """Number of all difference maps, for so many feature levels."""
    return RELATIVE_COLOR + _PLAIN_COLOR + (RELATIVE_LEVEL + _PLAIN_LEVEL) * levels


class Differences(NamedTuple):
    """Difference maps of a batch of pairs, at the first level's size.

    Attributes:
        relative: `(batch, layout.medians, rows, columns)`, not negative; not yet divided by
            medians.
        plain: `(batch, others, rows, columns)`: not divided by medians.
        standard: Per feature level, the absolute difference of the standardised features.
    """

    relative: Tensor
    plain: Tensor
    standard: list[Tensor]


def differences(
    layout: SceneLayout, before: Sequence[Tensor], after: Sequence[Tensor], scene: Tensor
) -> Differences:
    """Compares the dates.

    Args:
        layout: Layout of the scene vector.
        before: Per level, the colours first: `(batch, channels, rows, columns)`.
        after: As `before`.
        scene: `(batch, layout.size)`.
    """
    (first, second), *deep = (
        _standard_features(layout, index, scene, before[index], after[index])
        for index in range(len(layout.levels))
    )
    size = (first.shape[-2], first.shape[-1])
    difference = first - second
    power = difference.square().mean(dim=1, keepdim=True)
    wide = [_window_mean(difference, window) for window in WIDE_WINDOWS]
    whitened = [
        _whitened_length(layout, index, scene, maps)
        for index, maps in enumerate((difference, *wide))
    ]
    relative = [
        _nearest(first, second),
        *(_window_mean(power, window).sqrt() for window in COLOR_WINDOWS),
        *whitened,
    ]
    small, large = (_structure(first, second, window) for window in STRUCTURE_WINDOWS)
    plain = [torch.log(relative[1] + _LOG_FLOOR), small[0], *large]
    standard = []
    white = len(whitened)
    for features, others in deep:
        level = features - others
        length = _length(level)
        if level.shape[1] <= WHITENED_CHANNELS:
            unusual = _whitened_length(layout, white, scene, level)
            white += 1
        else:
            unusual = length
        power = _window_mean(level.square().mean(dim=1, keepdim=True), 5).sqrt()
        relative += [_enlarged_to(maps, size) for maps in (length, unusual, power)]
        plain.append(torch.log(_enlarged_to(length, size) + _LOG_FLOOR))
        standard.append(level.abs())
    return Differences(torch.cat(relative, dim=1), torch.cat(plain, dim=1), standard)


def relative_logs(layout: SceneLayout, maps: Tensor, scene: Tensor) -> Tensor:
    """Logarithms of the relative maps over their medians in the scene."""
    medians = scene[:, layout.medians_slice, None, None]
    return torch.log(maps / (medians + 1e-3) + _LOG_FLOOR)


def _standard_features(
    layout: SceneLayout, index: int, scene: Tensor, *dates: Tensor
) -> tuple[Tensor, Tensor]:
    level = layout.levels[index]
    first, second = (
        (maps[:, : level.channels] - scene[:, mean, None, None]) / scene[:, spread, None, None]
        for mean, spread, maps in zip(level.means, level.spreads, dates, strict=True)
    )
    return first, second


def _whitened_length(layout: SceneLayout, index: int, scene: Tensor, maps: Tensor) -> Tensor:
    """Length of the differences in the scene's own measure, per channel."""
    part = layout.whitened[index]
    matrix = torch.unflatten(scene[:, part.matrix], 1, (part.channels, part.channels))
    centred = maps - scene[:, part.offset, None, None]
    rows, cols = maps.shape[-2:]
    white = torch.unflatten(torch.bmm(matrix, centred.flatten(2)), 2, (rows, cols))
    return white.square().mean(dim=1, keepdim=True).sqrt()


def _nearest(first: Tensor, second: Tensor) -> Tensor:
    """Difference to the best match within a pixel, the greater of both ways."""

    def one_way(maps: Tensor, others: Tensor) -> Tensor:
        rows, cols = maps.shape[-2:]
        padded = functional.pad(others, (1, 1, 1, 1), mode="replicate")
        shifted = [
            _length(maps - padded[:, :, row : row + rows, col : col + cols])
            for row in range(3)
            for col in range(3)
        ]
        nearest = shifted[0]
        for lengths in shifted[1:]:
            nearest = torch.minimum(nearest, lengths)
        return nearest

    return torch.maximum(one_way(first, second), one_way(second, first))


def _structure(first: Tensor, second: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """One minus the correlation of grey in a window, and how much its contrast differs."""
    first, second = (maps.mean(dim=1, keepdim=True) for maps in (first, second))
    means = [_window_mean(maps, window) for maps in (first, second)]
    spreads = [
        (_window_mean(maps.square(), window) - mean.square()).clamp(min=0)
        for maps, mean in zip((first, second), means, strict=True)
    ]
    together = _window_mean(first * second, window) - means[0] * means[1]
    unlike = 1 - together / ((spreads[0] * spreads[1]).sqrt() + 0.02)
    contrast = (torch.log(spreads[0] + 0.02) - torch.log(spreads[1] + 0.02)).abs()
    return unlike, contrast


def _window_mean(maps: Tensor, window: int) -> Tensor:
    """Means along rows, then along columns: work grows with the window's side, not its area."""
    half = window // 2
    padded = functional.pad(maps, (half, half, half, half), mode="replicate")
    return functional.avg_pool2d(
        functional.avg_pool2d(padded, (1, window), stride=1), (window, 1), stride=1
    )


def _length(maps: Tensor) -> Tensor:
    return maps.square().mean(dim=1, keepdim=True).sqrt()


def _enlarged_to(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
