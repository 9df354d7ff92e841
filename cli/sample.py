"""`geochg sample`: a change layer in, a random sample of places to judge out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geochg.accuracy.options import USUAL_UNITS, SampleOptions

from .shared_options import field_options, json_option, output_option, overwrite_option
from .terminal import echo


@click.command()
@click.argument("layer")
@output_option("The sample: a layer to judge in QGIS or any GIS.", required=True)
@click.option(
    "-n",
    "--units",
    type=int,
    help="Units in all, at least five of each stratum.",
    show_default=str(USUAL_UNITS),
)
@field_options(SampleOptions)
@overwrite_option
@json_option("what was drawn")
def sample(
    layer: str,
    output: Path,
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
    from geochg.accuracy.sample import draw_sample

    from .progress import showing_progress

    options = SampleOptions(**settings)  # type: ignore[arg-type]
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
