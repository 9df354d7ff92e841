"""`geochg sample`: a change layer in, a random sample of places to judge out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .shared_options import json_option, output_option, overwrite_option
from .terminal import echo


@click.command()
@click.argument("layer")
@output_option("The sample: a layer to judge in QGIS or any GIS.", required=True)
@click.option("-n", "--units", type=int, help="Units in all.", show_default="200")
@click.option(
    "--standard-error",
    type=float,
    help="Draw as many units as the overall accuracy needs for this standard error, such as 0.02.",
)
@click.option(
    "--allocation",
    type=click.Choice(["equal", "optimal"]),
    default="equal",
    show_default=True,
    help="Units of each stratum: as many of each, or by area and expected spread (Neyman).",
)
@click.option(
    "--near",
    "near_m",
    type=float,
    default=50.0,
    show_default=True,
    help="Metres within which unchanged ground is near a change: a stratum of its own.",
)
@click.option(
    "--footprint",
    "footprint_m",
    type=float,
    help="Side of the square to judge around each point, in metres.",
    show_default="three pixels",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another one draws others.")
@click.option("--with-map", is_flag=True, help="Tell what the map says: judging is blind no more.")
@click.option(
    "--heatmap", default="", metavar="FILE.tif", help="The run's heatmap, which tells what it saw."
)
@click.option("--before", default="", metavar="IMAGE", help="The earlier image, where it moved.")
@click.option("--after", default="", metavar="IMAGE", help="The later image, likewise.")
@overwrite_option
@json_option("what was drawn")
def sample(
    layer: str,
    output: Path,
    units: int | None,
    standard_error: float | None,
    as_json: bool,
    **settings: object,
) -> None:
    """Draw a random sample over the ground that the run behind LAYER analysed.

    It is stratified: by class and direction of change, and unchanged ground near changes apart
    from the rest. Fill reference_class and reference_change of each unit (unchanged where nothing
    changed), in QGIS, any GIS or a CSV; then `geochg assess` tells accuracies and areas.

    \b
    Examples:
      geochg sample changes.gpkg -n 200 -o sample.gpkg
      geochg sample changes.gpkg --standard-error 0.02 --heatmap change.tif -o sample.gpkg
    """
    from geochg.accuracy.sample import SampleOptions, draw_sample
    from geochg.errors import OptionError

    from .progress import showing_progress

    if units is not None and standard_error is not None:
        raise OptionError("-n and --standard-error both tell the size", "give one of them")
    if units is None and standard_error is None:
        units = SampleOptions().units
    options = SampleOptions(
        units=units,
        standard_error=standard_error,
        **settings,  # type: ignore[arg-type]
    )
    with showing_progress() as listener:
        result = draw_sample(layer, output, options, listener=listener)
    for warning in result.warnings:
        echo(f"warning: {warning}", err=True)
    if as_json:
        facts = {"outputs": {"sample": str(output)}, "geochg": dict(result.facts)}
        echo(json.dumps(facts, allow_nan=False))
        return
    from geochg.tasks.quantities import listed_area

    lines = [str(output)]
    for stratum in result.facts["strata"]:
        area = listed_area(stratum["area_m2"])
        lines.append(f"  {stratum['name']}: {stratum['units']} units of {area}")
    if hidden_m2 := result.facts["unseen_m2"]:
        lines.append(f"  not in the frame, because it was not seen: {listed_area(hidden_m2)}")
    echo("\n".join(lines))
