"""What files say of bands that are radar: the polarisation, and what the values measure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from geochg.records import RadarBand

if TYPE_CHECKING:
    from geochg.tiling.band_names import BandFacts
    from geochg.tiling.bands import Band

_RADAR = re.compile(
    r"(?<![a-z])(?:sigma|gamma|beta)[ -]?(?:0|nought|naught)(?![a-z])|backscatter"
    r"|(?<![a-z])sentinel[ -]?1[a-d]?(?![a-z0-9])"
    r"|(?<![a-z0-9])s1[a-d]?[ -](?:iw|ew|sm|wv|grdh?|slc|rtc)(?![a-z0-9])"
    r"|(?<![a-z])(?:radarsat|terrasar|tandem-x|palsar|cosmo-?skymed|iceye|saocom)"
    r"|synthetic[ -]aperture"
)
"""What tags, descriptions and file names of radar images say."""

_POLARISATION = re.compile(r"(?<![a-z])(vv|vh|hh|hv)(?![a-z])")
_POLARISATION_TAG = re.compile(r"polari[sz]ation|polarimetric_interp", re.IGNORECASE)
_UNIT_TAGS = ("unit", "units", "unittype", "long_name", "standard_name")
_SCALES = (
    ("db", re.compile(r"(?<![a-z])(?:db|decibels?)(?![a-z])")),
    ("amplitude", re.compile(r"(?<![a-z])(?:amplitude|magnitude)(?![a-z])")),
    ("intensity", re.compile(r"(?<![a-z])(?:intensity|power)(?![a-z])")),
)


class SourceRadar(NamedTuple):
    """What a file says of a band that is radar.

    Attributes:
        polarisation: `vv`, `vh`, `hh` or `hv`; empty where it is not told.
        scale: `intensity`, `amplitude` or `db`; empty where it is not told.
    """

    polarisation: str
    scale: str


def radar_of(
    bands: Sequence[BandFacts], units: Sequence[str | None], file_says: Iterable[str]
) -> list[SourceRadar | None]:
    """What a file says of each of its bands as radar; None for those that it does not call radar.

    A band is radar where its own name or tags say so, or where the file says so and the band is not
    named as light. Where the file names one polarisation and has one band, that is the band's.

    Args:
        bands: All its bands.
        units: Their units.
        file_says: Texts of the file: its name, and tags that describe it.
    """
    texts = list(file_says)
    is_radar_file = says_radar(texts) or (
        len(bands) == 1 and polarisation_of(" ".join(texts), {}) != ""
    )
    facts = list[SourceRadar | None]()
    for band, unit in zip(bands, units, strict=True):
        polarisation = polarisation_of(band.name, band.tags)
        scale = radar_scale_of(band.name, unit or "", band.tags)
        is_radar = bool(polarisation) or says_radar([band.name, *band.tags.values()])
        if not is_radar and (not is_radar_file or _names_light(band)):
            facts.append(None)
            continue
        if not polarisation and len(bands) == 1:
            polarisation = polarisation_of(" ".join(texts), {})
        facts.append(SourceRadar(polarisation, scale))
    return facts


def _names_light(band: BandFacts) -> bool:
    words = re.findall(r"[a-z]+", band.name.lower())
    return not {"red", "green", "blue", "nir", "swir"}.isdisjoint(words)


def pair_radar(before: Sequence[Band], after: Sequence[Band]) -> tuple[RadarBand | None, ...]:
    """What two files say of the bands in use; empty where they call none of them radar.

    A band of which one date says that it is radar is radar.

    Args:
        before: Bands of the before image that are in use.
        after: Those of the after image that go with them.
    """
    if len(before) != len(after) or not any(band.radar for band in (*before, *after)):
        return ()
    return tuple(
        RadarBand(
            next((facts.polarisation for facts in (a.radar, b.radar) if facts), ""),
            (a.radar.scale if a.radar else "", b.radar.scale if b.radar else ""),
        )
        if a.radar or b.radar
        else None
        for a, b in zip(before, after, strict=True)
    )


def says_radar(texts: Iterable[str]) -> bool:
    """Whether one of some texts names radar: a quantity, a sensor or the method."""
    return any(_RADAR.search(text.lower().replace("_", " ")) for text in texts)


def polarisation_of(name: str, tags: Mapping[str, str]) -> str:
    """The polarisation that a band's name or its tags tell: `vv`, `vh`, `hh`, `hv` or nothing.

    Args:
        name: The band's name.
        tags: The band's tags, names in any case.
    """
    facts = [name, *(value for tag, value in tags.items() if _POLARISATION_TAG.search(tag))]
    for text in facts:
        words = set(_POLARISATION.findall(text.lower().replace("_", " ")))
        if len(words) == 1:
            return str(words.pop())
    return ""


def radar_scale_of(name: str, unit: str, tags: Mapping[str, str]) -> str:
    """What the values measure: `intensity`, `amplitude` or `db`; empty where it is not told.

    The unit stands above the tags, and these above the name.

    Args:
        name: The band's name.
        unit: The band's unit; may be empty.
        tags: The band's tags, names in lower case.
    """
    for text in (unit, *(tags.get(tag, "") for tag in _UNIT_TAGS), name):
        words = text.lower().replace("_", " ")
        scales = [scale for scale, pattern in _SCALES if pattern.search(words)]
        if scales:
            return scales[0]
    return ""
