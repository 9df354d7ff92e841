"""`geochg scenes`: satellite scenes of a place and a time, found in catalogues and fetched."""

from __future__ import annotations

import click

from .group import LazyGroup

COMMANDS = {
    "search": "List the scenes of an area and a time.",
    "fetch": "Write one image of an area and a time, without clouds.",
    "collections": "List the catalogues and collections that are known.",
}
"""Name and one line of each command; the command itself lives in `scenes_NAME.py`."""


@click.group(cls=LazyGroup, summaries=COMMANDS, prefix="scenes_")
def scenes() -> None:
    """Find satellite scenes of a place and a time, and fetch them.

    These commands ask the catalogue that they name, on the network unless it is a file; nothing
    else of geochg does. A month means its first to its last day, a year likewise.

    \b
    Examples:
      geochg scenes search --bbox 14.35,46.02,14.45,46.08 --from 2020-06 --to 2020-08
      geochg scenes fetch --aoi farm.geojson --from 2020-06 -o before.tif
      geochg scenes fetch --aoi farm.geojson --from 2024-06 --composite median -o after.tif
      geochg analyze before.tif after.tif -o changes.geojson
    """
