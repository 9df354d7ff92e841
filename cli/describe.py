"""`geochg describe`: one raster in, features with labels, counts and captions out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.writers.layers import LAYER_SUFFIXES

from .image_options import image_options
from .label_option import LABELS_TEXT, with_labels
from .pair_options import options_of
from .shared_options import json_option, output_option, path_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from geochg.pipeline.scenes import LabelledScene


@click.command()
@output_option(f"The layer of labelled ground: {', '.join(LAYER_SUFFIXES)}.")
@path_option("--tiles", "A layer of one feature a tile; may be the same GeoPackage.")
@path_option("--report", "A page that shows the result on the image, for a browser.", "PATH.html")
@click.option(
    "--labels",
    metavar="FILE.toml",
    help=f"The labels, each asked about by yes or no: {LABELS_TEXT}",
    show_default="geochg's own classes",
)
@image_options
@json_option("what was done")
@click.pass_context
def describe(
    ctx: click.Context,
    /,
    image: str,
    output: Path | None,
    tiles: Path | None,
    report: Path | None,
    labels: str | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Map what IMAGE, a single raster, shows: labels, counts and captions, tile by tile.

    Tiles that share an edge and have the same labels become one feature. Models that can: see
    `tasks_of_one` in `geochg models --json`.

    \b
    Examples:
      geochg describe image.tif -o scene.geojson --model vlm:FOLDER
      geochg describe image.tif -o scene.gpkg --tiles scene.gpkg --model vlm:FOLDER --labels mai
      geochg describe image.tif -o scene.geojson --model clip:FOLDER --labels my_labels.toml
    """
    if output is None and tiles is None and report is None:
        raise click.UsageError("nothing to write: add -o/--output, --tiles or --report")
    options = with_labels(options_of(ctx), labels)

    from geochg.pipeline.outputs import Outputs
    from geochg.pipeline.scenes import describe as run

    from .progress import showing_progress

    outputs = Outputs(output, tiles, report=report)
    with showing_progress() as listener, stop_on_interrupt() as cancel:
        scene = run(image, options, outputs=outputs, listener=listener, cancel=cancel)
    echo(_as_json(scene) if as_json else "\n".join(_in_words(scene)))


def _as_json(scene: LabelledScene) -> str:
    from geochg.tasks.quantities import rounded_value

    features = {"count": len(scene.layer), "area_m2": rounded_value(scene.layer.area_m2, 1)}
    labels = {name: rounded_value(area, 1) for name, area in scene.layer.areas_m2.items()}
    facts = {
        "outputs": scene.outputs.to_dict(),
        "features": features,
        "labels_m2": labels,
        "geochg": scene.metadata,
    }
    return json.dumps(facts, allow_nan=False)


def _in_words(scene: LabelledScene) -> Iterator[str]:
    from geochg.tasks.quantities import listed_area

    yield from map(str, scene.outputs.paths())
    tiles = scene.metadata["tiles"]
    yield (
        f"{len(scene.layer)} features on {listed_area(scene.layer.area_m2)}, "
        f"labels in {tiles['labelled']} of {tiles['read']} tiles"
    )
    gaps = {"failed": "failed", "unparsed": "with answers without sense"}
    if states := [f"{tiles[kind]} {gap}" for kind, gap in gaps.items() if tiles[kind]]:
        yield f"  tiles: {', '.join(states)}"
    for name, area in scene.layer.areas_m2.most_common():
        yield f"  {name}: tiles of {listed_area(area)}"
