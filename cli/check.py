"""`geochg check`: a layer and an image in, a verdict for each polygon out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geochg.layer_check.options import CheckOptions
from geochg.writers.layers import LAYER_SUFFIXES

from .pair_options import named_values
from .shared_options import field_options, json_option, output_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from geochg.layer_check.check import LayerCheck


@click.command()
@click.argument("layer")
@click.argument("image")
@output_option(f"The layer with verdicts: {', '.join(LAYER_SUFFIXES)}.", required=True)
@click.option(
    "--before",
    metavar="IMAGE",
    help="An earlier image: what was not seen there either is not called gone.",
)
@click.option(
    "--layer", "layer_name", metavar="NAME", help="The layer, where the file has several of them."
)
@field_options(CheckOptions)
@json_option("what was done")
@click.pass_context
def check(
    ctx: click.Context,
    /,
    layer: str,
    image: str,
    output: Path,
    before: str | None,
    layer_name: str | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Hold the polygons of LAYER against IMAGE: which are there, which are gone, what is missing.

    Each feature keeps its columns and its place; `verdict` says present, gone or cannot tell,
    `probability` how likely its object is there, and what no polygon maps follows at the end as
    missing.

    \b
    Examples:
      geochg check buildings.gpkg 2024.tif -o verdict.gpkg
      geochg check buildings.gpkg 2024.tif --before 2018.tif -o verdict.gpkg
      geochg check panels.geojson 2024.tif --class "solar panel" --model vlm:FOLDER -o v.gpkg
    """
    from geochg.layer_check.check import check_layer

    from .progress import showing_progress

    text = layer if layer_name is None else f"{layer}|layername={layer_name}"
    with showing_progress() as listener, stop_on_interrupt() as cancel:
        result = check_layer(
            text,
            image,
            _options(ctx),
            before=before,
            output=output,
            listener=listener,
            cancel=cancel,
        )
    echo(_as_json(result) if as_json else "\n".join(_in_words(result)))


def _options(ctx: click.Context) -> CheckOptions:
    """The options that were given by hand."""
    values = {}
    for spec in CheckOptions.specs():
        if ctx.get_parameter_source(spec.name) is ParameterSource.COMMANDLINE:
            value = ctx.params[spec.name]
            values[spec.name] = named_values(value) if spec.type == "object" else value
    return CheckOptions.from_dict(values)


def _as_json(result: LayerCheck) -> str:
    facts = {"outputs": {"features": str(result.output)}, "geochg": result.metadata}
    return json.dumps(facts, allow_nan=False)


def _in_words(result: LayerCheck) -> Iterator[str]:
    facts = result.metadata["check"]
    counts = facts["counts"]
    yield str(result.output)
    total = sum(counts.values()) - counts["missing"]
    parts = ", ".join(f"{counts[name]:,} {name}" for name in ("present", "gone", "cannot tell"))
    yield f"{total:,} polygons of {facts['class']}: {parts}; {counts['missing']:,} missing"
    shift = facts.get("shift")
    if shift is None:
        yield "  the shift between layer and image could not be measured"
    else:
        yield f"  shift to the image: {shift['east_m']:g} m east, {shift['north_m']:g} m north"
