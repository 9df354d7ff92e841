"""Pixel values made comparable: to display range, and from one date to the other.

Both mappings are fixed once from a sample of the whole image and then applied to every tile alike,
so that neighbouring tiles never differ in brightness.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geochg.chi_squared import quantile

STRETCH_PERCENTILES = (2.0, 98.0)
"""Shares of the sample (per cent) that become black and white."""

MIN_SAMPLE = 100
"""With fewer co-located pixels than this no match is attempted."""

MAX_SAMPLE = 50_000
"""More co-located pixels than this are thinned: they add time, not accuracy."""

INVARIANT_QUANTILE = 0.95
"""Unchanged pixels are those whose residuals are as small as this share of pure noise is."""

MIN_SHARE_USED = 0.25
"""With less unchanged ground than this a match is a guess."""

MIN_CORRELATION = 0.7
"""Least correlation over unchanged ground: unrelated images reach 0.4, crops a year apart 0.6."""

_LEAST_RANGE = 1e-30  # narrower ranges would overflow float32 when scaled
_MAX_ROUNDS = 30
_SETTLED = 1e-4  # relative change of the gain below which the regression stops
_MAD_TO_SIGMA = 1.4826


# --- display range -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stretch:
    """A linear map of each band from `low`..`high` to 0..255.

    Attributes:
        low: Value of each band that becomes 0, in source units.
        high: Value of each band that becomes 255, in source units; above `low`.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def identity(cls, band_count: int) -> Self:
        """The stretch of 8-bit images, which leaves them as they are; see `from_sample`."""
        return cls((0.0,) * band_count, (255.0,) * band_count)

    @classmethod
    def from_sample(cls, sample: NDArray[Any], dtype: DTypeLike) -> Self:
        """The stretch for an image.

        8-bit images pass unchanged: they are display values already, and change models were
        trained on such values as they are. Anything else is stretched between percentiles, band
        by band and each date by its own: over nine Sentinel-2 pairs one range for all bands leaves
        an orange or blue cast that differs with the haze, and one range for both dates makes
        them differ by half as much again (median difference 29 grey levels against 18).

        Args:
            sample: `(bands, n)` values of valid pixels from all over the image; NaN and infinite
                values are left out.
            dtype: Data type of the image's pixels.
        """
        if np.dtype(dtype) == np.uint8:
            return cls.identity(len(sample))
        ranges = [_display_range(band[np.isfinite(band)]) for band in sample]
        return cls(tuple(low for low, _ in ranges), tuple(high for _, high in ranges))

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """`low` and `high` of each band."""
        return tuple(zip(self.low, self.high, strict=True))

    @property
    def is_identity(self) -> bool:
        """Whether 8-bit values come out as they went in."""
        return set(self.low) == {0.0} and set(self.high) == {255.0}

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values as display pixels.

        Args:
            values: `(bands, height, width)` real numbers of any type, in source units.

        Returns:
            `(bands, height, width)` uint8 0-255, rounded; NaN becomes 0. It is `values` itself
            where nothing needs to be done.

        Raises:
            ValueError: If the number of bands differs from the stretch's.
        """
        _require_bands(values, len(self.low))
        if values.dtype == np.uint8 and self.is_identity:
            return values
        out = np.empty(values.shape, np.uint8)
        for band, plane in enumerate(values):
            self._apply_band(band, plane, out[band])
        return out

    def _apply_band(self, band: int, plane: NDArray[Any], out: NDArray[np.uint8]) -> None:
        """Fills `out` with one band; small integers by table, the rest by arithmetic."""
        low, high = self.low[band], self.high[band]
        if plane.dtype.kind in "ui" and plane.dtype.itemsize <= 2:
            index = plane.astype(plane.dtype.newbyteorder("="), copy=False)
            unsigned = index.view(f"u{index.dtype.itemsize}")
            np.take(_table(low, high, index.dtype.str), unsigned, out=out, mode="clip")
        else:
            _scale(plane, low, high, out)


def _display_range(values: NDArray[Any]) -> tuple[float, float]:
    """Percentiles of finite values; the full range, then any range, where they fall together."""
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, STRETCH_PERCENTILES))
    if high - low < _LEAST_RANGE:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high - low >= _LEAST_RANGE else (low, low + max(1.0, abs(low)))


@lru_cache(maxsize=32)
def _table(low: float, high: float, dtype: str) -> NDArray[np.uint8]:
    """The stretched value of each 8- or 16-bit integer, indexed by its bits read as unsigned."""
    kind = np.dtype(dtype)
    bits = np.arange(2 ** (8 * kind.itemsize), dtype=f"u{kind.itemsize}")
    table: NDArray[np.uint8] = np.empty(bits.shape, np.uint8)
    _scale(bits.view(kind), low, high, table)
    return table


def _scale(values: NDArray[Any], low: float, high: float, out: NDArray[np.uint8]) -> None:
    """Fills `out` with `values` scaled from `low`..`high` to 0..255; NaN becomes 0."""
    scaled = np.subtract(values, low, dtype=np.result_type(values.dtype, np.float32))
    scaled *= 255.0 / (high - low)
    scaled += 0.5
    np.fmax(scaled, 0, out=scaled)  # fmax, unlike maximum, takes 0 over NaN
    np.fmin(scaled, 255, out=scaled)
    out[...] = scaled  # truncates


# --- from date to date ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RadiometricMatch:
    """A linear map of each band from the after image's values to the before image's.

    Attributes:
        gain: Factor of each band, above 0.
        offset: What is added to each band after the gain, in the before image's units.
        correlation: Correlation (-1 to 1) of each band between the dates, over the pixels used.
        share_used: Share (0-1) of the sample taken for unchanged ground; 0 where there was too
            little to match, and the map then leaves values as they are.
    """

    gain: tuple[float, ...]
    offset: tuple[float, ...]
    correlation: tuple[float, ...]
    share_used: float

    @property
    def is_clear(self) -> bool:
        """Whether enough of the ground stayed alike, closely enough, for the map to be believed."""
        return self.share_used >= MIN_SHARE_USED and min(self.correlation) >= MIN_CORRELATION

    @classmethod
    def from_samples(cls, before: NDArray[Any], after: NDArray[Any]) -> Self:
        """The map that makes unchanged ground alike, found without knowing what changed.

        Regression over pixels that did not change, as Canty and Nielsen 2008 do with those that
        their IR-MAD leaves (https://doi.org/10.1016/j.rse.2007.07.013); here the pixels that stray
        from the line are dropped and the line drawn anew until it settles. The line is the reduced
        major axis (the ratio of spreads): least squares would flatten the after image wherever
        season and noise weaken the correlation. Changes over a third of the ground leave it true
        to a grey level, where matching histograms strays by 10 to 20.

        Args:
            before: `(bands, n)` values of valid pixels at the first date.
            after: `(bands, n)` values of the same pixels at the second date.

        Raises:
            ValueError: If the shapes differ.
        """
        if before.shape != after.shape:
            raise ValueError(f"samples of shapes {before.shape} and {after.shape} do not pair up")
        y, x = _paired_samples(before, after)
        if y.shape[1] < MIN_SAMPLE:
            bands = len(before)
            return cls((1.0,) * bands, (0.0,) * bands, (0.0,) * bands, 0.0)
        gain, offset, is_kept = _regress_invariant(x, y)
        return cls(
            tuple(gain.tolist()),
            tuple(offset.tolist()),
            tuple(_correlation(a, b) for a, b in zip(x[:, is_kept], y[:, is_kept], strict=True)),
            float(is_kept.mean()),
        )

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The after image as the before image's sensor and season would have shown it.

        Args:
            values: `(bands, height, width)` of the after image, in its units.

        Returns:
            `(bands, height, width)` float32 in the before image's units, not clipped. Invalid
            pixels are mapped as well: blank them afterwards.

        Raises:
            ValueError: If the number of bands differs from the match's.
        """
        _require_bands(values, len(self.gain))
        out = values.astype(np.float32)
        for plane, gain, offset in zip(out, self.gain, self.offset, strict=True):
            plane *= gain
            plane += offset
        return out

    def stretch(self, before: Stretch) -> Stretch:
        """The stretch that shows the after image, unmatched, as `before` shows the before image.

        Applying it equals `before.apply(match.apply(values))` to rounding, in one cheap step.
        """
        return Stretch(self._unmap(before.low), self._unmap(before.high))

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        facts = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return facts | {"clear": self.is_clear}

    def _unmap(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """The after image's values that are mapped to `values`, one a band."""
        lines = zip(values, self.gain, self.offset, strict=True)
        return tuple((value - offset) / gain for value, gain, offset in lines)


def _paired_samples(
    before: NDArray[Any], after: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both samples as float64, thinned, without pixels that are not finite in some band."""
    step = max(1, -(-before.shape[1] // MAX_SAMPLE))
    y, x = before[:, ::step].astype(np.float64), after[:, ::step].astype(np.float64)
    finite = np.isfinite(y).all(axis=0) & np.isfinite(x).all(axis=0)
    return y[:, finite], x[:, finite]


def _regress_invariant(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """`y = gain * x + offset` per band, and which of the `(bands, n)` pixels it rests on.

    A pixel is kept or dropped in all bands at once, by its squared residuals over their robust
    variances, summed over the bands (chi-squared under pure noise, as in IR-MAD).
    """
    limit = quantile(len(x), INVARIANT_QUANTILE)
    is_kept = np.ones(x.shape[1], np.bool_)
    gain, offset = _line(np.median(x, axis=1), np.median(y, axis=1), _iqr(x), _iqr(y))
    for _ in range(_MAX_ROUNDS):
        residual = np.abs(y - gain[:, None] * x - offset[:, None])
        sigma = _MAD_TO_SIGMA * np.median(residual[:, is_kept], axis=1) + _tiny(y)
        is_kept = ((residual / sigma[:, None]) ** 2).sum(axis=0) <= limit
        previous = gain
        used_x, used_y = x[:, is_kept], y[:, is_kept]
        gain, offset = _line(
            used_x.mean(axis=1), used_y.mean(axis=1), used_x.std(axis=1), used_y.std(axis=1)
        )
        if np.allclose(gain, previous, rtol=_SETTLED, atol=0):
            break
    return gain, offset, is_kept


def _line(
    centre_x: NDArray[np.float64],
    centre_y: NDArray[np.float64],
    spread_x: NDArray[np.float64],
    spread_y: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain and offset per band that carry one centre and spread to the other.

    A band without spread at either date tells nothing of the gain, which is then 1.
    """
    varies = (spread_x > 0) & (spread_y > 0)
    gain = np.divide(spread_y, spread_x, out=np.ones_like(spread_x), where=varies)
    return gain, centre_y - gain * centre_x


def _iqr(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interquartile range of each band; the standard deviation where most values are one."""
    low, high = np.percentile(values, (25, 75), axis=1)
    spread: NDArray[np.float64] = np.where(high > low, high - low, values.std(axis=1))
    return spread


def _tiny(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A residual too small to tell in each band, so that a perfect fit keeps its pixels."""
    tiny: NDArray[np.float64] = 1e-9 * np.abs(values).max(axis=1) + 1e-12
    return tiny


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson correlation; 0 where either side is constant."""
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _require_bands(values: NDArray[Any], bands: int) -> None:
    if len(values) != bands:
        raise ValueError(f"{len(values)} bands where {bands} are expected")
