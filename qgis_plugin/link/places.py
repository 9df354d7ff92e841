"""Where a result is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

JOURNAL = ".journal"
"""The worker keeps an unfinished run beside its output under this suffix."""


def result_path(after_name: str, folders: Iterable[Path]) -> Path | None:
    """A GeoPackage that is not there yet, in the first folder that can be written to.

    One whose run was left unfinished counts as free: the run is gone on with.

    Args:
        after_name: What the after image is called.
        folders: In order of preference.
    """
    stem = re.sub(r"[^\w.-]+", "_", after_name).strip("._")[:60] or "raster"
    for folder in folders:
        if folder.is_dir() and os.access(folder, os.W_OK):
            return free_path(folder / f"{stem}_changes.gpkg")
    return None


def with_ending(text: str, ending: str) -> Path:
    """The path a user named, with an ending unless it has that; other dots are part of the name."""
    return Path(text if text.lower().endswith(ending) else text + ending)


def free_path(path: Path) -> Path:
    """The path, or one with a number, at which there is no file."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def past_journals(path: Path) -> Path:
    """The path, or one with a number, at which neither a file nor an unfinished run lies."""
    free = free_path(path)
    number = 1
    while has_journal(free) or free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


def has_journal(path: Path) -> bool:
    """Whether a run that writes there was left unfinished."""
    return path.with_name(path.name + JOURNAL).exists()
