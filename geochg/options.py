"""Options as frozen dataclasses: they round-trip JSON and TOML and refuse unknown keys."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Self

from geochg.errors import InputError, OptionError
from geochg.files.text_file import read_toml
from geochg.safety.untrusted_text import cleaned

VERSION_KEY = "geochg_version"
"""Key under which saved options name the version that wrote them."""


CHANGES_LAYER = "changes"
"""The name of the change layer, where no other is given."""

TILES_LAYER = "tiles"
"""Likewise, of the layer of tiles."""

USUAL_OVERLAP_PX = 32
"""Overlap of neighbouring tiles that do not vote."""

MOST_TILE_PX = 16_384
"""Largest tile: two of three bands of float32 take 6 GB."""

MOST_LOOKS = 16
"""Most tiles, in each direction, that may hold one pixel."""

_LONG = 10**30
"""Whole numbers from here on are none that anybody means."""

MOST_REFINED = 3
"""Most closer looks: after three, a cell of a usual tile is three pixels wide."""


class AlignMode(StrEnum):
    """What to do about a residual shift between the dates."""

    AUTO = "auto"
    OFF = "off"
    REPORT = "report"


class Geometry(StrEnum):
    """What shape features take."""

    OUTLINE = "outline"
    CELLS = "cells"


class Sensitivity(StrEnum):
    """How easily a model that outlines calls a pixel changed; `normal` is as it was calibrated."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def log_odds(self) -> float:
        """What is added to the log odds of the model's thresholds."""
        return {Sensitivity.LOW: 1.0, Sensitivity.HIGH: -1.0}.get(self, 0.0)


class Quantize(StrEnum):
    """In how many bits a model holds its weights."""

    FOUR = "4bit"
    EIGHT = "8bit"


class Dtype(StrEnum):
    """Number type of a model's weights."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclass(frozen=True)
class Options:
    """Base of all option classes; subclasses add typed fields with defaults."""

    NOT_SAVED: ClassVar[tuple[str, ...]] = ()
    """Fields that belong to one run and do not go into a saved file."""

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ()
    """Fields that do not change the result."""

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The least and the greatest value of each number, or of each of several, in its unit."""

    def __post_init__(self) -> None:
        """Checks the numbers; to be called at the end of those of subclasses.

        Raises:
            OptionError: If one is not finite, or beyond its bounds.
        """
        for name, (least, greatest) in self.BOUNDS.items():
            held = getattr(self, name)
            for value in _each(held):
                # NaN lies nowhere.
                if value is not None and not least <= value <= greatest:
                    raise OptionError(
                        f"{name} {_number_in_words(value)}",
                        f"it must lie between {least:,.15g} and {greatest:,.15g}",
                    )

    def to_dict(self) -> dict[str, Any]:
        """The options as plain JSON values, without the version."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def shaping(self) -> dict[str, Any]:
        """The options that shape the result, as plain JSON values."""
        return {key: value for key, value in self.to_dict().items() if key not in self.HOW_IT_RUNS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` or a saved file gives.

        Raises:
            OptionError: If a key is unknown or a value has the wrong type.
        """
        types = typing.get_type_hints(cls)
        given = {key: value for key, value in values.items() if key != VERSION_KEY}
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(given) - known):
            raise OptionError(
                f"unknown option {', '.join(map(repr, unknown))}",
                f"known options: {', '.join(sorted(known)) or 'none'}",
            )
        return cls(**{key: typed(key, value, types[key]) for key, value in given.items()})

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Reads an options file.

        Raises:
            InputError: If the file cannot be read or is not TOML.
            OptionError: As `from_dict`.
        """
        hint = "write one with --save-options and change that"
        values = read_toml(path, "options", hint)
        return cls.from_dict(values)

    def to_toml(self, path: Path) -> None:
        """Writes an options file that `from_toml` reads; options that are None are left out.

        Raises:
            InputError: If the file cannot be written.
        """
        import tomli_w

        from geochg import __version__

        values = {
            key: value
            for key, value in self.to_dict().items()
            if value is not None and key not in self.NOT_SAVED
        }
        try:
            path.write_text(tomli_w.dumps({VERSION_KEY: __version__, **values}), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write the options file {path}: {error.strerror}", "choose another path"
            ) from error


@dataclass(frozen=True)
class AnalyzeOptions(Options):
    """What `analyze` can be told. Options under "how it runs" do not change the result.

    Attributes:
        model: `name` or `name:source`, see `geochg models`.
        model_options: The backend's own options.
        prompts: Questions in one's own words, by task; see `tasks.wording`.
        clue: Whether the model describes each tile first and is told so with each question.
        clue_model: Another model to describe it, as `model`; empty for the same.
        clue_options: That model's own options.
        bands: Bands to use, by number, name, colour or `role=number`; `gray` alone for the grey of
            each date; empty for the model's choice.
        resolution: Pixel size of the grid in units of its CRS; None for the before image's.
        crs: CRS of the grid; None for the before image's.
        aoi: Area of interest: a vector file, `west,south,east,north` or WKT; coordinates are
            longitude and latitude unless a CRS stands before them (`EPSG:26914;...`).
        align: What to do about a residual shift.
        match: Whether to match the after image's values to the before image's, band by band.
        tile_size_px: Side of the square the model sees.
        overlap_px: Overlap of neighbouring tiles; None for the usual: 32, or half a tile when tiles
            vote. See `tile_overlap_px`.
        refine: How often each cell of the 3x3 grid that changed is enlarged and asked about again,
            0 to 3; for models that answer by the grid.
        vote: Whether tiles overlap by half, and those that see a place vote on it; for such models.
        classes: Classes to keep in features and heatmap; empty for all.
        sensitivity: How easily ground counts as changed; for models that outline.
        min_confidence: Features below this confidence (0-1) are dropped.
        min_area_m2: Features below this geodesic area are dropped; None for what suits the
            resolution where the model tells land cover (`geometry.changed.least_size_px`), else 0.
        geometry: `outline` where the model gives outlines, else cells; `cells` for cells always.
        keep_collars: Whether black or white that fills up an image to its frame counts as ground.
        allow_remote: How it runs: whether files on this machine may name rasters elsewhere, which
            are then fetched.
        dates_as_given: How it runs: whether a pair is taken whose files say that the image given as
            the earlier one is the newer.
        allow_failed_tiles: How it runs: whether failed tiles still count as success.
        device: How it runs: `auto`, `cpu`, `cuda`, `mps`.
        batch_size: How it runs: tiles answered in one call; None for the model's choice.
        workers: How it runs: reading threads; None for as many as there are cores, at most 4.
        resume: How it runs: whether to go on with an unfinished run.
        layer: How it runs: the name of the change layer, in a GeoPackage that may hold others.
        tiles_layer: How it runs: likewise, of the layer of tiles.
        overwrite: How it runs: whether outputs may replace what geochg did not write.
    """

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    clue: bool = False
    clue_model: str = ""
    clue_options: Mapping[str, Any] = field(default_factory=dict)
    bands: tuple[str, ...] = ()
    resolution: float | None = None
    crs: str | None = None
    aoi: str | None = None
    align: AlignMode = AlignMode.AUTO
    match: bool = False
    tile_size_px: int = 256
    overlap_px: int | None = None
    refine: int = 0
    vote: bool = False
    classes: tuple[str, ...] = ()
    sensitivity: Sensitivity = Sensitivity.NORMAL
    min_confidence: float = 0.0
    min_area_m2: float | None = None
    geometry: Geometry = Geometry.OUTLINE
    keep_collars: bool = False
    allow_remote: bool = False
    dates_as_given: bool = False
    allow_failed_tiles: bool = False
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    resume: bool = False
    layer: str = CHANGES_LAYER
    tiles_layer: str = TILES_LAYER
    overwrite: bool = False

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = (
        "allow_remote",
        "dates_as_given",
        "allow_failed_tiles",
        "device",
        "batch_size",
        "workers",
        "resume",
        "layer",
        "tiles_layer",
        "overwrite",
    )
    NOT_SAVED: ClassVar[tuple[str, ...]] = ("resume", "overwrite")
    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "resolution": (1e-8, 1e7),
        "tile_size_px": (1, MOST_TILE_PX),
        "overlap_px": (0, MOST_TILE_PX),
        "refine": (0, MOST_REFINED),
        "min_confidence": (0, 1),
        # The whole earth has 5.1e14.
        "min_area_m2": (0, 1e15),
        "batch_size": (1, 65_536),
        "workers": (1, 1_024),
    }

    def __post_init__(self) -> None:
        _require(self.tile_size_px > 0, f"tile size {self.tile_size_px} px", "must be above zero")
        overlap_px = self.tile_overlap_px
        _require(overlap_px >= 0, f"overlap {overlap_px} px", "must not be negative")
        _require(
            overlap_px < self.tile_size_px,
            f"overlap {overlap_px} px",
            f"must be below the tile size, {self.tile_size_px} px",
        )
        half_px = self.tile_size_px // 2
        _require(
            not self.vote or overlap_px == half_px,
            f"overlap {overlap_px} px",
            f"must be half a tile, {half_px} px, where tiles vote",
        )
        _require(
            0 <= self.refine <= MOST_REFINED,
            f"refine {self.refine}",
            f"must lie between 0 and {MOST_REFINED}",
        )
        _require(
            self.resolution is None or 0 < self.resolution < math.inf,
            f"resolution {self.resolution}",
            "must be above zero",
        )
        _require(
            0 <= self.min_confidence <= 1,
            f"minimum confidence {self.min_confidence}",
            "must lie between 0 and 1",
        )
        _require(
            self.min_area_m2 is None or 0 <= self.min_area_m2 < math.inf,
            f"minimum area {self.min_area_m2}",
            "must be a number and not negative",
        )
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"{name} {value}", "must be above zero")
        super().__post_init__()
        least_px = self.tile_size_px // MOST_LOOKS
        _require(
            self.tile_size_px - overlap_px >= least_px,
            f"overlap {overlap_px} px of tiles of {self.tile_size_px} px",
            f"must leave {least_px} px between tiles, or there are nearly as many tiles as pixels",
        )

    @property
    def tile_overlap_px(self) -> int:
        """Overlap of neighbouring tiles, as given or as usual."""
        if self.overlap_px is not None:
            return self.overlap_px
        return self.tile_size_px // 2 if self.vote else USUAL_OVERLAP_PX

    def shaping(self) -> dict[str, Any]:
        """The options that shape the result, with the overlap that is used."""
        return {**super().shaping(), "overlap_px": self.tile_overlap_px}


def _require(holds: bool, what: str, rule: str) -> None:
    if not holds:
        raise OptionError(what, f"it {rule}")


def _each(held: Any) -> Iterable[Any]:  # noqa: ANN401
    """The numbers that an option holds."""
    return held if isinstance(held, tuple) else (held,)


def _number_in_words(value: float) -> str:
    """A number; Python writes none of thousands of digits, and nobody reads them."""
    if isinstance(value, int) and abs(value) >= _LONG:
        return "of very many digits"
    return str(value)


def _check_text(key: str, value: str) -> None:
    """Refuses what no file, CRS or question can hold: a NUL or half of a character."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise OptionError(f"option {key!r} holds half of a character", "write it anew") from None
    if "\0" in value:
        raise OptionError(f"option {key!r} holds a NUL character", "write it anew")


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def typed(key: str, value: Any, wanted: Any) -> Any:  # noqa: ANN401
    """Brings a JSON value to the type of a field.

    Args:
        key: The field's name, for the message.
        value: What stands there.
        wanted: Its type.

    Raises:
        OptionError: If it has another.
    """
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        wanted = next(argument for argument in arguments if argument is not type(None))
        return typed(key, value, wanted)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(typed(key, item, arguments[0]) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        if arguments[1] is str:
            return {name: typed(f"{key}.{name}", one, str) for name, one in value.items()}
        return dict(value)
    if isinstance(wanted, type) and issubclass(wanted, StrEnum) and value in list(wanted):
        return wanted(value)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        if (isinstance(value, int) and abs(value) >= _LONG) or not math.isfinite(value):
            shown = _number_in_words(value)
            raise OptionError(f"{key.replace('_', ' ')} {shown}", "it must be a finite number")
        return float(value)
    if isinstance(wanted, type) and type(value) is wanted:
        if isinstance(value, str):
            _check_text(key, value)
        return value
    name = getattr(wanted, "__name__", str(wanted))
    shown = _number_in_words(value) if isinstance(value, int) else cleaned(repr(value), 80)
    raise OptionError(f"option {key!r} cannot be {shown}", f"it takes {name}")
