"""`geochg series`: many dates of one place in, the places that left their usual course out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geochg.stac.options import SeriesSearch
from geochg.timeseries.options import SeriesOptions
from geochg.writers.layers import LAYER_SUFFIXES

from .area_options import AreaForm, AreaRequest
from .pair_options import named_values
from .shared_options import field_options, json_option, output_option, path_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from threading import Event as Flag

    from geochg.events import Listener
    from geochg.timeseries.outputs import SeriesOutputs
    from geochg.timeseries.series import SeriesResult

_AREA = AreaForm(
    {"start": "--from", "end": "--to"},
    (
        "In place of images: fetch scenes of the area --aoi from this year, month or day on, such "
        "as 2019.",
        "The last year, month or day of these.",
    ),
    "geochg series --aoi farm.geojson --from 2019 --to 2023 -o breaks.gpkg",
    SeriesSearch,
)


@click.command()
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@output_option(f"The layer of breaks: {', '.join(LAYER_SUFFIXES)}.")
@path_option(
    "--observations", "What was observed, a row for each place and date.", "FILE.csv|.parquet"
)
@path_option("--report", "A page with the features, the dates and a chart of each.", "FILE.html")
@path_option("--plots", "A plot of each zone, or of each feature, as PNG.", "FOLDER")
@field_options(SeriesOptions)
@_AREA.options
@json_option("what was done")
@click.pass_context
def series(
    ctx: click.Context,
    /,
    images: tuple[str, ...],
    output: Path | None,
    observations: Path | None,
    plots: Path | None,
    report: Path | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Find the places that left their usual course in a series of IMAGES, and when.

    The images are of one place and may be given in any order; each date is read after the other.
    Of each block of pixels, or of each zone, the course of its indices or bands over the years is
    learnt, and a place breaks where several dates in a row leave it.

    \b
    Examples:
      geochg series 2015/*.tif 2016/*.tif -o breaks.gpkg
      geochg series *.tif -o breaks.geojson --zones parcels.gpkg --zone-name parcel
      geochg series *.tif -o breaks.gpkg --block 1 --no-land-cover --observations ndvi.parquet
      geochg series 1990.tif 2000.tif 2010.tif ... -o breaks.gpkg --bands red=1,nir=2 --watch ndvi

    With an area and a time in place of images, the best scene of each month is fetched from a
    catalogue (see `geochg scenes`), which is asked on the network:

    \b
      geochg series --aoi farm.geojson --from 2019 --to 2023 -o breaks.gpkg
    """
    if all(path is None for path in (output, observations, plots, report)):
        flags = "-o/--output, --observations, --plots or --report"
        raise click.UsageError(f"nothing to write: add {flags}")
    options = _options(ctx)
    request = _AREA.request(ctx, images, options.aoi)

    from geochg.timeseries.outputs import SeriesOutputs

    from .progress import showing_progress

    outputs = SeriesOutputs(output, observations, plots, report)
    with showing_progress() as listener, stop_on_interrupt() as cancel:
        result, reasons = _watched(images, request, options, outputs, listener, cancel)
    echo(_as_json(result, reasons) if as_json else "\n".join(_in_words(result)))


def _watched(
    images: Sequence[str],
    request: AreaRequest | None,
    options: SeriesOptions,
    outputs: SeriesOutputs,
    listener: Listener,
    cancel: Flag,
) -> tuple[SeriesResult, tuple[str, ...]]:
    """The breaks in images, or of an area over a time; and why some times have no scene."""
    if request is None:
        from geochg.timeseries.series import series

        result = series(images, options, outputs=outputs, listener=listener, cancel=cancel)
        return result, ()
    from geochg.timeseries.series_area import series_area

    area_series = series_area(
        request.area,
        *request.times,
        options,
        request.fetching,
        SeriesSearch.from_dict(request.values),
        scenes=request.folder,
        outputs=outputs,
        listener=listener,
        cancel=cancel,
    )
    return area_series.result, area_series.left_out


def _options(ctx: click.Context) -> SeriesOptions:
    """The options that were given by hand."""
    values = {}
    for spec in SeriesOptions.specs():
        if ctx.get_parameter_source(spec.name) is ParameterSource.COMMANDLINE:
            value = ctx.params[spec.name]
            values[spec.name] = named_values(value) if spec.type == "object" else value
    return SeriesOptions.from_dict(values)


def _as_json(result: SeriesResult, reasons: Sequence[str]) -> str:
    features = {"count": len(result.features), "area_m2": _area_m2(result)}
    facts: dict[str, Any] = {
        "outputs": result.outputs.to_dict(),
        "features": features,
        "geochg": result.metadata,
    }
    if reasons:
        facts["left_out"] = list(reasons)
    return json.dumps(facts, allow_nan=False)


def _area_m2(result: SeriesResult) -> float:
    """Area of the features that broke."""
    from geochg.tasks.quantities import rounded_value

    is_broken = result.features["status"] == "break"
    return rounded_value(float(result.features["area_m2"][is_broken].sum()), 1)


def _in_words(result: SeriesResult) -> Iterator[str]:
    """What was found, and how good each date is."""
    from geochg.tasks.quantities import listed_area

    yield from map(str, result.outputs.paths())
    facts = result.metadata["series"]
    dates, status = facts["dates"], facts["status"]
    watching = facts["watching"]
    yield (
        f"{len(dates)} dates, {dates[0]['date']} to {dates[-1]['date']}; {watching['count']:,} "
        f"{watching['places']}, watched by {', '.join(facts['watched'])}"
    )
    broken = status.get("break", 0)
    others = ", ".join(f"{count:,} {name}" for name, count in status.items() if name != "break")
    yield (
        f"{broken:,} left their usual course, on {listed_area(_area_m2(result))} in "
        f"{int((result.features['status'] == 'break').sum()):,} features"
        + (f"; {others}" if others else "")
    )
    coverage = facts["scores"]["coverage"]
    if coverage is not None:
        yield (
            f"  {coverage:.1%} of {facts['scores']['forecasts']:,} held-out values lay in their "
            "95 % interval"
        )
    for date in dates:
        yield f"  {date['date']}: {_quality(date)}"


def _quality(date: dict[str, Any]) -> str:
    text = f"{date['valid_share']:.0%} seen"
    if date["cloud_share"] is not None:
        text += f", {date['cloud_share']:.0%} cloud, shadow or snow"
    return f"{text}, no place counts" if date["empty"] else text
