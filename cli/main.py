"""The `geochg` command: finds its commands lazily and turns errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from geochg.errors import GeochgError

COMMANDS = {
    "analyze": "Map what changed between two rasters.",
    "info": "Tell what a pair of rasters is before running it.",
    "models": "List the change models that --model takes.",
}
"""Name and one line of each command; the command itself lives in the module of that name."""


class LazyGroup(click.Group):
    """A group that imports a command only when it is run, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"geochg_cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
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
        geochg.main(args=arguments, prog_name="geochg", standalone_mode=False)
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
    return 0
