"""Folders that a command is to make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geochg.errors import InputError, RunError


def check_new_folder(folder: Path) -> None:
    """Refuses a folder that could not be made at the end of the run.

    Raises:
        InputError: If it exists, or there is no folder to make it in.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already", "name a new folder")
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise InputError(f"the folder {parent} does not exist", "create it first")


@contextmanager
def failures_named(folder: Path) -> Iterator[None]:
    """Turns an `OSError` while a folder is made into an error that names it.

    Raises:
        RunError: For that.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot make {folder}: {error}", "make room, or name another folder"
        ) from error
