"""The options by which `geochg series` is told an area and a time in place of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from geochg.errors import OptionError
from geochg.stac.options import FetchOptions, SeriesSearch

from .scenes_options import (
    SCENE_CHOICES,
    fetch_options,
    fetching_options,
    given_values,
    refuse_beside_images,
)
from .shared_options import field_options, with_options

if TYPE_CHECKING:
    from threading import Event as Flag

    from geochg.events import Listener
    from geochg.timeseries.options import SeriesOptions
    from geochg.timeseries.outputs import SeriesOutputs
    from geochg.timeseries.series import SeriesResult

_FLAGS = {"start": "--from", "end": "--to"}
_FORM = "geochg series --aoi farm.geojson --from 2019 --to 2023 -o breaks.gpkg"

series_scenes_options = with_options(
    (
        click.option(
            "--from",
            "start",
            metavar="DATE",
            help="In place of images: fetch scenes of the area --aoi from this year, month or day "
            "on, such as 2019.",
        ),
        click.option("--to", "end", metavar="DATE", help="The last year, month or day of these."),
        field_options(SeriesSearch),
        fetching_options,
    )
)
"""`--from`, `--to`, `--every`, how scenes are fetched, and where they are kept."""


class SeriesRequest(NamedTuple):
    """An area and a time.

    Attributes:
        area: The area, as `--aoi` takes it.
        start: The first year, month or day.
        end: The last one.
        fetching: How scenes are fetched.
        search: How many of them.
        folder: Where they are kept; None for beside the output.
    """

    area: str
    start: str
    end: str
    fetching: FetchOptions
    search: SeriesSearch
    folder: Path | None


def series_request(
    ctx: click.Context, images: Sequence[str], options: SeriesOptions
) -> SeriesRequest | None:
    """The area and the time of a command; None where it is given images.

    Args:
        ctx: The command's context.
        images: The images that were given.
        options: Options of the series.

    Raises:
        UsageError: If there are neither images nor a time.
        OptionError: If there are both, or something is missing.
    """
    searching = tuple(spec.name for spec in SeriesSearch.specs())
    values = given_values(ctx, ("start", "end", *searching, *SCENE_CHOICES, "scenes"))
    if images:
        if values:
            name = next(iter(values))
            refuse_beside_images(_FLAGS.get(name, f"--{name.replace('_', '-')}"), _FORM)
        return None
    if missing := [flag for name, flag in _FLAGS.items() if name not in values]:
        if len(missing) == len(_FLAGS) and not values:
            raise click.UsageError(f"no images are given, and no time to fetch some: {_FORM}", ctx)
        raise OptionError(f"there is no {missing[0]}", f"a series has two ends: {_FORM}")
    if not options.aoi:
        raise OptionError("there is no area to fetch scenes of", f"name one with --aoi: {_FORM}")
    return SeriesRequest(
        options.aoi,
        values["start"],
        values["end"],
        fetch_options({name: values.get(name) for name in SCENE_CHOICES}),
        SeriesSearch.from_dict({name: values[name] for name in searching if name in values}),
        values.get("scenes"),
    )


def watch_given(
    images: Sequence[str],
    request: SeriesRequest | None,
    options: SeriesOptions,
    outputs: SeriesOutputs,
    listener: Listener,
    cancel: Flag,
) -> tuple[SeriesResult, tuple[str, ...]]:
    """Watches images, or an area over a time where these were given.

    Args:
        images: The images.
        request: The area and the time; None for the images.
        options: Options of the series.
        outputs: Files to write.
        listener: Is told progress and notices.
        cancel: A flag that stops the run.

    Returns:
        The result, and why some of the times have no scene.
    """
    if request is None:
        from geochg.timeseries.series import series

        result = series(images, options, outputs=outputs, listener=listener, cancel=cancel)
        return result, ()
    from geochg.timeseries.series_area import series_area

    area_series = series_area(
        request.area,
        request.start,
        request.end,
        options,
        request.fetching,
        request.search,
        scenes=request.folder,
        outputs=outputs,
        listener=listener,
        cancel=cancel,
    )
    return area_series.result, area_series.left_out
