"""Folders that a command is to make."""

from __future__ import annotations

from pathlib import Path

from geochg.errors import InputError


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
