"""The `geochg` command: finds its commands lazily and turns errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from geochg.errors import GeochgError

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 failed, 2 wrong input or options, 130 cancelled.

    Args:
        arguments: What follows `geochg`; the process's own when None.
    """
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = geochg.main(args=arguments, prog_name="geochg", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except GeochgError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Error: cancelled", err=True)
        return 130
    # A command that found what it looked for gives its code by `ctx.exit`.
    return code if isinstance(code, int) else 0
