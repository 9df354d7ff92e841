"""The start of the `geochg` command: streams, Ctrl-C and exit codes, before anything is imported.

This module imports next to nothing, so that Ctrl-C is taken care of from the first moment on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .interrupts import CANCELLED, exit_at_once

FAILED = 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 failed, 2 wrong input or options, 130 cancelled.

    Args:
        arguments: What follows `geochg`; None for the process's own, whose streams and signals are
            then taken care of too.
    """
    if arguments is not None:
        sys.exit(_run(arguments))
    exit_at_once()
    from .streams import close_stdout, prepare_streams

    prepare_streams()
    sys.exit(close_stdout(_run(None)))


def _run(arguments: Sequence[str] | None) -> int:
    """Runs a command; turns errors into lines on stderr and exit codes."""
    import click

    from geochg.errors import GeochgError
    from geochg.extras import extras_named

    from .group import geochg
    from .terminal import echo_error, show_usage_error

    try:
        with extras_named():
            code = geochg.main(args=arguments, prog_name="geochg", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        show_usage_error(error)
        return error.exit_code
    except GeochgError as error:
        echo_error(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        echo_error("cancelled")
        return CANCELLED
    except OSError as error:
        # What was written to a full stdout, above all; files have errors of their own.
        echo_error(error)
        return FAILED
    # A command that found what it looked for gives its code by `ctx.exit`.
    return code if isinstance(code, int) else 0
