"""`geochg report`: a layer in, a page for the browser out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geochg.options import AnalyzeOptions

from .shared_options import field_options, json_option, output_option, overwrite_option
from .terminal import echo

if TYPE_CHECKING:
    from geochg.report.of_layer import LayerReport


@click.command()
@click.argument("layer")
@output_option("The report.", "PATH.html", required=True)
@click.option(
    "--layer", "layer_name", metavar="NAME", help="The layer, where the file has several of them."
)
@click.option("--before", metavar="IMAGE", help="The earlier image, where it was moved or renamed.")
@click.option("--after", metavar="IMAGE", help="The later image, likewise.")
@click.option(
    "--image",
    "images",
    metavar="IMAGE",
    multiple=True,
    help="All images in the order of their dates, once for each; for three dates or more, and for "
    "layers of `geochg describe`.",
)
@click.option("--title", metavar="TEXT", default="", help="The heading.", show_default="the dates")
@click.option(
    "--without-rejected", is_flag=True, help="Leave out what a reviewer rejected in QGIS."
)
@field_options(AnalyzeOptions, "zones", "zone_name")
@overwrite_option
@json_option("what was done")
def report(
    layer: str,
    output: Path,
    layer_name: str | None,
    before: str | None,
    after: str | None,
    images: tuple[str, ...],
    title: str,
    without_rejected: bool,
    zones: str | None,
    zone_name: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a page of LAYER, which geochg wrote: one file, to open in a browser without a network.

    It shows the changes on both images with a swipe, a list of them, areas, confidence, where the
    result came from and how to cite it. The images are looked for where the layer says they are,
    and beside it.

    \b
    Examples:
      geochg report changes.gpkg -o changes.html
      geochg report changes.geojson -o changes.html --before 2019.tif --after 2024.tif
      geochg report changes.gpkg -o changes.html --zones parcels.gpkg
      geochg report project.gpkg --layer changes_2024 -o changes.html --without-rejected
    """
    if images and (before or after):
        raise click.UsageError("--image names all images: leave out --before and --after")
    named_images = dict(enumerate(images))
    named_images |= {number: name for number, name in ((0, before), (-1, after)) if name}

    from geochg.report.of_layer import report_layer

    text = layer if layer_name is None else f"{layer}|layername={layer_name}"
    zone_table = None
    if zones or zone_name:
        from geochg.pipeline.layer_tables import layer_tables

        tables = layer_tables(text, zones or "", zone_name or "")
        for remark in tables.remarks:
            echo(f"warning: {remark}", err=True)
        zone_table = tables.sums.rows()
    result = report_layer(
        text,
        output,
        images=named_images,
        title=title,
        with_rejected=not without_rejected,
        zones=zone_table,
        overwrite=overwrite,
    )
    echo(json.dumps(result.to_dict()) if as_json else _in_words(result))


def _in_words(result: LayerReport) -> str:
    count = result.pictures
    pictures = {0: "no pictures", 1: "1 picture"}.get(count, f"{count} pictures")
    features = f"{result.features:,} feature{'' if result.features == 1 else 's'}"
    notes = [f"  {note}" for note in result.notes]
    return "\n".join([str(result.path), f"{features}, {pictures}", *notes])
