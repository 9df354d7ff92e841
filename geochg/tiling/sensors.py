"""Bands named by the numbers of a sensor, such as `B4`: red on one, infrared on another.

"Band 4" is no such name: that is what many programs call the fourth band of any file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def _numbered(*roles: str) -> dict[str, str]:
    """What bands show, by their numbers from 1 on."""
    return {str(number): role for number, role in enumerate(roles, start=1)}


SENTINEL_2 = _numbered(
    *("coastal", "blue", "green", "red", "rededge", "rededge2", "rededge3", "nir"),
    *("water vapour", "cirrus", "swir", "swir2"),
) | {"8a": "nir narrow"}
LANDSAT_8 = _numbered(
    *("coastal", "blue", "green", "red", "nir", "swir", "swir2", "pan"),
    *("cirrus", "thermal", "thermal2"),
)
LANDSAT_5 = _numbered("blue", "green", "red", "nir", "swir", "thermal", "swir2", "pan")
MODIS = {"1": "red", "2": "nir", "3": "blue", "4": "green", "6": "swir", "7": "swir2"}
_VISIBLE = {"2": "blue", "3": "green", "4": "red"}  # what the newer sensors agree on
_ORIGINS = (
    (
        r"hls[._-]?l30|\bl30\b|landsat[ _-]?0?[89]\b|\bl[co]0?[89](?!\d)|\boli\b|l[co]0[89]_",
        LANDSAT_8,
    ),
    (r"hls[._-]?s30|sentinel[ _-]?2|\bs2[abc]?\b|s2[abc]_|\bmsi\b|_msil", SENTINEL_2),
    (r"landsat[ _-]?0?[4567]\b|\bl[te]0?[4567](?!\d)|\betm\b|\btm\b", LANDSAT_5),
    (r"\bmodis\b|\bm[oyc]d(09|43)|sur_refl|nadir_reflectance", MODIS),
)
_CODE = re.compile(
    r"(?:.*[^a-z0-9])?b[ _-]?(0?)(\d{1,2})(a?)"
    r"(?:[ _-](?:\d{2}m|mean|median|min|max|first|mosaic|p\d+|sr|toa|boa))?"
)
_SUFFIX = re.compile(r"\.(?:tiff?|jp2|img|vrt|bil|bsq)$")
"""Bands that were put together are often named for the files they come from."""


@dataclass(frozen=True, slots=True)
class Code:
    """A band's number on its sensor.

    Attributes:
        number: As in `B8`.
        suffix: `a` of `B8A`; else empty.
        padded: Whether it is written with a zero, as in `B04`.
    """

    number: int
    suffix: str = ""
    padded: bool = False

    @property
    def key(self) -> str:
        """As the tables have it."""
        return f"{self.number}{self.suffix}"


def code_of(name: str) -> Code | None:
    """The number in a name like `B4`, `SR_B4`, `B04_10m`, `B4_median`; None where it has none.

    Args:
        name: In lower case.
    """
    match = _CODE.fullmatch(_SUFFIX.sub("", name.strip()))
    if match is None or int(match[2]) == 0:
        return None
    return Code(int(match[2]), match[3], bool(match[1]))


def table_for(codes: Sequence[tuple[int, Code]], origin: str) -> Mapping[str, str]:
    """What the numbers of a file's bands mean; nothing where that is not certain.

    Args:
        codes: Each band's place in the file, from 1, with its number on the sensor.
        origin: What the file says of where it comes from.
    """
    if not codes:
        return {}
    for pattern, table in _ORIGINS:
        if re.search(pattern, origin.lower()):
            return table
    is_position = all(position == code.number for position, code in codes)
    if is_position and not any(code.padded or code.suffix for _, code in codes):
        return {}
    keys = {code.key for _, code in codes}
    if any(code.padded for _, code in codes) or keys & {"8a", "12"}:
        return SENTINEL_2
    return _implied_sensor(keys)


def _implied_sensor(keys: set[str]) -> Mapping[str, str]:
    """The sensor that numbers alone imply."""
    if ("10" in keys and not keys & {"1", "8"}) or {"10", "11"} <= keys:
        return LANDSAT_8
    if "8" in keys or "11" in keys:
        return SENTINEL_2
    if "1" in keys:
        # Newer sensors begin with a coastal band, which nobody maps together with two or three.
        old = keys == {"1", "2", "3"} or keys == {"1", "2", "3", "4", "5", "7"}
        return LANDSAT_5 if old else LANDSAT_8 if {"5", "6"} <= keys else {}
    if "5" in keys:
        return LANDSAT_8
    return _VISIBLE if keys <= {"2", "3", "4"} else {}
