"""Options of a run: every one is a field here, and whatever offers it is built of that field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from geochg.class_list import ClassList
from geochg.errors import OptionError
from geochg.label_lists import list_path
from geochg.option_choices import (
    AlignMode,
    Dtype,
    Geometry,
    Quantize,
    Sensitivity,
    nodata_value,
)
from geochg.option_fields import (
    VERSION_KEY,
    OptionFacts,
    Options,
    OptionSpec,
    option,
    typed_value,
)
from geochg.tile_sizes import MOST_LOOKS, MOST_TILE_PX, check_tiles

__all__ = [
    "VERSION_KEY",
    "AlignMode",
    "AnalyzeOptions",
    "DateOptions",
    "Dtype",
    "Geometry",
    "OptionFacts",
    "OptionSpec",
    "Options",
    "Quantize",
    "Sensitivity",
    "option",
    "typed_value",
]

CHANGES_LAYER = "changes"
"""The name of the change layer, where no other is given."""

TILES_LAYER = "tiles"
"""The name of the layer of tiles, where no other is given."""

USUAL_OVERLAP_PX = 32
"""Overlap of neighbouring tiles that do not vote."""

MOST_REFINED = 3
"""Most closer looks: after three, a cell of a usual tile is three pixels wide."""

MOST_AREA_M2 = 1e15
"""Beyond every area: the whole earth has 5.1e14 m²."""

MOST_REGULARIZED = 0.5
"""Largest share of a building that squaring may add: with more, it is another building."""

MAPPING = ("analyze", "info")
"""Commands that cut a pair into tiles."""

ANALYZE = ("analyze",)


@dataclass(frozen=True)
class DateOptions:
    """How one date of a pair is opened and read; `AnalyzeOptions.of_dates` makes them.

    Attributes:
        allow_remote: Whether a file on this machine may name rasters elsewhere.
        nodata: The value that means "no measurement" in every band, whatever the file says; NaN
            where not-a-numbers alone do. Empty where no value does; None for what the file says.
    """

    allow_remote: bool = False
    nodata: tuple[float, ...] | None = None


_AREA: dict[str, Any] = {"unit": "m²", "least": 0, "greatest": MOST_AREA_M2, "commands": ANALYZE}
_WRITING: dict[str, Any] = {"commands": ANALYZE, "shapes_result": False}


@dataclass(frozen=True)
class AnalyzeOptions(Options):
    """The options of `analyze`; the help of each one stands with its field.

    A field of this class is all that a new option needs: the command line, options files, the
    worker's `hello`, the dock and the Processing algorithms of QGIS are built of its metadata.
    Options that do not shape the result leave it as it is, however they are set.
    """

    model: str = option("builtin", "The change model, NAME or NAME:SOURCE; see `geochg models`.")
    model_options: Mapping[str, Any] = option(
        {},
        "An option of the model's own; may be given several times.",
        flag="--model-option",
        metavar="NAME=VALUE",
    )
    # The command line reads prompts from a file.
    prompts: Mapping[str, str] = option(
        {},
        "Prompts in your own words, by task: presence, locate, count, caption, clue.",
        commands=(),
    )
    clue: bool = option(
        False,
        "Let the model describe each tile first, and give it that sentence with each question.",
    )
    clue_model: str = option(
        "", "Let another model describe each tile for it, NAME or NAME:SOURCE."
    )
    clue_options: Mapping[str, Any] = option(
        {},
        "An option of that model's own; may be given several times.",
        flag="--clue-option",
        metavar="NAME=VALUE",
    )
    bands: tuple[str, ...] = option(
        (),
        "Bands to use, by number, name, colour or role=number: `4,3,2`, `red,green,blue`, "
        "`red=1,green=2,blue=3,nir=4`, and as before/after where the dates differ: `red=1/4`; "
        "`gray` makes one of the colours, for a date in black and white against one in colour.",
        usual="what the model wants",
    )
    resolution: float | None = option(
        None, "Pixel size in units of the CRS.", least=1e-8, greatest=1e7, usual="as BEFORE has it"
    )
    crs: str | None = option(
        None, "CRS of the grid, such as EPSG:32633, instead of BEFORE's.", usual="as BEFORE has it"
    )
    aoi: str | None = option(
        None,
        "Area of interest: a vector file (`FILE|layername=NAME` where it has several layers), "
        "`west,south,east,north` or WKT, in longitude and latitude unless a CRS stands before it: "
        "`EPSG:26914;485900,5205000,489000,5208000`.",
        usual="all that the dates share",
    )
    align: AlignMode = option(
        AlignMode.AUTO,
        "Correct how the dates lie off each other: by one `shift` where it is clear, by a smooth "
        "`field` of shifts, or by the field where it fits clearly better (`auto`); only `report` "
        "it, or do not measure it (`off`).",
    )
    match: bool = option(False, "Match the values of AFTER to those of BEFORE, band by band.")
    tile_size_px: int = option(
        256,
        "Side of the square the model sees, in pixels.",
        unit="px",
        least=1,
        greatest=MOST_TILE_PX,
    )
    overlap_px: int | None = option(
        None,
        "Overlap of neighbouring tiles, in pixels.",
        unit="px",
        least=0,
        greatest=MOST_TILE_PX,
        usual=f"{USUAL_OVERLAP_PX}, or half a tile where tiles vote",
    )
    refine: int = option(
        0,
        "Ask again about each cell that changed, enlarged, this many times; for models that answer "
        "by the 3x3 grid.",
        least=0,
        greatest=MOST_REFINED,
        commands=MAPPING,
    )
    vote: bool = option(
        False,
        "Let tiles overlap by half and vote on each place; for models that answer by the 3x3 grid.",
        commands=MAPPING,
    )
    classes: tuple[str, ...] = option(
        (),
        "Keep only these classes in features and heatmap, such as `building,road`; models that "
        "take any words are asked about them: `solar panels,swimming pool`.",
        usual="all",
        commands=MAPPING,
    )
    classes_file: str = option(
        "",
        "A TOML file of classes with synonyms, descriptions and colours, for models that take any "
        "words.",
        metavar="FILE.toml",
        commands=MAPPING,
        shapes_result=False,  # its content does, which journals hold
        is_path=True,
    )
    sensitivity: Sensitivity = option(
        Sensitivity.NORMAL,
        "How easily ground counts as changed, for models that outline; `normal` is as calibrated.",
        commands=ANALYZE,
    )
    min_confidence: float = option(
        0.0, "Drop features below this confidence, 0 to 1.", least=0, greatest=1, commands=ANALYZE
    )
    min_area_m2: float | None = option(
        None,
        "Drop features below this area, in square metres.",
        usual="with land cover 40 and at least 3 pixels, else 0",
        **_AREA,
    )
    max_area_m2: float | None = option(
        None, "Drop features above this area, in square metres.", usual="no limit", **_AREA
    )
    learned: str = option(
        "",
        "What `geochg learn` made of a review: it leaves out what was rejected like that.",
        metavar="FOLDER",
        commands=ANALYZE,
        shapes_result=False,  # its content does, which journals hold
        is_path=True,
    )
    geometry: Geometry = option(
        Geometry.OUTLINE,
        "Outlines where the model gives them, or always cells of the 3x3 grid.",
        commands=ANALYZE,
    )
    regularize: bool = option(
        False,
        "Square the outlines of buildings along their main directions, where that fits them.",
        commands=ANALYZE,
    )
    regularize_share: float = option(
        0.15,
        "Most ground that a squared building may gain, or lose, as a share of its area, 0 to 0.5.",
        least=0,
        greatest=MOST_REGULARIZED,
        commands=ANALYZE,
    )
    nodata: tuple[str, ...] = option(
        (),
        "The value that means no measurement, for all dates or for each: `0`, `-9999,nan`; `none` "
        "where none does. It counts instead of what the files say.",
        usual="as the files say",
        metavar="VALUE[,VALUE]",
    )
    keep_collars: bool = option(
        False, "Take black or white that fills up an image to its frame for ground."
    )
    allow_remote: bool = option(
        False,
        "Let files on this machine name rasters elsewhere (a VRT of an address), and fetch those.",
        shapes_result=False,
    )
    dates: tuple[str, ...] = option(
        (),
        "When the images were taken, one date each, such as `2020-06-01,2021-06-01`; a month "
        "(`2020-06`) or a year will do.",
        usual="as tags of the files say, else their names",
        commands=MAPPING,
    )
    dates_as_given: bool = option(
        False,
        "Take the dates in the order given although the files say that BEFORE is the newer.",
        shapes_result=False,
    )
    in_turn: bool = option(
        False,
        "Show a model three dates or more in pairs, one step after the other, also where it could "
        "take them together.",
        commands=MAPPING,
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:1 or mps.", shapes_result=False)
    batch_size: int | None = option(
        None,
        "Tiles answered in one call.",
        least=1,
        greatest=65_536,
        usual="what suits the model",
        shapes_result=False,
    )
    workers: int | None = option(
        None,
        "Threads that read ahead of the model.",
        least=1,
        greatest=1_024,
        usual="one a core, at most 4",
        shapes_result=False,
    )
    zones: str = option(
        "",
        "Polygons in which changes are summed up, such as parcels or districts: a vector file of "
        "any CRS (`FILE|layername=NAME` where it has several layers).",
        metavar="FILE",
        **_WRITING,
    )
    zone_name: str = option(
        "",
        "Column of that file that names the zones.",
        metavar="COLUMN",
        usual="name, zone or id where it tells them apart, else their numbers",
        **_WRITING,
    )
    layer: str = option(
        CHANGES_LAYER,
        "Name of the change layer. Other layers of a GeoPackage stay as they are.",
        **_WRITING,
    )
    tiles_layer: str = option(TILES_LAYER, "Name of the layer of tiles.", **_WRITING)
    allow_failed_tiles: bool = option(
        False, "Write the layer even if tiles could not be read.", **_WRITING
    )
    resume: bool = option(
        False, "Go on with an unfinished run of the same command.", is_saved=False, **_WRITING
    )
    overwrite: bool = option(
        False,
        "Also replace files and layers that geochg did not write.",
        is_saved=False,
        **_WRITING,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for value in self.nodata:
            nodata_value(value)
        if self.classes:
            object.__setattr__(self, "classes", ClassList.of_names(self.classes).names)
        overlap_px, half_px = self.tile_overlap_px, self.tile_size_px // 2
        check_tiles(self.tile_size_px, overlap_px)
        if self.vote and overlap_px != half_px:
            raise OptionError(
                f"overlap {overlap_px} px",
                f"it must be half a tile, {half_px} px, where tiles vote",
            )
        if self.max_area_m2 is not None and self.max_area_m2 < (self.min_area_m2 or 0):
            raise OptionError(
                f"max area {self.max_area_m2:,.15g} m² lies below min area "
                f"{self.min_area_m2:,.15g} m²",
                "no feature would be left: give a larger --max-area",
            )
        if self.regularize and self.geometry is Geometry.CELLS:
            raise OptionError(
                "cells of the grid have no outlines that can be squared",
                "leave out --regularize, or --geometry cells",
            )
        least_px = self.tile_size_px // MOST_LOOKS
        if self.tile_size_px - overlap_px < least_px:
            raise OptionError(
                f"overlap {overlap_px} px of tiles of {self.tile_size_px} px",
                f"it must leave {least_px} px between tiles, or there are nearly as many tiles as "
                "pixels",
            )

    @cached_property
    def class_list(self) -> ClassList | None:
        """The classes of the class file, else those that are named; None where none are.

        Raises:
            InputError: If the file makes no sense, or has no such class as `classes` names.
        """
        if not self.classes_file:
            return ClassList.of_names(self.classes) if self.classes else None
        class_list = ClassList.read(list_path(self.classes_file))
        if self.classes:
            class_list.of_outputs(self.classes, self.classes_file)
        return class_list

    @property
    def wanted_classes(self) -> tuple[str, ...]:
        """Names of the classes that features may have; empty for all."""
        return self.classes or (self.class_list.names if self.class_list else ())

    @property
    def tile_overlap_px(self) -> int:
        """Overlap of neighbouring tiles, as given or as usual."""
        if self.overlap_px is not None:
            return self.overlap_px
        return self.tile_size_px // 2 if self.vote else USUAL_OVERLAP_PX

    def of_dates(self, count: int = 2) -> tuple[DateOptions, ...]:
        """The options by which each date is opened and read, the earliest first.

        Args:
            count: Number of dates.

        Raises:
            OptionError: If there is neither one nodata value for all of them nor one for each.
        """
        nodata_values: list[tuple[float, ...] | None] = [*map(nodata_value, self.nodata)] or [None]
        if len(nodata_values) not in (1, count):
            dates = "is one date" if count == 1 else f"are {count} dates"
            raise OptionError(
                f"nodata has {len(nodata_values)} values, and there {dates}",
                "give one for all dates, or one for each",
            )
        values_by_date = nodata_values * (count if len(nodata_values) == 1 else 1)
        return tuple(DateOptions(self.allow_remote, value) for value in values_by_date)

    def shaping(self) -> dict[str, Any]:
        """The options that shape the result, with the overlap that is used."""
        return {**super().shaping(), "overlap_px": self.tile_overlap_px}
