"""Facts about a pair that hold for every tile, as models are given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


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
        bands: Name of each band in order, lower case; a known role where there is one
            (`red`, `green`, `blue`, `nir`, `swir`, ...), else `band1`, `band2`, ...
        pixel_area_m2: Ground area of a pixel at the grid's centre, in square metres.
        dtype: Data type of the source pixels, such as `uint8`.
        radar: Facts of each band as radar; None for bands of which the files do not say that they
            are. Empty where none is.
    """

    bands: tuple[str, ...]
    pixel_area_m2: float
    dtype: str
    radar: tuple[RadarBand | None, ...] = ()
