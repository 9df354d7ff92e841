"""Checkpoints that are whole or not there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_NAME = re.compile(r"checkpoint-(\d+)")
ASIDE = ".saving"
"""Folder in which a checkpoint is written before it is moved to its place."""

WHOLE = "whole"
"""The file that is written last."""

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


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint of a run's folder; None where there is none."""
    return max(whole(folder), key=step_of, default=None)


def whole(folder: Path) -> list[Path]:
    """All whole checkpoints, in no order."""
    return [path for path in folder.glob("checkpoint-*") if (path / WHOLE).is_file()]


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else -1


def settle(folder: Path, step: int, keep: int) -> None:
    """Moves a checkpoint that was written aside to its place, and drops the oldest ones.

    Args:
        folder: Of the run.
        step: Of the checkpoint.
        keep: How many to keep.
    """
    place, written = folder / f"checkpoint-{step}", folder / ASIDE / f"checkpoint-{step}"
    (written / WHOLE).touch()
    # What lies there is of the same step: half written, or just as good.
    shutil.rmtree(place, ignore_errors=True)
    written.replace(place)
    for old in sorted(whole(folder), key=step_of)[:-keep]:
        (old / WHOLE).unlink()
        shutil.rmtree(old, ignore_errors=True)


def write_whole(file: Path, text: str) -> None:
    """Writes a text file that is either as it was or as it should be, whenever it is cut short."""
    aside = file.with_name(f".{file.name}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(file)


def drop_all(folder: Path) -> None:
    """Removes what a run that is over needs no more, and leaves its logs."""
    for path in (
        *folder.glob("checkpoint-*"),
        *(folder / name for name in (ASIDE, PRUNED, f".{PRUNED}", ADAPTER)),
    ):
        shutil.rmtree(path, ignore_errors=True)
    (folder / BEST).unlink(missing_ok=True)


def drop_former(folder: Path) -> None:
    """Removes what a run that is over has left and a new one would take for its own."""
    drop_all(folder)
    for name in (MASKS, HISTORY):
        (folder / name).unlink(missing_ok=True)
