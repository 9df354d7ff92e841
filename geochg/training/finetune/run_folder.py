"""What lies in the folder of a run beside its checkpoints, and what is left of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from geochg.training.checkpoints import ASIDE

BEST = "best.safetensors"
"""The weights of the best evaluation."""

PRUNED = "pruned"
"""Folder, within that of a run, of a pruned base that is to be quantised."""

ADAPTER = "adapter"
"""Likewise, of an adapter that is merged at the end."""

MASKS = "pruning.safetensors"
"""What stays cut, in a run's folder or a model's."""

HISTORY = "evaluations.json"
"""What evaluations found, by step."""

WEIGHTS = "trained.safetensors"
"""What is trained, and nothing of what is not."""


def drop_all(folder: Path) -> None:
    """Removes what a run that is over needs no more, and leaves its logs."""
    for path in (
        *folder.glob("checkpoint-*"),
        *folder.glob(f".{PRUNED}-*"),
        *(folder / name for name in (ASIDE, PRUNED, ADAPTER)),
    ):
        shutil.rmtree(path, ignore_errors=True)
    (folder / BEST).unlink(missing_ok=True)


def drop_former(folder: Path) -> None:
    """Removes what a run that is over has left and a new one would take for its own."""
    drop_all(folder)
    for name in (MASKS, HISTORY):
        (folder / name).unlink(missing_ok=True)
