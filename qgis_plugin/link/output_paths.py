"""Paths of the files that a run writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

ASSESSMENT_KINDS = "HTML (*.html);;Markdown (*.md);;JSON (*.json)"
"""The formats of an assessment, as file dialogs list them."""

ASSESSMENT_SUFFIXES = (".html", ".md", ".json")

JOURNAL = ".journal"
"""Suffix of the journal that the worker keeps of an unfinished run, beside the output."""


def result_path(after_name: str, folders: Iterable[Path], ending: str = "_changes") -> Path | None:
    """Path of a new GeoPackage, in the first folder that can be written to.

    The output of an unfinished run counts as new: the run may be resumed.

    Args:
        after_name: Name of the after image.
        folders: Folders in order of preference.
        ending: End of the file's name, before the suffix.
    """
    stem = re.sub(r"[^\w.-]+", "_", after_name).strip("._")[:60] or "raster"
    for folder in folders:
        if folder.is_dir() and os.access(folder, os.W_OK):
            return free_path(folder / f"{stem}{ending}.gpkg")
    return None


def with_suffix(text: str, suffix: str) -> Path:
    """The path a user typed, with a suffix unless it has that; other dots are part of the name."""
    return Path(text if text.lower().endswith(suffix) else text + suffix)


def free_path(path: Path) -> Path:
    """The path, or that with a number, at which there is no file."""
    return next(candidate for candidate in _numbered_paths(path) if not candidate.exists())


def path_without_journal(path: Path) -> Path:
    """The path, or that with a number, at which there is neither a file nor an unfinished run."""
    return next(
        candidate
        for candidate in _numbered_paths(path)
        if not candidate.exists() and not has_journal(candidate)
    )


def path_apart_from(path: Path, others: Iterable[Path]) -> Path:
    """The path, or that with a number, which is none of some others."""
    other_paths = {other.resolve() for other in others}
    return next(
        candidate for candidate in _numbered_paths(path) if candidate.resolve() not in other_paths
    )


def has_journal(path: Path) -> bool:
    """Whether there is an unfinished run that writes to a path."""
    return path.with_name(path.name + JOURNAL).exists()


def _numbered_paths(path: Path) -> Iterator[Path]:
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}_{number}{path.suffix}")
