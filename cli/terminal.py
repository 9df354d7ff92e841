"""The one way that text goes to stdout and stderr: nothing in it commands a terminal."""

from __future__ import annotations

import click

from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned, printable


def echo(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Writes a text without control codes; lines and tabs stay."""
    click.echo(printable(text), nl=nl, err=err)


def echo_error(error: BaseException | str) -> None:
    """Writes what went wrong to stderr, without secrets."""
    if isinstance(error, OSError):
        file = f": {error.filename}" if error.filename else ""
        text = f"{cleaned(error)}{file}"
    else:
        text = str(error)
    echo(f"Error: {cleaned(text, LONGEST_TEXT, keep_lines=True)}", err=True)


def show_usage_error(error: click.ClickException) -> None:
    """Writes what click refuses to stderr: usage, a hint and the error."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        echo(error.ctx.get_usage(), err=True)
        if error.ctx.command.get_help_option(error.ctx) is not None:
            name = error.ctx.help_option_names[-1]
            echo(f"Try '{error.ctx.command_path} {name}' for help.\n", err=True)
    echo_error(error.format_message())
