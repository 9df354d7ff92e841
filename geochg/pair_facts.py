"""Facts about a pair that hold for every tile, as models are given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

BAND_ROLES = {
    "red": 0.66,
    "green": 0.56,
    "blue": 0.48,
    "nir": 0.84,
    "rededge": 0.705,
    "rededge2": 0.74,
    "rededge3": 0.783,
    "nir narrow": 0.865,
    "nir2": 0.95,
    "swir": 1.61,
    "swir2": 2.2,
    "pan": 0.6,
    "coastal": 0.443,
    "yellow": 0.605,
    "water vapour": 0.945,
    "cirrus": 1.375,
    "thermal": 10.9,
    "thermal2": 12.0,
}
"""What a band may show, and the wavelength in micrometres that is usual for it."""


class RadarBand(NamedTuple):
    """Facts of a band that its files call radar.

    Attributes:
        polarisation: `vv`, `vh`, `hh` or `hv`; empty where it is not told.
        scales: Of the before and the after image, `intensity`, `amplitude` or `db`; empty where
            it is not told.
    """

    polarisation: str = ""
    scales: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class PairFacts:
    """Facts that hold for every tile of a pair.

    Attributes:
        bands: Name of each band in order, lower case; one of `BAND_ROLES` where it is
            known, else `band1`, `band2`, ...
        pixel_area_m2: Ground area of a pixel at the grid's centre, in square metres.
        dtype: Data type of the source pixels, such as `uint8`.
        radar: Facts of each band as radar; None for bands of which the files do not say that they
            are. Empty where none is.
    """

    bands: tuple[str, ...]
    pixel_area_m2: float
    dtype: str
    radar: tuple[RadarBand | None, ...] = ()
