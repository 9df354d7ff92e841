"""The `geochg` command group, which imports a command when it is run, so that help is instant."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "analyze": "Map what changed between two rasters.",
    "batch": "Map what changed in many pairs, on this machine or a cluster.",
    "series": "Find the places that left their usual course in many dates, and when.",
    "check": "Hold a layer against an image: which polygons are there, gone or missing.",
    "describe": "Map what a single raster shows: labels, counts and captions, tile by tile.",
    "ask": "Talk about what changed, in the whole pair or at one place, or about one raster.",
    "scenes": "Find satellite scenes of a place and a time, and fetch them.",
    "report": "Make a page of a layer: a map to swipe, a list, areas and where it came from.",
    "evaluate": "Score a model on pairs whose answers are known, and fit its threshold.",
    "table": "Sum up a change layer by class, land cover and zone, as it was reviewed.",
    "sample": "Draw a random sample of a change layer's ground, for people to judge.",
    "assess": "Tell how right a change layer is, by a sample that was judged.",
    "learn": "Learn from a review what counts as a change, for the next runs.",
    "info": "Tell what a pair of rasters is before running it.",
    "models": "List the change models that --model takes, or convert released weights.",
    "train": "Train change models.",
    "dataset": "Make folders of pairs to train and test on.",
    "mcp": "Serve an assistant by the Model Context Protocol, within some folders.",
    "worker": "Serve another program, such as QGIS, over stdin and stdout.",
}
"""Name and one line of each command; the command itself lives in the module of that name."""


class LazyGroup(click.Group):
    """A group whose commands are known by name and imported when they are run.

    Args:
        summaries: Name and one line of each command, in the order of the help page.
        prefix: The command `name` is the function `name` in the module `prefix + name`.
        **settings: As of `click.Group`.
    """

    def __init__(
        self,
        summaries: Mapping[str, str],
        prefix: str = "",
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**settings)
        self.summaries, self.prefix = summaries, prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the help page."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; None when there is none of that name."""
        if cmd_name not in self.summaries:
            return None
        command = getattr(import_module(f"geochg_cli.{self.prefix}{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))


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
