"""A field of shifts fitted to the matches of windows.

Matches that neighbours bear out are smoothed into a field, bilinear between control points, whose
bending is penalised (P-splines: Eilers and Marx 1996, https://doi.org/10.1214/ss/1038425655). How
strongly follows from the windows themselves: each is predicted from all others. The same errors
tell whether the field fits better than one shift.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geochg.tiling.shift import AGREEMENT_PX, Match, Shift
from geochg.tiling.shift_field import MIN_FIELD_WINDOWS, ShiftField, bilinear_basis

MAX_GRADIENT = 1 / 16
"""A field is smoothed until it stretches the image nowhere by more than this."""

_CLEAR_RATIO = 2.0
"""Matches above this ratio of peaks were hardly ever wrong on the pairs tried."""

_NEIGHBOURS = 8
_BEARING_OUT = 2
"""So many of so many nearest windows must have about the same shift for one to count."""

_TOLERANCE_PX = 1.0
_TOLERANCE_GROWTH = 1 / 200
_MAX_TOLERANCE_PX = 3.0
"""How far the shifts of neighbours may lie apart: more, the farther these are, up to a limit."""

_BEYOND_PX = 1.0
"""How far a field may go on beyond the shifts of the windows, where there are none."""

_SMOOTHNESS = tuple(10.0**power for power in range(-2, 7))
_RIDGE = 1e-6
"""Keeps control points without any window near them determined."""


def fit_field(
    matches: Sequence[Match], shift: Shift, shape_px: tuple[int, int], lattice: tuple[int, int]
) -> ShiftField | None:
    """The field that matches of windows make.

    Args:
        matches: The matches, spread over the grid.
        shift: The shift that most windows agree on.
        shape_px: Rows and columns of the grid.
        lattice: Rows and columns of control points.

    Returns:
        The field, whatever its residuals; None where too few windows bear each other out, or what
        they say bends too much.
    """
    distinct = [match for match in matches if match.is_distinct]
    is_supported = borne_out(distinct, _BEARING_OUT)
    supported = [match for match, is_kept in zip(distinct, is_supported, strict=True) if is_kept]
    if len(supported) < MIN_FIELD_WINDOWS:
        return None
    shifts, (xs, ys) = _shifts(supported), _centers(supported).T
    basis = bilinear_basis(xs, ys, shape_px, lattice)
    fit = _smoothest(basis, shifts, shape_px, lattice)
    if fit is None:
        return None
    residual_px, control = fit
    singles = np.median(shifts, axis=0), (shift.dx_px, shift.dy_px)
    return ShiftField(
        *shape_px,
        *lattice,
        dx_px=tuple(control[:, 0].tolist()),
        dy_px=tuple(control[:, 1].tolist()),
        residual_px=residual_px,
        shift_residual_px=min(_root_mean_square(shifts - single) for single in singles),
        windows_used=len(supported),
        windows_tried=len(matches),
    )


def is_uneven(matches: Sequence[Match], shift: Shift) -> bool:
    """Whether windows hint at a field: they moved otherwise, and by a clear match or together."""
    distinct = [match for match in matches if match.is_distinct]
    distances_px = np.linalg.norm(_shifts(distinct) - (shift.dx_px, shift.dy_px), axis=1)
    odd = [match for match, px in zip(distinct, distances_px, strict=True) if px > AGREEMENT_PX]
    return any(match.peak_ratio >= _CLEAR_RATIO for match in odd) or bool(borne_out(odd, 1).any())


def borne_out(matches: Sequence[Match], count: int) -> NDArray[np.bool_]:
    """Which matches have about the shift of at least so many of the nearest others, `(n,)`."""
    if len(matches) < 2:
        return np.zeros(len(matches), np.bool_)
    shifts, centers = _shifts(matches), _centers(matches)
    distance = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    difference = np.linalg.norm(shifts[:, None] - shifts[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    np.fill_diagonal(difference, np.inf)
    tolerance = np.minimum(_TOLERANCE_PX + _TOLERANCE_GROWTH * distance, _MAX_TOLERANCE_PX)
    reach = np.sort(distance, axis=1)[:, :_NEIGHBOURS].max(axis=1, keepdims=True)
    agreeing = (distance <= reach) & (difference <= tolerance)
    borne: NDArray[np.bool_] = agreeing.sum(axis=1) >= count
    return borne


def _smoothest(
    basis: NDArray[np.float64],
    shifts: NDArray[np.float64],
    shape_px: tuple[int, int],
    lattice: tuple[int, int],
) -> tuple[float, NDArray[np.float64]] | None:
    """The smoothness by which windows predict each other best, within the greatest gradient.

    Args:
        basis: `(n, points)`: what each control point counts in each window.
        shifts: `(n, 2)`: those of the windows.
        shape_px: Rows and columns of the grid.
        lattice: Rows and columns of control points.

    Returns:
        The root mean square error of windows predicted from the others, and the shifts of the
        control points, `(points, 2)`; None where all are too steep.
    """
    normal, bending = basis.T @ basis, _bending(lattice)
    ridge = _RIDGE * np.eye(len(normal))
    limits = shifts.min(axis=0) - _BEYOND_PX, shifts.max(axis=0) + _BEYOND_PX
    fits = []
    for smoothness in _SMOOTHNESS:
        solver = np.linalg.solve(normal + smoothness * bending + ridge, basis.T)
        control = (solver @ shifts).clip(*limits)
        if _gradient(control, shape_px, lattice) > MAX_GRADIENT:
            continue
        leverage = np.einsum("ij,ji->i", basis, solver)
        errors = (shifts - basis @ (solver @ shifts)) / (1 - leverage)[:, None]
        fits.append((_root_mean_square(errors), control))
    return min(fits, key=lambda fit: fit[0], default=None)


def _bending(lattice: tuple[int, int]) -> NDArray[np.float64]:
    """The sum of squared second differences of control points, as a quadratic form."""
    rows, cols = lattice
    second = [
        np.kron(np.eye(rows), _differences(cols, 2)),
        np.kron(_differences(rows, 2), np.eye(cols)),
        np.sqrt(2) * np.kron(_differences(rows, 1), _differences(cols, 1)),
    ]
    return np.asarray(sum(part.T @ part for part in second))


def _differences(count: int, order: int) -> NDArray[np.float64]:
    return np.diff(np.eye(count), order, axis=0)


def _gradient(
    control: NDArray[np.float64], shape_px: tuple[int, int], lattice: tuple[int, int]
) -> float:
    """The most that a field changes from pixel to pixel along rows or columns."""
    points = control.reshape(*lattice, 2)
    return max(
        float(np.abs(np.diff(points, axis=axis)).max()) * (lattice[axis] - 1) / shape_px[axis]
        for axis in (0, 1)
    )


def _root_mean_square(errors: NDArray[np.float64]) -> float:
    """Of distances, given their parts `(n, 2)`."""
    return float(np.sqrt((errors**2).sum(axis=1).mean()))


def _shifts(matches: Sequence[Match]) -> NDArray[np.float64]:
    return np.array([(match.dx_px, match.dy_px) for match in matches]).reshape(-1, 2)


def _centers(matches: Sequence[Match]) -> NDArray[np.float64]:
    return np.array([match.center_px for match in matches]).reshape(-1, 2)
