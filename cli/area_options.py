"""The options by which `geochg analyze` is told two times in place of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from geochg.errors import OptionError
from geochg.options import AnalyzeOptions

from .scenes_options import (
    SCENE_CHOICES,
    fetch_options,
    fetching_options,
    given_values,
    refuse_beside_images,
)
from .shared_options import with_options

if TYPE_CHECKING:
    from threading import Event as Flag

    from geochg.events import Listener
    from geochg.pipeline.analyze import ChangeResult
    from geochg.pipeline.outputs import Outputs
    from geochg.stac.options import FetchOptions

_FORM = "geochg analyze --aoi farm.geojson --before 2020-06 --after 2024-06 -o changes.geojson"

area_options = with_options(
    (
        click.option(
            "--before",
            "before",
            metavar="DATE",
            help="In place of BEFORE: fetch a scene of the area --aoi from this year, month or "
            "day, such as 2020-06, or from several (2020-06/2020-08).",
        ),
        click.option(
            "--after",
            "after",
            metavar="DATE",
            help="In place of AFTER: fetch a scene of the area from this year, month or day.",
        ),
        fetching_options,
    )
)
"""`--before`, `--after`, how scenes are fetched, and where they are kept."""


class AreaRequest(NamedTuple):
    """An area and two times.

    Attributes:
        area: The area, as `--aoi` takes it.
        before: The earlier time.
        after: The later time.
        fetching: How scenes are fetched.
        folder: Where they are kept; None for beside the output.
    """

    area: str
    before: str
    after: str
    fetching: FetchOptions
    folder: Path | None


def area_request(
    ctx: click.Context, images: Sequence[str], options: AnalyzeOptions
) -> AreaRequest | None:
    """The area and the two times of a command; None where it is given images.

    Args:
        ctx: The command's context.
        images: The images that were given.
        options: Options of the analysis.

    Raises:
        UsageError: If there are neither images nor times.
        OptionError: If there are both, or something is missing.
    """
    values = given_values(ctx, ("before", "after", *SCENE_CHOICES, "scenes"))
    if images:
        if values:
            refuse_beside_images(f"--{next(iter(values)).replace('_', '-')}", _FORM)
        return None
    if "before" not in values and "after" not in values:
        if values:
            raise OptionError("there are no times to fetch scenes of", _FORM)
        raise click.UsageError("Missing argument 'BEFORE AFTER [LATER]...'.", ctx)
    if missing := [name for name in ("before", "after") if name not in values]:
        raise OptionError(f"one time alone shows no change: there is no --{missing[0]}", _FORM)
    if not options.aoi:
        raise OptionError("there is no area to fetch scenes of", f"name one with --aoi: {_FORM}")
    fetching = fetch_options({name: values.get(name) for name in SCENE_CHOICES})
    return AreaRequest(
        options.aoi, values["before"], values["after"], fetching, values.get("scenes")
    )


def analyze_given(
    images: Sequence[str],
    request: AreaRequest | None,
    options: AnalyzeOptions,
    outputs: Outputs,
    listener: Listener,
    cancel: Flag,
) -> ChangeResult:
    """Analyses images, or an area between two times where these were given.

    Args:
        images: The images.
        request: The area and the times; None for the images.
        options: Options of the analysis.
        outputs: Files to write.
        listener: Is told progress and notices.
        cancel: A flag that stops the run.
    """
    if request is None:
        from geochg.pipeline.analyze import analyze_series

        return analyze_series(images, options, outputs=outputs, listener=listener, cancel=cancel)
    from geochg.stac.analyze_area import analyze_area

    return analyze_area(
        request.area,
        request.before,
        request.after,
        options,
        request.fetching,
        scenes=request.folder,
        outputs=outputs,
        listener=listener,
        cancel=cancel,
    ).result
