"""The options of a series: every one is a field here, as those of `analyze` are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.errors import OptionError
from geochg.option_fields import Options, option, option_like
from geochg.options import AnalyzeOptions
from geochg.safety.untrusted_text import cleaned

if TYPE_CHECKING:
    from geochg.timeseries.breaks import BreakRules

BREAKS_LAYER = "breaks"
"""The name of the layer, where no other is given."""

USUAL_BLOCK_M = 100.0
"""Side of a block where no other is given, in metres: about that of a field."""

MOST_BLOCK_PX = 100_000

_BLOCK = re.compile(r"(\d+(?:\.\d+)?)\s*(px|m)?")


class BlockSize(NamedTuple):
    """The side of a block as it was given.

    Attributes:
        length: The number.
        unit: `px` or `m`.
    """

    length: float
    unit: str

    def pixels(self, pixel_m: float) -> int:
        """The side in pixels of a size, at least one."""
        return max(1, round(self.length if self.unit == "px" else self.length / pixel_m))


@dataclass(frozen=True)
class SeriesOptions(Options):
    """The options of `geochg series`; the help of each one stands with its field."""

    dates: tuple[str, ...] = option(
        (),
        "When the images were taken, one date each in the order of the images, such as "
        "`2020-06-01,2021-06-01`; a month (`2020-06`) or a year will do.",
        usual="as tags of the files say, else their names",
    )
    method: str = option(
        "harmonic",
        "How the usual course is described: `harmonic`, a robust regression on trend and seasons; "
        "`seasonal-trend`, a decomposition; or `autoregression` of all columns together.",
    )
    confidence: float | None = option(
        None,
        "Probability, above 0.5 and below 1, that a date without a change is on the usual course.",
        least=0.5,
        greatest=1,
        usual="0.95 where a place is seen less than three times a year, else 0.99",
    )
    consecutive: int | None = option(
        None,
        "Dates in a row that must leave the usual course for a break.",
        least=1,
        greatest=100,
        usual="2, or those of two months where a place is seen three times a year or more",
    )
    least_persistence: float = option(
        0.5,
        "Share of the dates since a break, 0 to 1, that must lie off the usual course for it to "
        "count; 0 tells departures that ended too, such as floods.",
        least=0,
        greatest=1,
    )
    monitor_from: str = option(
        "",
        "Look for breaks from this day on; all before it is taken for the usual course.",
        metavar="DATE",
        usual="as soon as enough dates are seen",
    )
    block: str = option(
        "",
        "Side of the blocks that are watched, in pixels (`8`) or metres (`100m`).",
        usual="about 100 m, at least one pixel",
        metavar="SIZE",
    )
    zones: str = option(
        "",
        "Watch these zones in place of blocks: a vector file of polygons "
        "(`FILE|layername=NAME` where it has several layers).",
        metavar="FILE",
        is_path=True,
    )
    zone_name: str = option(
        "", "Column with the names of the zones.", usual="name, zone or id", metavar="COLUMN"
    )
    bands: tuple[str, ...] = option(
        (),
        "Bands to use, by number, name, colour or role=number: `red=1,green=2,blue=3,nir=4`.",
        usual="all",
    )
    watch: tuple[str, ...] = option(
        (),
        "Columns whose course is watched: names of bands, of indices (ndvi, ndwi, nbr, ...) or of "
        "land covers (water, building, ...).",
        usual="the indices where the bands are known, else the bands",
    )
    least_valid: float = option(
        0.5,
        "Share of a place, 0 to 1, that must be seen for a date to count there.",
        least=0.01,
        greatest=1,
    )
    land_cover: bool = option(
        True, "Let the model tell the land cover at each date, and what it was before and after."
    )
    model: str = option("builtin", "The model that does so, builtin, deltavlm:... or clip:....")
    model_options: Mapping[str, Any] = option_like(AnalyzeOptions, "model_options")
    resolution: float | None = option_like(
        AnalyzeOptions, "resolution", usual="as the first image has it"
    )
    crs: str | None = option(
        None, "CRS of the grid, such as EPSG:32633.", usual="as the first image has it"
    )
    aoi: str | None = option(
        None,
        "Area of interest: a vector file, `west,south,east,north` or WKT, in longitude and latitude"
        " unless a CRS stands before it.",
        usual="all that the dates share",
    )
    nodata: tuple[str, ...] = option(
        (),
        "The value that means no measurement, for all dates or for each; `none` where none does.",
        usual="as the files say",
        metavar="VALUE[,VALUE]",
    )
    keep_collars: bool = option_like(AnalyzeOptions, "keep_collars")
    allow_remote: bool = option_like(AnalyzeOptions, "allow_remote")
    min_area_m2: float = option(
        0.0,
        "Leave out places that broke on less than this area, in square metres.",
        unit="m²",
        least=0,
        greatest=1e15,
    )
    device: str = option_like(AnalyzeOptions, "device")
    layer: str = option(BREAKS_LAYER, "Name of the layer.", shapes_result=False)
    overwrite: bool = option_like(AnalyzeOptions, "overwrite", commands=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.block_size, self.rules
        if self.block and self.zones:
            raise OptionError("--block and --zones name two kinds of places", "leave one out")
        if self.zone_name and not self.zones:
            raise OptionError("--zone-name names a column of no file", "add --zones FILE")

    @property
    def block_size(self) -> BlockSize:
        """The side of a block."""
        if not self.block:
            return BlockSize(USUAL_BLOCK_M, "m")
        match = _BLOCK.fullmatch(self.block.strip().lower())
        size = BlockSize(float(match[1]), match[2] or "px") if match else BlockSize(0.0, "px")
        is_whole = size.unit == "m" or size.length.is_integer()
        if not (0 < size.length <= MOST_BLOCK_PX and is_whole):
            raise OptionError(
                f"a block of {cleaned(self.block, 40)!r} makes no sense",
                "give whole pixels, --block 8, or metres, --block 100m",
            )
        return size

    @property
    def rules(self) -> BreakRules:
        """The rules of a break."""
        import numpy as np

        from geochg.timeseries.breaks import BreakRules

        first_day = None
        if self.monitor_from:
            try:
                first_day = np.datetime64(self.monitor_from, "D")
            except ValueError:
                raise OptionError(
                    f"--monitor-from: {cleaned(self.monitor_from, 40)!r} is no date",
                    "write a day, such as 2020-06-01",
                ) from None
        return BreakRules(
            self.method,
            self.consecutive,
            self.confidence,
            self.least_persistence,
            monitor_from=first_day,
        )

    def reading(self) -> AnalyzeOptions:
        """The options by which images are opened and read, and the model is shown them."""
        names = ("dates", "bands", "resolution", "crs", "aoi", "nodata", "keep_collars")
        values = {name: getattr(self, name) for name in (*names, "allow_remote", "model", "device")}
        return AnalyzeOptions(**values, model_options=self.model_options)
