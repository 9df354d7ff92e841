"""What a band shows, by what its file says of it: names, wavelengths, colours.

Names and wavelengths come before colours: GDAL calls the first three bands of many files red, green
and blue, though they say that they are something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from geochg.pair_facts import BAND_ROLES
from geochg.tiling.sensors import code_of, table_for

NO_COLOURS = frozenset(
    "vv vh hh hv ndvi ndwi ndbi nbr evi savi dem dsm dtm elevation height slope aspect hillshade "
    "coherence temperature lst class classes classification label mask qa scl".split()
)
"""Words of names that say that a band is none of a picture."""

_WORDS = {
    **{name: name for name in ("red", "green", "blue", "coastal", "yellow", "cirrus", "pan")},
    "panchromatic": "pan",
    **dict.fromkeys(("rot", "rouge", "rojo", "rosso", "vermelho"), "red"),
    **dict.fromkeys(("grün", "gruen", "vert", "verde"), "green"),
    **dict.fromkeys(("blau", "bleu", "azul", "blu"), "blue"),
    **dict.fromkeys(("nir", "nir1", "nir08", "ir", "infrared"), "nir"),
    **dict.fromkeys(("nir2", "nir09"), "nir2"),
    **dict.fromkeys(("rededge", "rededge1", "rededge071"), "rededge"),
    **dict.fromkeys(("rededge2", "rededge075"), "rededge2"),
    **dict.fromkeys(("rededge3", "rededge078"), "rededge3"),
    **dict.fromkeys(("swir", "swir1", "swir16"), "swir"),
    **dict.fromkeys(("swir2", "swir22"), "swir2"),
    **dict.fromkeys(("thermal", "tir", "lwir", "lwir11"), "thermal"),
    "lwir12": "thermal2",
}
_PHRASES = (
    (r"near[ _-]*infra[ _-]*red", "nir"),
    (r"short[ _-]*wave[ _-]*infra[ _-]*red", "swir"),
    (r"red[ _-]+edge", "rededge"),
    (r"infra[ _-]+red", "infrared"),
    (r"\b(nir|swir|rededge)[ _-]+(\d{1,2})\b", r"\1\2"),
    (r"narrow[ _-]*nir|nir[ _-]*narrow|nir[ _-]*8a", "nirnarrow"),
)
_LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir", "nir": "nir"}
_RANGES = (  # micrometres, half-open
    (0.40, 0.452, "coastal"),
    (0.452, 0.52, "blue"),
    (0.52, 0.588, "green"),
    (0.588, 0.625, "yellow"),
    (0.625, 0.69, "red"),
    (0.69, 0.722, "rededge"),
    (0.722, 0.762, "rededge2"),
    (0.762, 0.795, "rededge3"),
    (0.795, 0.93, "nir"),
    (0.93, 0.97, "water vapour"),
    (1.34, 1.41, "cirrus"),
    (1.53, 1.76, "swir"),
    (2.05, 2.40, "swir2"),
    (8.0, 11.6, "thermal"),
    (11.6, 14.0, "thermal2"),
)
_NAME_TAGS = ("common_name", "eo:common_name", "eo_common_name", "commonname")
_LABEL_TAGS = ("band_name", "bandname", "name", "long_name")
_WAVELENGTH_TAGS = (
    *("central_wavelength_um", "center_wavelength_um", "eo:center_wavelength"),
    *("eo_center_wavelength", "center_wavelength", "central_wavelength", "wavelength"),
)
_GENERIC = re.compile(r"(band|layer|channel|b|gray|grey|bande|kanal)?[ _#.-]*\d*")


@dataclass(frozen=True, slots=True)
class BandFacts:
    """What a file says of one band.

    Attributes:
        number: From 1.
        label: Its description; may be empty.
        color: Its colour as GDAL calls it, such as `red` or `undefined`.
        tags: Its tags of all namespaces, names in lower case.
    """

    number: int
    label: str
    color: str = "undefined"
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The description, else a name among the tags; may be empty."""
        tag_names = (self.tags.get(tag, "").strip() for tag in _LABEL_TAGS)
        return self.label or next((name for name in tag_names if name), "")


def is_generic(label: str, number: int) -> bool:
    """Whether a name says no more than a band's place in its file."""
    text = label.strip().lower()
    code = code_of(text)
    if code is not None:
        return code.number == number and not code.padded and not code.suffix
    return _GENERIC.fullmatch(text) is not None


def says_no_colour(label: str) -> bool:
    """Whether a name says that a band is none of a picture, such as `VV` or `NDVI`."""
    return not NO_COLOURS.isdisjoint(re.findall(r"[a-z]+", label.lower()))


def roles_of(bands: Sequence[BandFacts], origin: str) -> list[str]:
    """What each band of a file shows, one of `BAND_ROLES`, or nothing; no role comes twice.

    Args:
        bands: All its bands.
        origin: What the file says of where it comes from: its name, and tags of the sensor.
    """
    roles = _by_letters(bands, [_named_role(band) for band in bands])
    codes = [code_of(band.name.lower()) for band in bands]
    named_roles = [
        (band.number, code)
        for band, code, role in zip(bands, codes, roles, strict=True)
        if code is not None and not role
    ]
    table = table_for(named_roles, " ".join([origin, *(band.name for band in bands)]))
    roles = [
        role or _by_wavelength(band) or (table.get(code.key, "") if code else "")
        for role, band, code in zip(roles, bands, codes, strict=True)
    ]
    roles = _once(roles, bands)
    return [role or _by_color(band, roles) for role, band in zip(roles, bands, strict=True)]


def _named_role(band: BandFacts) -> str:
    """The role that a common name or the words of a name tell."""
    for tag in _NAME_TAGS:
        if role := _by_words(band.tags.get(tag, "")):
            return role
    return _by_words(band.name)


def _by_words(label: str) -> str:
    text = label.lower()
    for pattern, word in _PHRASES:
        text = re.sub(pattern, word, text)
    if says_no_colour(text):
        return ""
    words = set(re.findall(r"[^\W\d]+\d*", text.replace("_", " ")))
    words_found = {_WORDS[word] for word in words if word in _WORDS}
    if "nirnarrow" in words:
        words_found.add("nir narrow")
    return words_found.pop() if len(words_found) == 1 else ""


def _by_letters(bands: Sequence[BandFacts], roles: Sequence[str]) -> list[str]:
    """With single letters where a file names three bands R, G and B so."""
    if not {"r", "g", "b"} <= {band.name.lower() for band in bands}:
        return list(roles)
    return [_LETTERS.get(band.name.lower(), role) for band, role in zip(bands, roles, strict=True)]


def _by_color(band: BandFacts, taken_roles: Sequence[str]) -> str:
    """The role of GDAL's colour, unless the names say otherwise."""
    role = band.color if band.color in BAND_ROLES else ""
    if role in taken_roles or says_no_colour(band.name):
        return ""
    code = code_of(band.name.lower())
    if code is not None and not is_generic(band.name, band.number):
        return ""
    return role


# --- wavelengths ---------------------------------------------------------------------------------


def _by_wavelength(band: BandFacts) -> str:
    value = _wavelength_um(band)
    return next((role for low, high, role in _RANGES if low <= value < high), "")


def _wavelength_um(band: BandFacts) -> float:
    """The central wavelength in micrometres; 0 where the file does not tell it."""
    units = band.tags.get("wavelength_units", "")
    for tag in _WAVELENGTH_TAGS:
        for value in _micrometres(band.tags.get(tag, ""), "um" if tag.endswith("_um") else units):
            return value
    if re.search(r"\d\s*(nm|um|µm|μm|nanomet|micromet|micron)", band.name.lower()):
        return next(_micrometres(band.name.lower(), ""), 0.0)
    return 0.0


def _micrometres(text: str, units: str) -> Iterator[float]:
    match = re.search(r"(\d+(?:\.\d+)?)\s*(nm|um|µm|μm|nanomet|micromet|micron)", text.lower())
    match = match or re.fullmatch(r"\s*(\d+(?:\.\d+)?)()\s*", text)
    if match is None:
        return
    value, unit = float(match[1]), (match[2] or units).lower()
    is_nanometres = unit.startswith("n") if unit[:1] in ("n", "u", "µ", "μ", "m") else value >= 100
    yield value / 1000 if is_nanometres else value


# --- one band a role -----------------------------------------------------------------------------


def _once(roles: Sequence[str], bands: Sequence[BandFacts]) -> list[str]:
    """Each role for one band only: the one nearest to the usual wavelength, else the first."""
    keepers: dict[str, tuple[float, int]] = {}
    for band, role in zip(bands, roles, strict=True):
        wavelength = _wavelength_um(band)
        wavelength_gap = abs(wavelength - BAND_ROLES[role]) if role and wavelength else 0.0
        # Of "green" and "green_i", the one that is called so.
        wavelength_gap -= 1 if band.name.lower() == role else 0
        if role and (role not in keepers or wavelength_gap < keepers[role][0]):
            keepers[role] = (wavelength_gap, band.number)
    kept_roles = {role: number for role, (_, number) in keepers.items()}
    return [
        role if kept_roles.get(role) == band.number else ""
        for band, role in zip(bands, roles, strict=True)
    ]
