"""`geochg train`: models learn."""

from __future__ import annotations

import click

from .lazy import LazyGroup

COMMANDS = {"compact": "Make the compact DeltaVLM anew, as the one that comes with geochg."}
"""Name and one line of each command; the command itself lives in `train_NAME.py`."""


@click.group(cls=LazyGroup, summaries=COMMANDS, prefix="train_")
def train() -> None:
    """Train change models.

    \b
    Examples:
      geochg train compact -o model --work training
    """
