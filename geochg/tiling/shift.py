"""The shift that is left between two dates already on a common grid, from pixels alone.

Each window is matched on the direction of its gradients, not on brightness: a field that turns
from dark to bright between seasons keeps its edges (orientation correlation: Fitch, Kadyrov,
Christmas and Kittler 2002; found the most robust matcher across years of satellite images by Heid
and Kääb 2012, https://doi.org/10.1016/j.rse.2011.11.024). Windows then vote, and only a shift that
independent windows agree on is called clear.

On the pairs tried (NAIP five years apart, Landsat 35 years, Sentinel-2, NEON at 0.1 m) the two
directions together with half-whitened spectra made the most windows agree; plain gradients or full
phase correlation lost up to a third of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.geometry.morphology import eroded

PLAUSIBLE_SHARE = 1 / 8
"""Shifts are looked for up to this share of a window's side: further, too little is in both."""

MIN_PEAK_RATIO = 1.15
"""How far a window's best match must stand above its second best to be believed."""

AGREEMENT_PX = 1.0
"""Windows agree when their shifts lie within this distance of the common one."""

MIN_WINDOWS = 3
"""Fewer agreeing windows than this could agree by chance."""

MIN_AGREEING_SHARE = 1 / 3
"""Share of the windows tried that must agree."""

MAX_SPREAD_PX = 0.5
"""Above this the windows disagree by as much as a correction could gain."""

FIRST_WINDOWS = 9
"""Windows after which a shift may be settled."""

SETTLED_SHARE = 7 / 9
SETTLED_ERROR_PX = 0.1
"""This share of the first windows must agree, to this standard error, to settle the shift."""

WORTHWHILE_PX = 0.5
"""Shifts below half a pixel are left alone: resampling would cost more sharpness than it mends."""

MIN_VALID_SHARE = 0.5
"""Windows with less valid ground than this are left out."""

MIN_SIDE_PX = 32
"""Windows with a shorter side are left out: they hold too little to match."""

_GRADIENT_SIGMA_PX = 1.0
_TRUNCATE = 3  # sigmas at which the Gaussian ends
_MARGIN_PX = 4  # how far an invalid pixel or its filling reaches into the gradients (4 sigma)
_PEAK_RADIUS_PX = 5  # half width of a peak's own neighbourhood, not counted as a second peak
_WHITENING = 0.5  # 0 correlates plainly, 1 keeps phase alone
_FINE_STEPS = 10  # sub-pixel samples to the pixel, refined further by a parabola


class Patch(NamedTuple):
    """The same window of both dates.

    Attributes:
        before: `(height, width)` float32, one band or a mean of bands, any unit.
        after: As `before`, on the same grid; its radiometry may differ.
        valid: `(height, width)` bool; true where both dates have data.
        center_px: Column and row of its centre on the grid.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    valid: NDArray[np.bool_]
    center_px: tuple[float, float] = (0.0, 0.0)


class Match(NamedTuple):
    """The best match of one window.

    Attributes:
        dx_px: As in `Shift`.
        dy_px: As in `Shift`.
        peak_ratio: Height of its correlation over that of the second best.
        center_px: Column and row of the window's centre on the grid.
    """

    dx_px: float
    dy_px: float
    peak_ratio: float
    center_px: tuple[float, float] = (0.0, 0.0)

    @property
    def is_distinct(self) -> bool:
        """Whether it stands out from the second best far enough to be believed."""
        return self.peak_ratio >= MIN_PEAK_RATIO

    def moved(self, dx_px: float, dy_px: float) -> Match:
        """The match, where that much had been taken out before."""
        return self._replace(dx_px=self.dx_px + dx_px, dy_px=self.dy_px + dy_px)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the after image's content lies from the before image's, in grid pixels.

    What lies at `(col, row)` in the before image is found at `(col + dx_px, row + dy_px)` in the
    after image. To correct, read the after image there: `corrected[row, col] = after[row + dy_px,
    col + dx_px]`, which moves the after image's origin by `(-dx_px, -dy_px)` pixels.

    Attributes:
        dx_px: Positive when the after content lies to the right of the before content.
        dy_px: Positive when the after content lies below the before content.
        spread_px: Robust standard deviation (1.4826 MAD, the larger axis) of agreeing windows.
        windows_used: Windows that agree on this shift.
        windows_tried: Windows with enough valid ground and texture to be matched.
    """

    dx_px: float
    dy_px: float
    spread_px: float
    windows_used: int
    windows_tried: int

    @property
    def magnitude_px(self) -> float:
        """Length of the shift."""
        return math.hypot(self.dx_px, self.dy_px)

    @property
    def is_clear(self) -> bool:
        """Whether enough windows agree, closely enough, for the shift to be believed."""
        needed = max(MIN_WINDOWS, MIN_AGREEING_SHARE * self.windows_tried)
        return self.windows_used >= needed and self.spread_px < MAX_SPREAD_PX

    @property
    def worth_correcting(self) -> bool:
        """Whether correcting gains more than the resampling costs."""
        return self.is_clear and self.magnitude_px >= WORTHWHILE_PX

    def to_dict(self) -> dict[str, Any]:
        """The measurement and what follows from it, as plain JSON values."""
        return asdict(self) | {
            "magnitude_px": self.magnitude_px,
            "clear": self.is_clear,
            "worth_correcting": self.worth_correcting,
        }


def match_patches(patches: Iterable[Patch]) -> list[Match]:
    """The matches of windows with enough valid ground and texture to be matched.

    Patches are taken one at a time, so they may be read lazily; where the first `FIRST_WINDOWS`
    agree closely, no more are taken. They should not overlap, since agreement is evidence only
    between windows that share no pixels, and should spread over the image, the first ones too; 9 to
    25 of 256 to 512 px a side serve well, more and smaller ones where a raster is small. Shifts up
    to an eighth of a window's side can be found.
    """
    matches: list[Match] = []
    for number, patch in enumerate(patches, 1):
        if (match := match_patch(patch)) is not None:
            matches.append(match)
        if number == FIRST_WINDOWS and is_settled(matches):
            break
    return matches


def common_shift(matches: Sequence[Match]) -> Shift | None:
    """The shift that most windows agree on (`is_clear` tells whether to believe it).

    None when no window has a match that stands out.
    """
    distinct = [match for match in matches if match.is_distinct]
    if not distinct:
        return None
    agreeing = _largest_cluster(np.array([(match.dx_px, match.dy_px) for match in distinct]))
    centre = np.median(agreeing, axis=0)
    spread = 1.4826 * np.median(np.abs(agreeing - centre), axis=0).max()
    return Shift(float(centre[0]), float(centre[1]), float(spread), len(agreeing), len(matches))


def is_settled(matches: Sequence[Match]) -> bool:
    """Whether windows agree so well that others would change nothing.

    A single one that moved otherwise may be a mountain, or the part of another image.
    """
    shift = common_shift(matches)
    if shift is None or shift.windows_used < SETTLED_SHARE * max(len(matches), FIRST_WINDOWS):
        return False
    all_agree = shift.windows_used == sum(match.is_distinct for match in matches)
    return all_agree and shift.spread_px <= SETTLED_ERROR_PX * math.sqrt(shift.windows_used)


# --- one window ----------------------------------------------------------------------------------


def match_patch(patch: Patch) -> Match | None:
    """The window's shift; None when there is too little valid ground or texture to look."""
    weight = _weight(patch)
    if weight is None:
        return None
    pairs = zip(_spectra(patch.before, weight), _spectra(patch.after, weight), strict=True)
    crosses = [_cross_power(before, after) for before, after in pairs]
    if not all(cross.any() for cross in crosses):
        return None
    best = _best_match(np.sum(crosses, axis=0, dtype=np.complex64))
    return best._replace(center_px=patch.center_px)


def _weight(patch: Patch) -> NDArray[np.float32] | None:
    """`(height, width)` 0-1: a Hann window, 0 wherever an invalid pixel reaches the gradients."""
    valid = patch.valid & np.isfinite(patch.before) & np.isfinite(patch.after)
    if min(valid.shape) < MIN_SIDE_PX:
        return None
    if not valid.all():
        valid = eroded(valid, _MARGIN_PX, square=True, outside=True)
    if valid.mean() < MIN_VALID_SHARE:
        return None
    return np.where(valid, _hann(*valid.shape), np.float32(0))


@lru_cache(maxsize=8)
def _hann(height: int, width: int) -> NDArray[np.float32]:
    """`(height, width)` 0-1, falling to 0 at the edges, where a window has no counterpart."""
    return np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)


def _spectra(
    values: NDArray[np.float32], weight: NDArray[np.float32]
) -> Iterator[NDArray[np.complex64]]:
    """Spectra of the weighted gradient directions, once as they are and once doubled.

    A doubled angle is the same for an edge and its negative, so the second survives a reversal of
    contrast; the first is the sharper where contrast stays.
    """
    gradient = _gradient(values, weight)
    size = np.abs(gradient)
    typical = float(size[weight > 0].mean())
    for direction in (
        gradient / (size + max(typical, 1e-12)),
        gradient * gradient / (size * size + max(typical * typical, 1e-24)),
    ):
        centred = direction - np.average(direction, weights=weight)
        spectrum: NDArray[np.complex64] = np.fft.fft2((centred * weight).astype(np.complex64))  # type: ignore[assignment]  # of single precision since numpy 2
        yield spectrum


def _gradient(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Gradient of the smoothed values, x real and y imaginary; invalid pixels filled flat."""
    filled = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    smooth = smoothed(smoothed(filled).T).T
    row_gradient, right = np.gradient(smooth)
    return np.where(weight > 0, right + 1j * row_gradient, 0).astype(np.complex64)


def smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values smoothed down the rows by a Gaussian, which mirrors them at the edges.

    Args:
        values: `(height, width)` float32.
    """
    reach = round(_TRUNCATE * _GRADIENT_SIGMA_PX)
    weights = np.exp(-0.5 * (np.arange(-reach, 1) / _GRADIENT_SIGMA_PX) ** 2)
    weights /= 2 * weights.sum() - weights[-1]
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="symmetric").astype(np.float64)
    height = len(values)
    total = padded[reach : reach + height] * weights[-1]
    for step, weight in enumerate(weights[:-1].tolist()):
        total += (padded[step : step + height] + padded[2 * reach - step :][:height]) * weight
    return np.asarray(total, np.float32)


def _cross_power(
    before: NDArray[np.complex64], after: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Half-whitened cross-power spectrum, unit mean power; all 0 when either side is flat."""
    cross: NDArray[np.complex64] = after * before.conj()
    power = np.abs(cross)
    floor = 1e-6 * float(power.mean())
    if floor == 0:
        return np.zeros_like(cross)
    cross /= (power + floor) ** _WHITENING
    cross /= np.sqrt(np.mean(np.abs(cross) ** 2))
    return cross


def _best_match(cross: NDArray[np.complex64]) -> Match:
    """The highest correlation within the plausible shifts, against the next one anywhere."""
    height, width = cross.shape
    reach = int(height * PLAUSIBLE_SHARE), int(width * PLAUSIBLE_SHARE)
    surface = np.roll(np.abs(np.fft.ifft2(cross)), reach, axis=(0, 1))
    plausible = surface[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
    row, col = np.unravel_index(int(plausible.argmax()), plausible.shape)
    peak = float(plausible[row, col])
    around = [
        np.arange(peak_px - _PEAK_RADIUS_PX, peak_px + _PEAK_RADIUS_PX + 1) % side
        for peak_px, side in ((int(row), height), (int(col), width))
    ]
    surface[np.ix_(*around)] = 0
    dy, dx = _refine(cross, int(row) - reach[0], int(col) - reach[1])
    return Match(dx, dy, peak / float(surface.max()))


def _refine(cross: NDArray[np.complex64], dy: int, dx: int) -> tuple[float, float]:
    """`(dy, dx)` in px, to a fraction of a pixel, by a finely sampled Fourier transform.

    Source: Guizar-Sicairos, Thurman and Fienup 2008, https://doi.org/10.1364/OL.33.000156.
    """
    offsets = np.arange(-_FINE_STEPS, _FINE_STEPS + 1) / _FINE_STEPS
    rows = np.exp(2j * np.pi * np.outer(dy + offsets, np.fft.fftfreq(cross.shape[0])))
    cols = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(cross.shape[1]), dx + offsets))
    fine = np.abs(rows.astype(np.complex64) @ cross @ cols.astype(np.complex64))
    row, col = (int(index) for index in np.unravel_index(int(fine.argmax()), fine.shape))
    return (
        dy + (row + _vertex(fine[:, col], row)) / _FINE_STEPS - 1,
        dx + (col + _vertex(fine[row], col)) / _FINE_STEPS - 1,
    )


def _vertex(values: NDArray[np.floating[Any]], peak_index: int) -> float:
    """Offset (-0.5 to 0.5 samples) of a parabola's vertex from `peak_index`."""
    if not 0 < peak_index < len(values) - 1:
        return 0.0
    left, peak, right = (float(value) for value in values[peak_index - 1 : peak_index + 2])
    bend = left - 2 * peak + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0


# --- all windows ---------------------------------------------------------------------------------


def _largest_cluster(shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of the `(n, 2)` shifts that lie within reach of the densest place."""
    distance = np.linalg.norm(shifts[:, None] - shifts[None], axis=2)
    densest = distance[(distance <= AGREEMENT_PX).sum(axis=1).argmax()] <= AGREEMENT_PX
    centre = np.median(shifts[densest], axis=0)
    near: NDArray[np.bool_] = np.linalg.norm(shifts - centre, axis=1) <= AGREEMENT_PX
    return shifts[near]
