"""How many processes train together."""

from __future__ import annotations

import os

from geochg.errors import OptionError


def world_size() -> int:
    """Processes that were started together; 1 unless a launcher says otherwise."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes what all of them make."""
    return int(os.environ.get("RANK", "0")) == 0


def check_processes(expected: int | None) -> int:
    """The number of processes, where it is the one that is expected.

    Args:
        expected: None for any.

    Raises:
        OptionError: If it is another.
    """
    there = world_size()
    if expected is not None and there != expected:
        raise OptionError(
            f"{expected} processes are expected, but this is one of {there}",
            f"start with: torchrun --nproc-per-node {expected} -m geochg_cli train ... "
            "(accelerate launch --cpu starts only one)",
        )
    return there
