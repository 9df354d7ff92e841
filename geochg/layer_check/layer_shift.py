"""How far a layer lies off an image: its polygons correlated with what the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.geometry.coverage import Coverage, coverage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LEAST_POLYGONS = 12
"""With fewer polygons no shift is measured."""

MOST_POLYGONS = 1_000
"""Polygons that it is measured on, spread over the layer."""

_LEAST_GAIN = 0.05
"""Gain of the mean score by a shift that is worth it, in log odds."""
_AGREE_CELLS = 1.0
_HALF = 2
_MOST_CELLS = 1 << 14


class LayerShift(NamedTuple):
    """A shift that brings the polygons to where the image shows their objects.

    Attributes:
        x_cells: Cells to the right.
        y_cells: Cells down.
    """

    x_cells: float
    y_cells: float


def measured_shift(
    polygons: NDArray[np.object_],
    scores: NDArray[np.floating],
    is_seen: NDArray[np.bool_],
    reach_cells: int,
) -> LayerShift | None:
    """The shift at which polygons hold most of their class; None where that is not clear.

    Two halves of the polygons must tell about the same.

    Args:
        polygons: `(n,)` polygons in cells.
        scores: `(rows, columns)` log odds of the class.
        is_seen: `(rows, columns)` where there is ground.
        reach_cells: Largest shift that is tried, in cells along each axis.
    """
    if reach_cells < 1:
        return None
    surfaces: NDArray[np.float64] = np.stack(
        [_nowhere(reach_cells), *_surfaces(polygons, scores, is_seen, reach_cells)]
    )
    is_known = ~np.isnan(surfaces).any(axis=(1, 2))
    surfaces = surfaces[is_known]
    if len(surfaces) < LEAST_POLYGONS:
        return None
    peak = _peak(surfaces.mean(axis=0))
    halves = [_peak(surfaces[start::_HALF].mean(axis=0)) for start in range(_HALF)]
    if peak is None or None in halves:
        return None
    first, second = (np.array(half) for half in halves)
    if np.abs(first - second).max() > _AGREE_CELLS:
        return None
    return peak


def _surfaces(
    polygons: NDArray[np.object_],
    scores: NDArray[np.floating],
    is_seen: NDArray[np.bool_],
    reach: int,
) -> Iterator[NDArray[np.float64]]:
    """The mean scores of some of the polygons at each shift."""
    shape = (scores.shape[0], scores.shape[1])
    numbers = np.random.default_rng(0).permutation(len(polygons))
    known_count = 0
    for number in numbers.tolist():
        coverage = coverage_of(polygons[number], shape)
        if coverage is not None and coverage.share.size <= _MOST_CELLS:
            surface = _surface(coverage, scores, is_seen, reach)
            known_count += int(not np.isnan(surface).any())
            yield surface
        if known_count == MOST_POLYGONS:
            break


def _nowhere(reach: int) -> NDArray[np.float64]:
    """The surface of a polygon of which nothing is known."""
    return np.full((2 * reach + 1,) * 2, np.nan)


def _surface(
    coverage: Coverage, scores: NDArray[np.floating], is_seen: NDArray[np.bool_], reach: int
) -> NDArray[np.float64]:
    """The mean score at each shift; not a number where part of it would not be seen."""
    window, share = coverage
    low_row, low_col = window.row_start - reach, window.col_start - reach
    high_row, high_col = window.row_stop + reach, window.col_stop + reach
    if low_row < 0 or low_col < 0 or high_row > scores.shape[0] or high_col > scores.shape[1]:
        return _nowhere(reach)
    part = (slice(low_row, high_row), slice(low_col, high_col))
    if not is_seen[part].all():
        return _nowhere(reach)
    around = np.clip(scores[part].astype(np.float64), -4, 4)
    shifted = np.lib.stride_tricks.sliding_window_view(around, share.shape)
    surface: NDArray[np.float64] = np.einsum("ijkl,kl->ij", shifted, share) / share.sum()
    return surface


def _peak(surface: NDArray[np.float64]) -> LayerShift | None:
    """The peak, to a part of a cell; None at the edge, or where it is hardly above no shift."""
    reach = surface.shape[0] // 2
    row, col = np.unravel_index(int(surface.argmax()), surface.shape)
    if not (0 < row < 2 * reach and 0 < col < 2 * reach):
        return None
    fine = [
        index - reach + _vertex(line)
        for index, line in (
            (int(row), surface[row - 1 : row + 2, col]),
            (int(col), surface[row, col - 1 : col + 2]),
        )
    ]
    if surface[row, col] - surface[reach, reach] < _LEAST_GAIN:
        return LayerShift(0.0, 0.0)
    return LayerShift(fine[1], fine[0])


def _vertex(line: NDArray[np.float64]) -> float:
    """Where the parabola through three values is highest, from the middle one."""
    low, middle, high = line.tolist()
    bend = low - 2 * middle + high
    return 0.0 if bend >= 0 else float(np.clip((low - high) / (2 * bend), -0.5, 0.5))
