"""`geochg scenes fetch`: one image of an area and a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geochg.stac.options import FetchOptions

from .scenes_options import area_of, fetch_options, place_and_time, window_of
from .shared_options import field_options, json_option, output_option, overwrite_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt


@click.command()
@output_option("The image, a Cloud-Optimised GeoTIFF.", "PATH.tif", required=True)
@place_and_time
@field_options(FetchOptions)
@overwrite_option
@json_option("what was written")
def fetch(
    output: Path,
    bbox: str | None,
    aoi: str | None,
    start: str,
    end: str,
    overwrite: bool,
    as_json: bool,
    **values: Any,  # noqa: ANN401
) -> None:
    """Write one image of an area and a time, without clouds, ready for `geochg analyze`.

    Two images of one area and collection have one grid, whatever their dates. Where clouds, their
    shadows or snow hide the ground, and where no scene lies, the image has no data. Its tags tell
    when it was taken, of which scenes it was made, and their licence.

    \b
    Examples:
      geochg scenes fetch --aoi farm.geojson --from 2020-06 -o before.tif
      geochg scenes fetch --aoi farm.geojson --from 2024-06 --to 2024-08 --composite median \\
          -o after.tif
      geochg scenes fetch --like before.tif --from 2024-06 --bands red,green,blue,nir,swir \\
          -o after.tif
    """
    from geochg.stac.area_scenes import scene_in_words
    from geochg.stac.fetch import fetch_scene

    from .progress import showing_progress

    options = fetch_options(values)
    window = window_of(start, end)
    area = area_of(bbox, aoi, options, required=not options.like)
    with stop_on_interrupt() as cancel, showing_progress() as listener:
        scene = fetch_scene(
            area, window, output, options, overwrite=overwrite, listener=listener, cancel=cancel
        )
    if as_json:
        echo(json.dumps(scene.to_dict(), ensure_ascii=False))
        return
    echo(f"{scene.path}: {scene_in_words(scene)}")
