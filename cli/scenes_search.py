"""`geochg scenes search`: the scenes of an area and a time."""

from __future__ import annotations

import json
from typing import Any

import click

from geochg.stac.options import FetchOptions

from .scenes_options import area_of, fetch_options, place_and_time, window_of
from .shared_options import field_options, json_option
from .terminal import echo

_SEARCHING = tuple(spec.name for spec in FetchOptions.specs() if spec.facts.commands is None)


@click.command()
@place_and_time
@field_options(FetchOptions, *_SEARCHING)
@json_option("the scenes")
def search(
    bbox: str | None,
    aoi: str | None,
    start: str,
    end: str,
    as_json: bool,
    **values: Any,  # noqa: ANN401
) -> None:
    """List the scenes of an area and a time: date, cloud cover, id.

    The cloud cover is that of the whole scene, as the catalogue tells it.

    \b
    Examples:
      geochg scenes search --bbox 14.35,46.02,14.45,46.08 --from 2020-06 --to 2020-08
      geochg scenes search --aoi farm.geojson --from 2020 --max-cloud 20 --json
      geochg scenes search --aoi farm.geojson --from 2020-06 --catalog https://my.server/stac \\
          --collection drone
    """
    from geochg.stac.search import refuse_none, search_scenes

    from .progress import showing_progress

    options = fetch_options(values)
    window, area = window_of(start, end), area_of(bbox, aoi, options)
    assert area is not None
    with showing_progress() as listener:
        scenes = search_scenes(area, window, options, listener=listener)
    refuse_none(scenes, area, window, options)
    if as_json:
        facts = {
            "catalog": scenes.catalog.url,
            "collection": scenes.collection_id,
            "licence": scenes.licence,
            "window": [str(window.first), str(window.last)],
            "scenes": [item.to_dict() for item in scenes.items],
            "too_cloudy": scenes.cloudy,
        }
        echo(json.dumps(facts, ensure_ascii=False))
        return
    for item in scenes.items:
        clouds = "   ? %" if item.cloud_cover is None else f"{item.cloud_cover:4.0f} %"
        echo(f"{item.taken:%Y-%m-%d %H:%M}  {clouds}  {item.id}")
    beyond = f"; {scenes.cloudy} with more clouds" if scenes.cloudy else ""
    ending = "" if len(scenes.items) == 1 else "s"
    echo(f"{len(scenes.items)} scene{ending} of {scenes.collection_id}{beyond}", err=True)
