"""`geochg train`: models learn."""

from __future__ import annotations

import click

from .group import LazyGroup

DEFAULT = "run"

COMMANDS = {
    "run": "Fine-tune a model on rows of one's own; `geochg train DATA` is short for it.",
    "trees": "Learn from labelled tiles which tiles changed, on features of another model.",
    "compact": "Make the compact DeltaVLM anew, as the one that comes with geochg.",
}
"""Name and one line of each command; the command itself lives in `train_NAME.py`."""


class _TrainGroup(LazyGroup):
    """Takes what is no command's name for the data to fine-tune on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the command's name in where it was left out."""
        if args and args[0] not in (*COMMANDS, *ctx.help_option_names):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_TrainGroup, summaries=COMMANDS, prefix="train_")
def train() -> None:
    """Train change models.

    `geochg train run --help` lists all options of fine-tuning.

    \b
    Examples:
      geochg train rows.json --model builtin --dry-run
      geochg train rows.json --model builtin -o adapter
      geochg train rows.json --model vlm:llava-7b --preset geollava -o adapter
      geochg train trees PAIRS --model builtin -o trees
      geochg train compact -o model --work training
    """
