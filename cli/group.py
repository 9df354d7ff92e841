"""The `geochg` command group, which finds its commands lazily."""

from __future__ import annotations

import click

from .lazy import LazyGroup

COMMANDS = {
    "analyze": "Map what changed between two rasters.",
    "ask": "Talk about what changed, in the whole pair or at one place.",
    "evaluate": "Score a model's answers on pairs of which they are known, and fit its threshold.",
    "info": "Tell what a pair of rasters is before running it.",
    "models": "List the change models that --model takes, or convert released weights.",
    "train": "Train change models.",
    "dataset": "Make folders of pairs to train and test on.",
    "worker": "Serve another program, such as QGIS, over stdin and stdout.",
}
"""Name and one line of each command; the command itself lives in the module of that name."""


@click.group(
    cls=LazyGroup,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="geochg", message="geochg %(version)s")
def geochg() -> None:
    """Ask what changed between two georeferenced rasters and get the answer as map features.

    \b
    Examples:
      geochg analyze before.tif after.tif -o changes.geojson
      geochg info before.tif after.tif
    """
