"""The options by which the commands of `geochg scenes` are told a place and a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from geochg.errors import OptionError
from geochg.stac.options import FetchOptions

from .shared_options import with_options

if TYPE_CHECKING:
    from geochg.stac.date_window import DateWindow
    from geochg.stac.search_area import SearchArea

place_and_time = with_options(
    [
        click.option(
            "--bbox",
            metavar="W,S,E,N",
            help="The area: west,south,east,north in longitude and latitude; west greater than "
            "east where it lies over the antimeridian.",
        ),
        click.option(
            "--aoi",
            metavar="FILE|WKT|BOX",
            help="The area: a vector file, WKT, or a box with a CRS before it.",
        ),
        click.option(
            "--from",
            "start",
            required=True,
            metavar="DATE",
            help="The first day; of a month or a year, its first: 2020, 2020-06 or 2020-06-15.",
        ),
        click.option(
            "--to",
            "end",
            default="",
            metavar="DATE",
            help="The last day; of a month or a year, its last.  [default: that of --from]",
        ),
    ]
)
"""`--bbox`, `--aoi`, `--from` and `--to`."""


def area_of(
    bbox: str | None, aoi: str | None, options: FetchOptions, *, required: bool = True
) -> SearchArea | None:
    """The area that is searched; None where `--like` tells it.

    Args:
        bbox: As `--bbox` gives it.
        aoi: As `--aoi` gives it.
        options: The other options.
        required: Whether one of the two must be given.

    Raises:
        OptionError: If none or both are given, or it is no area.
        InputError: If the file cannot be read.
    """
    from geochg.stac.search_area import SearchArea

    if bbox and aoi:
        raise OptionError("--bbox and --aoi name two areas", "give one of them")
    if not bbox and not aoi:
        if required:
            raise OptionError("no area is given", "give --bbox west,south,east,north or --aoi FILE")
        return None
    if bbox and len(bbox.split(",")) != 4:
        raise OptionError(f"{bbox!r} is no box", "write it as west,south,east,north")
    return SearchArea.of(bbox or aoi or "", allow_remote=options.allow_remote)


def window_of(start: str, end: str) -> DateWindow:
    """The window of days that is searched.

    Raises:
        OptionError: If a date is none, or they are the wrong way round.
    """
    from geochg.stac.date_window import DateWindow

    return DateWindow.of(start, end)


def fetch_options(values: Mapping[str, Any]) -> FetchOptions:
    """The options of searching and fetching among the values of a command.

    Raises:
        OptionError: If one makes no sense.
    """
    names = [spec.name for spec in FetchOptions.specs() if values.get(spec.name) is not None]
    return FetchOptions.from_dict({name: values[name] for name in names})
