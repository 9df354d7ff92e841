"""Collections of scenes: which assets are which bands, how values are packed, what hides ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geochg.errors import InputError, OptionError
from geochg.stac.cloud_masks import QUALITY_KINDS
from geochg.stac.cloud_model import Level


@dataclass(frozen=True, slots=True)
class BandSource:
    """Where a band of a scene is read.

    Attributes:
        asset: Key of the asset.
        number: The band in its file, from 1.
    """

    asset: str
    number: int = 1

    def __str__(self) -> str:
        return self.asset if self.number == 1 else f"{self.asset}:{self.number}"


@dataclass(frozen=True, slots=True)
class MaskTable:
    """What the values of a mask asset say; `kind`, `clear` or `hidden_bits` is given.

    Attributes:
        asset: Key of the asset.
        kind: The quality band that it is, a key of `cloud_masks.QUALITY_KINDS`; may be empty.
        clear: Classes that show ground; all other classes hide it.
        hidden_bits: Bits, from 0, of which none is set where ground is seen.
        nodata: Value where nothing was measured, where the file does not tell; None for none.
    """

    asset: str
    kind: str = ""
    clear: tuple[int, ...] = ()
    hidden_bits: tuple[int, ...] = ()
    nodata: int | None = None


@dataclass(frozen=True, slots=True)
class OffsetRule:
    """An offset that came with a processing baseline.

    Attributes:
        property: Property of an item that names its baseline.
        since: First baseline whose values have it; compared as text.
        offset: The offset, in units of reflectance; 0 before that baseline.
        unless: Property that is true where it is subtracted from the values already.
    """

    property: str
    since: str
    offset: float
    unless: str = ""


@dataclass(frozen=True)
class Collection:
    """A collection of a catalogue.

    Attributes:
        id: Its id in the catalogue.
        catalog: Name or address of the catalogue.
        bands: Where each band is read, by the name that geochg gives it.
        default: Names of the bands that are fetched where none are named.
        title: One line.
        licence: As SPDX names it; empty where the table does not tell.
        attribution: The sentence that must stand where the data are shown; may be empty.
        resolution_m: Size of a pixel of the grid; None where the items tell.
        anchor_m: Where edges of pixels lie, as a remainder of multiples of the resolution.
        reflectance: Whether values times scale plus offset are reflectance, 0-1.
        scale: Factor of values, where the item tells none.
        offset: Summand of values times scale, where the item tells none.
        offset_rule: The rule that counts before what an item tells of its assets; None for none.
        nodata: Value of "no measurement", where files do not tell; None for none.
        level: Where reflectance is told: `l1c` at the top of the atmosphere, `l2a` at the surface.
        mask: The mask asset and its values; None where the collection has none.
    """

    id: str
    catalog: str
    bands: Mapping[str, BandSource] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    title: str = ""
    licence: str = ""
    attribution: str = ""
    resolution_m: float | None = None
    anchor_m: float = 0.0
    reflectance: bool = True
    scale: float = 1.0
    offset: float = 0.0
    offset_rule: OffsetRule | None = None
    nodata: float | None = None
    level: Level = "l2a"
    mask: MaskTable | None = None

    def band_sources(self, names: tuple[str, ...]) -> dict[str, BandSource]:
        """Where the bands that are wanted are read, in their order.

        Args:
            names: Names of bands; empty for the default.

        Raises:
            OptionError: If one is unknown, or named twice.
        """
        names = names or self.default
        if len(set(names)) < len(names):
            raise OptionError(f"a band is named twice: {', '.join(names)}", "name it once")
        if unknown := [name for name in names if name not in self.bands]:
            raise OptionError(
                f"collection {self.id} has no band {', '.join(map(repr, unknown))}",
                f"bands of it: {', '.join(self.bands) or 'none that are known'}",
            )
        return {name: self.bands[name] for name in names}


_KEYS = frozenset(
    "id catalog title licence attribution resolution_m anchor_m reflectance scale offset "
    "offset_since nodata level mask bands default".split()
)


def collection_of_entry(entry: Mapping[str, Any], source: str) -> Collection:
    """A collection of its entry in a file of catalogues.

    Args:
        entry: The table `[[collections]]`.
        source: Name of the file, for messages.

    Raises:
        InputError: If a key is missing, unknown or of the wrong type.
    """
    name = str(entry.get("id", "without an id"))
    try:
        if unknown := sorted(set(entry) - _KEYS):
            raise ValueError(f"unknown key {', '.join(unknown)}")
        bands = {str(band): _band_source(str(text)) for band, text in entry["bands"].items()}
        default = tuple(map(str, entry.get("default", list(bands)[:4])))
        if missing := [band for band in default if band not in bands]:
            raise ValueError(f"default names {', '.join(missing)}, which bands does not")
        return Collection(
            id=_text(entry["id"]),
            catalog=_text(entry["catalog"]),
            bands=bands,
            default=default,
            title=_text(entry.get("title", "")),
            licence=_text(entry.get("licence", "")),
            attribution=_text(entry.get("attribution", "")),
            resolution_m=_positive(entry["resolution_m"]),
            anchor_m=float(entry.get("anchor_m", 0)),
            reflectance=bool(entry.get("reflectance", True)),
            scale=float(entry.get("scale", 1)),
            offset=float(entry.get("offset", 0)),
            offset_rule=_offset_rule(entry.get("offset_since")),
            nodata=None if entry.get("nodata") is None else float(entry["nodata"]),
            level=_level(entry.get("level", "l2a")),
            mask=_mask_table(entry.get("mask")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{source}: the collection {name} cannot be read: {reason}",
            "correct the entry; the comments of the file that comes with geochg tell its keys",
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _positive(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else 0.0
    if not 0 < number < 1e6:
        raise ValueError(f"{value!r} is no size of a pixel in metres")
    return number


def _band_source(text: str) -> BandSource:
    asset, separator, number = text.rpartition(":")
    if separator and number.isdecimal() and int(number) > 0:
        return BandSource(asset, int(number))
    return BandSource(text)


def _offset_rule(entry: Mapping[str, Any] | None) -> OffsetRule | None:
    if entry is None:
        return None
    return OffsetRule(
        _text(entry["property"]),
        _text(entry["from"]),
        float(entry["offset"]),
        _text(entry.get("unless", "")),
    )


def _level(value: object) -> Level:
    if value == "l1c":
        return "l1c"
    if value != "l2a":
        raise ValueError(f"level is l1c or l2a, not {value!r}")
    return "l2a"


def _mask_table(entry: Mapping[str, Any] | None) -> MaskTable | None:
    if entry is None:
        return None
    clear = tuple(int(value) for value in entry.get("clear", ()))
    hidden_bits = tuple(int(bit) for bit in entry.get("hidden_bits", ()))
    kind = _text(entry.get("kind", ""))
    if [bool(kind), bool(clear), bool(hidden_bits)].count(True) != 1:
        raise ValueError("mask needs one of kind, clear and hidden_bits")
    if kind and kind not in QUALITY_KINDS:
        raise ValueError(f"mask knows no kind {kind!r}; there are {', '.join(QUALITY_KINDS)}")
    nodata = entry.get("nodata")
    return MaskTable(
        _text(entry["asset"]), kind, clear, hidden_bits, None if nodata is None else int(nodata)
    )
