"""Options of searching and fetching scenes; the help of each one stands with its field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from geochg.errors import OptionError
from geochg.options import Options, option
from geochg.safety.untrusted_text import cleaned

_EVERY = "write month, day, or a number of days, such as 10"

FETCHING = ("fetch",)
"""The commands that write a scene."""


class Composite(StrEnum):
    """How the scenes of a window become one image."""

    BEST = "best"
    MEDIAN = "median"


class CloudSource(StrEnum):
    """What tells clouds from ground."""

    AUTO = "auto"
    TABLE = "table"
    MODEL = "model"
    NONE = "none"


@dataclass(frozen=True)
class FetchOptions(Options):
    """Options of `geochg scenes fetch`; `search` takes those without a command."""

    collection: str = option(
        "sentinel-2-l2a", "The collection; `geochg scenes collections` lists those that are known."
    )
    catalog: str = option(
        "",
        "A catalogue: a name of `geochg scenes collections`, the address of a STAC API or of a "
        "static catalogue, or a catalog.json on this machine.",
        metavar="NAME|URL|FILE",
        usual="earth-search",
    )
    max_cloud: float | None = option(
        None,
        "Leave scenes out of whose whole picture more is under clouds.",
        unit="%",
        least=0,
        greatest=100,
        flag="--max-cloud",
        usual="any",
    )
    allow_remote: bool = option(
        False, "Let a catalogue on this machine name scenes elsewhere.", shapes_result=False
    )
    timeout_s: float = option(
        30.0,
        "Longest wait for a server to say anything, in seconds.",
        unit="s",
        least=0.1,
        greatest=3600,
        shapes_result=False,
    )
    composite: Composite = option(
        Composite.BEST,
        "best: the day that shows most of the area. median: of all days of the window, what each "
        "pixel shows without clouds.",
        commands=FETCHING,
    )
    clouds: CloudSource = option(
        CloudSource.AUTO,
        "What tells clouds from ground: the mask that comes with the scenes (table), a model that "
        "looks at the bands (model), nothing (none), or auto: the mask where there is one, else "
        "the model where it is installed.",
        commands=FETCHING,
    )
    cloud_margin_m: float | None = option(
        None,
        "Metres by which clouds and their shadows are grown, because their edges are thin.",
        unit="m",
        least=0,
        greatest=10_000,
        usual="90, or 0 where the mask has grown them",
        commands=FETCHING,
    )
    bands: tuple[str, ...] = option(
        (),
        "Bands to fetch, by name, such as red,green,blue,nir,swir.",
        usual="red,green,blue,nir where the collection has them",
        commands=FETCHING,
    )
    crs: str | None = option(
        None,
        "CRS of the image, such as EPSG:32633.",
        usual="the UTM zone in which the middle of the area lies",
        commands=FETCHING,
    )
    resolution: float | None = option(
        None,
        "Pixel size in units of the CRS.",
        least=1e-8,
        greatest=1e7,
        usual="as the collection has it",
        commands=FETCHING,
    )
    like: str | None = option(
        None,
        "Take grid and area of another raster, so that both lie pixel on pixel.",
        metavar="FILE.tif",
        is_path=True,
        commands=FETCHING,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.like and (self.crs or self.resolution):
            raise OptionError(
                "--like names a grid, and --crs or --resolution another one", "give one of them"
            )
        if not self.collection.strip():
            raise OptionError(
                "no collection is named", "`geochg scenes collections` lists those that are known"
            )


@dataclass(frozen=True)
class SeriesSearch(Options):
    """Options of `geochg series`: of which days of an area a scene is taken, and how many."""

    every: str = option(
        "month",
        "One scene of each month, of each so many days (10), or of each day of which there is one "
        "(day); which one, or what of them all, says --composite.",
        metavar="month|day|DAYS",
        shapes_result=False,
    )
    max_scenes: int = option(
        120,
        "Most scenes to fetch; a series of more is refused before anything is fetched.",
        least=1,
        greatest=5000,
        shapes_result=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.step_days

    @property
    def step_days(self) -> int | None:
        """Days of which one scene is taken; None for a month.

        Raises:
            OptionError: If it is no such number.
        """
        text = self.every.strip().lower()
        if text == "month":
            return None
        if text == "day":
            return 1
        if not (re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= 366):
            raise OptionError(f"--every cannot be {cleaned(self.every, 40)!r}", _EVERY)
        return int(text)
