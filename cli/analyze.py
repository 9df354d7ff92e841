"""`geochg analyze`: two rasters in, change features out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event as Flag
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from geochg.options import AnalyzeOptions, Geometry, Sensitivity

from .interrupts import CANCELLED, handled
from .pair_options import CommaSeparated, finer_options, options_of, pair_options
from .shared_options import json_option, overwrite_option
from .terminal import echo

if TYPE_CHECKING:
    from geochg.pipeline.analyze import ChangeResult

_DEFAULTS = AnalyzeOptions()


@click.command()
@pair_options
@finer_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The change layer: .geojson (or .json), .gpkg, .fgb, .parquet (or .geoparquet).",
)
@click.option(
    "--layer",
    default=_DEFAULTS.layer,
    show_default=True,
    help="Name of the change layer. Other layers of a GeoPackage stay as they are.",
)
@click.option(
    "--tiles",
    type=click.Path(path_type=Path),
    help="A layer of one feature a tile; may be the same GeoPackage.",
)
@click.option(
    "--tiles-layer",
    default=_DEFAULTS.tiles_layer,
    show_default=True,
    help="Name of the layer of tiles.",
)
@click.option(
    "--heatmap",
    type=click.Path(path_type=Path),
    metavar="PATH.tif",
    help="The probability of change as a Cloud-Optimised GeoTIFF.",
)
@click.option(
    "--classes",
    type=CommaSeparated(),
    metavar="LIST",
    help="Keep only these classes in features and heatmap, such as `building,road`.",
)
@click.option(
    "--sensitivity",
    type=click.Choice([each.value for each in Sensitivity]),
    default=_DEFAULTS.sensitivity.value,
    show_default=True,
    help="How easily ground counts as changed, for models that outline; `normal` is as calibrated.",
)
@click.option(
    "--min-confidence",
    type=float,
    default=_DEFAULTS.min_confidence,
    show_default=True,
    help="Drop features below this confidence, 0 to 1.",
)
@click.option(
    "--min-area",
    type=float,
    show_default="with land cover 40 and at least 3 pixels, else 0",
    help="Drop features below this area, in square metres.",
)
@click.option(
    "--geometry",
    type=click.Choice([shape.value for shape in Geometry]),
    default=_DEFAULTS.geometry.value,
    show_default=True,
    help="Outlines where the model gives them, or always cells of the 3x3 grid.",
)
@overwrite_option
@click.option("--resume", is_flag=True, help="Go on with an unfinished run of the same command.")
@click.option(
    "--allow-failed-tiles", is_flag=True, help="Write the layer even if tiles could not be read."
)
@click.option(
    "--save-options",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="When done, write the options in use to a file that --options reads.",
)
@json_option("what was done")
@click.pass_context
def analyze(
    ctx: click.Context,
    /,
    before: str,
    after: str,
    output: Path | None,
    tiles: Path | None,
    heatmap: Path | None,
    save_options: Path | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Map what changed between BEFORE and AFTER, two rasters of one place.

    They may be anything GDAL opens and may differ in CRS, resolution and extent.

    \b
    Examples:
      geochg analyze before.tif after.tif -o changes.geojson
      geochg analyze before.tif after.tif -o changes.gpkg --min-area 100 --heatmap change.tif
      geochg analyze before.tif after.tif -o water.geojson --classes water --aoi district.gpkg
      geochg analyze before.tif after.tif -o project.gpkg --layer changes_2024 --tiles project.gpkg
      geochg analyze before.tif after.tif -o changes.geojson --resume
    """
    if output is None and tiles is None and heatmap is None:
        raise click.UsageError("nothing to write: add -o/--output, --tiles or --heatmap")
    options = options_of(ctx)

    from geochg.pipeline.analyze import analyze as run
    from geochg.pipeline.outputs import Outputs
    from geochg.writers.checks import Output, check_outputs
    from geochg.writers.staging import write_output

    from .progress import showing_progress

    outputs = Outputs(output, tiles, heatmap)
    if save_options is not None:
        inputs = [Path(before), Path(after), *outputs.paths()]
        saved = [Output(save_options, (".toml",))]
        check_outputs(saved, inputs, overwrite=options.overwrite)
    with showing_progress() as listener, _interrupts() as cancel:
        result = run(
            before,
            after,
            options,
            outputs=outputs,
            listener=listener,
            cancel=cancel,
        )
    if save_options is not None:
        write_output(save_options, options.to_toml, overwrite=options.overwrite)
    echo(_as_json(result) if as_json else _in_words(result))


@contextmanager
def _interrupts() -> Iterator[Flag]:
    """Ctrl-C, or a request to end, asks to stop at the next tile; a second one stops at once."""
    cancel = Flag()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            from rich.console import Console

            # An exception would wait for the threads, and those for the model. The journal is
            # made to survive this.
            Console(stderr=True).show_cursor()
            os._exit(CANCELLED)
        cancel.set()
        with suppress(OSError):  # the terminal may be closed
            echo("stopping at the next tile; Ctrl-C again to stop at once", err=True)

    with handled(ask_to_stop):
        yield cancel


def _as_json(result: ChangeResult) -> str:
    paths = {name: str(path) for name, path in vars(result.outputs).items() if path is not None}
    features = {"count": len(result.features), "area_m2": _area_m2(result)}
    told = {"outputs": paths, "features": features, "geochg": result.metadata}
    return json.dumps(told, allow_nan=False)


def _in_words(result: ChangeResult) -> str:
    lines = [f"{path}" for path in result.outputs.paths()]
    tiles = result.metadata["tiles"]
    lines.append(
        f"{len(result.features)} changes on {_hectares(_area_m2(result))}, "
        f"in {tiles['changed']} of {tiles['read']} tiles{_not_seen(result)}"
    )
    gaps = {"failed": "failed", "incomplete": "answered in part", "unparsed": "without sense"}
    if told := [f"{tiles[kind]} {gap}" for kind, gap in gaps.items() if tiles[kind]]:
        lines.append(f"  tiles: {', '.join(told)}")
    groups = result.features.groupby(["class", "change"])["area_m2"].agg(["size", "sum"])
    for (class_name, change), row in groups.sort_values("sum", ascending=False).iterrows():
        lines.append(f"  {class_name} {change}: {int(row['size'])}, {_hectares(row['sum'])}")
    return "\n".join(lines)


def _not_seen(result: ChangeResult) -> str:
    """What cloud, shadow or snow hid, where there is any."""
    area_m2 = result.metadata["not_seen_m2"]
    return f"; {_hectares(area_m2)} not seen (cloud, shadow or snow)" if area_m2 else ""


def _area_m2(result: ChangeResult) -> float:
    from geochg.tasks.quantities import rounded_value

    return rounded_value(float(result.features["area_m2"].sum()), 1)


def _hectares(area_m2: float) -> str:
    from geochg.tasks.quantities import area_in_words

    if 0 < area_m2 < 1:
        return area_in_words(area_m2)
    return f"{area_m2 / 1e4:,.2f} ha" if area_m2 >= 100 else f"{area_m2:,.1f} m²"
