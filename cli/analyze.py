"""`geochg analyze`: rasters of one place in, change features out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.writers.layers import LAYER_SUFFIXES

from .area_options import AreaForm, AreaRequest
from .pair_options import options_of, pair_options
from .shared_options import json_option, output_option, path_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from threading import Event as Flag

    from geochg.events import Listener
    from geochg.options import AnalyzeOptions
    from geochg.pipeline.analyze import ChangeResult
    from geochg.pipeline.outputs import Outputs

_NOTHING_TO_WRITE = (
    "nothing to write: add -o/--output, --tiles, --heatmap, --table, --zones-table or --report"
)
_AREA = AreaForm(
    {"before": "--before", "after": "--after"},
    (
        "In place of BEFORE: fetch a scene of the area --aoi from this year, month or day, such "
        "as 2020-06, or from several (2020-06/2020-08).",
        "In place of AFTER: fetch a scene of the area from this year, month or day.",
    ),
    "geochg analyze --aoi farm.geojson --before 2020-06 --after 2024-06 -o changes.geojson",
)
_MOST_ZONES = 10
"""Most zones that are told in words."""


@click.command()
@output_option(f"The change layer: {', '.join(LAYER_SUFFIXES)}.")
@path_option("--tiles", "A layer of one feature a tile; may be the same GeoPackage.")
@path_option("--heatmap", "The probability of change as a Cloud-Optimised GeoTIFF.", "PATH.tif")
@path_option(
    "--table",
    "Numbers and areas of changes by class, direction and land cover before and after.",
    "PATH.csv",
)
@path_option("--zones-table", "Numbers and areas of changes by zone; see --zones.", "PATH.csv")
@path_option(
    "--report", "A page that shows the changes on both images, to open in a browser.", "PATH.html"
)
@pair_options("analyze")
@_AREA.options
@path_option(
    "--save-options",
    "When done, write the options in use to a file that --options reads.",
    "FILE.toml",
)
@json_option("what was done")
@click.pass_context
def analyze(
    ctx: click.Context,
    /,
    images: tuple[str, ...],
    output: Path | None,
    tiles: Path | None,
    heatmap: Path | None,
    table: Path | None,
    zones_table: Path | None,
    report: Path | None,
    save_options: Path | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Map what changed between BEFORE and AFTER, two rasters of one place, or more.

    They may be anything GDAL opens and may differ in CRS, resolution and extent. Of three or more
    each step from one to the next is mapped, and the whole, from the first to the last.

    \b
    Examples:
      geochg analyze before.tif after.tif -o changes.geojson
      geochg analyze before.tif after.tif -o changes.gpkg --min-area 100 --heatmap change.tif
      geochg analyze before.tif after.tif -o changes.gpkg --report changes.html
      geochg analyze before.tif after.tif -o water.geojson --classes water --aoi district.gpkg
      geochg analyze before.tif after.tif -o project.gpkg --layer changes_2024 --tiles project.gpkg
      geochg analyze before.tif after.tif -o changes.gpkg --zones parcels.gpkg --zones-table z.csv
      geochg analyze before.tif after.tif -o changes.geojson --resume
      geochg analyze 2019.tif 2020.tif 2021.tif -o changes.gpkg

    With an area and two times in place of images, a scene of each is fetched from a catalogue
    (see `geochg scenes`), which is asked on the network:

    \b
      geochg analyze --aoi farm.geojson --before 2020-06 --after 2024-06 \\
          --collection sentinel-2-l2a -o changes.geojson
    """
    wanted_files = (output, tiles, heatmap, table, zones_table, report)
    if all(path is None for path in wanted_files):
        raise click.UsageError(_NOTHING_TO_WRITE)
    options = options_of(ctx)
    request = _AREA.request(ctx, images, options.aoi)

    from geochg.pipeline.outputs import Outputs
    from geochg.writers.checks import Output, check_outputs
    from geochg.writers.staging import write_output

    from .progress import showing_progress

    outputs = Outputs(*wanted_files)
    if save_options is not None:
        inputs = [*map(Path, images), *outputs.paths()]
        check_outputs([Output(save_options, (".toml",))], inputs, overwrite=options.overwrite)
    with showing_progress() as listener, stop_on_interrupt() as cancel:
        result = _analyzed(images, request, options, outputs, listener, cancel)
    if save_options is not None:
        write_output(save_options, options.to_toml, overwrite=options.overwrite)
    echo(_as_json(result) if as_json else _in_words(result))


def _analyzed(
    images: Sequence[str],
    request: AreaRequest | None,
    options: AnalyzeOptions,
    outputs: Outputs,
    listener: Listener,
    cancel: Flag,
) -> ChangeResult:
    """The changes between images, or of an area between two times where these were given."""
    if request is None:
        from geochg.pipeline.analyze import analyze_series

        return analyze_series(images, options, outputs=outputs, listener=listener, cancel=cancel)
    from geochg.stac.analyze_area import analyze_area

    return analyze_area(
        request.area,
        *request.times,
        options,
        request.fetching,
        scenes=request.folder,
        outputs=outputs,
        listener=listener,
        cancel=cancel,
    ).result


def _as_json(result: ChangeResult) -> str:
    features: dict[str, Any] = _totals(result, -1)
    if len(result.layer.periods) > 1:
        features["steps"] = [_totals(result, n) for n in range(len(result.layer.periods) - 1)]
    facts = {"outputs": result.outputs.to_dict(), "features": features, "geochg": result.metadata}
    if result.zones is not None:
        facts["zones"] = json.loads(result.sums.rows().to_json(orient="records"))
    return json.dumps(facts, allow_nan=False)


def _totals(result: ChangeResult, period: int) -> dict[str, Any]:
    """Number and area of the features of a period."""
    count = sum(total.features for total in result.layer.totals(period))
    return {"count": count, "area_m2": _area_m2(result, period)}


def _in_words(result: ChangeResult) -> str:
    lines = [f"{path}" for path in result.outputs.paths()]
    steps = result.metadata.get("series", {}).get("steps", [])
    for number, step in enumerate(steps):
        lines += _period_in_words(result, number, step)
    lines += _period_in_words(result, -1, result.metadata)
    return "\n".join([*lines, *_judged_in_words(result.metadata), *_zones_in_words(result)])


def _judged_in_words(metadata: Mapping[str, Any]) -> Iterator[str]:
    """What a head that was learned did, if there is one."""
    if facts := metadata.get("learned"):
        yield (
            f"  by what was learned: {facts['rejected']:,} left out, {facts['added']:,} added, "
            f"{facts['relabelled']:,} of another class"
        )


def _zones_in_words(result: ChangeResult) -> Iterator[str]:
    """The zones in which most changed, over the whole time."""
    from geochg.tasks.quantities import listed_area

    if result.zones is None:
        return
    totals = result.sums.totals()
    zones = [total for total in totals if total.zone]
    for total in zones[:_MOST_ZONES]:
        yield f"  in {total.zone}: {total.features:,}, {listed_area(total.area_m2)}"
    if len(zones) > _MOST_ZONES:
        yield f"  and {len(zones) - _MOST_ZONES:,} more zones"
    for total in totals[len(zones) :]:
        yield f"  outside all zones: {total.features:,}, {listed_area(total.area_m2)}"


def _period_in_words(result: ChangeResult, number: int, facts: Mapping[str, Any]) -> Iterator[str]:
    """What was found in a period; of a series its name and dates stand before it."""
    from geochg.tasks.quantities import listed_area

    period, tiles = result.layer.periods[number], facts["tiles"]
    name = ""
    if len(result.layer.periods) > 1:
        dates = " to ".join(date or "unknown" for date in (period.from_date, period.to_date))
        name = f"step {period.step}, {dates}: " if period.step else f"the whole, {dates}: "
    yield (
        f"{name}{_totals(result, number)['count']} changes on "
        f"{listed_area(_area_m2(result, number))}, "
        f"in {tiles['changed']} of {tiles['read']} tiles{_not_seen(facts)}"
    )
    gaps = {"failed": "failed", "incomplete": "answered in part", "unparsed": "without sense"}
    if states := [f"{tiles[kind]} {gap}" for kind, gap in gaps.items() if tiles[kind]]:
        yield f"  tiles: {', '.join(states)}"
    for total in sorted(result.layer.totals(number), key=lambda total: -total.area_m2):
        yield f"  {total.class_name} {total.change}: {total.features}, {listed_area(total.area_m2)}"
    if "regularized" in facts:
        yield _squared_in_words(**facts["regularized"])


def _squared_in_words(buildings: int, squared: int, left: int) -> str:
    """How many buildings were squared."""
    if not buildings:
        return "  no building, so none was squared"
    were, nouns = "was" if squared == 1 else "were", "building" if buildings == 1 else "buildings"
    rest = "left as it was" if left == 1 else "left as they were"
    return f"  {squared:,} of {buildings:,} {nouns} {were} squared, {left:,} {rest}"


def _not_seen(facts: Mapping[str, Any]) -> str:
    """What cloud, shadow or snow hid, where there is any."""
    from geochg.tasks.quantities import listed_area

    area_m2 = facts["not_seen_m2"]
    return f"; {listed_area(area_m2)} not seen (cloud, shadow or snow)" if area_m2 else ""


def _area_m2(result: ChangeResult, period: int) -> float:
    from geochg.tasks.quantities import rounded_value

    return rounded_value(sum(total.area_m2 for total in result.layer.totals(period)), 1)
