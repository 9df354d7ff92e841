"""Files and folders that are to be made: with names that file systems take, and whole or not there.

Outputs that may replace what a user has, several of them together, are written by
`geochg.writers.staging` instead.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geochg.errors import InputError

MOST_BYTES = 255
"""Bytes of the longest name that the file systems of Linux, macOS and Windows take."""

ROOM_BYTES = 16
"""Bytes left for what lies beside an output on the way, such as `NAME.journal-journal`."""


def check_file_name(path: Path) -> None:
    """Refuses the name of a file or folder that could not be made, with what lies beside it.

    Raises:
        InputError: If a part of the path is too long, holds a NUL, or half of a character.
    """
    for part in path.parts:
        try:
            length = len(os.fsencode(part))
        except UnicodeEncodeError:
            raise InputError(f"{path} holds half of a character", "name another file") from None
        if "\0" in part:
            raise InputError(f"{path} holds a NUL character", "name another file")
        room = MOST_BYTES - (ROOM_BYTES if part == path.name else 0)
        if length > room:
            raise InputError(
                f"the name {part[:60]}... has {length} bytes",
                f"name a file of at most {room} bytes",
            )


@contextmanager
def write_aside(file: Path) -> Iterator[Path]:
    """Gives a path beside a file to write at, which replaces the file when the block ends well."""
    new_file = file.with_name(f".{file.name}")
    yield new_file
    os.replace(new_file, file)


def write_text_aside(file: Path, text: str) -> None:
    """Writes a text file that is either as it was or as it should be, whenever it is cut short."""
    with write_aside(file) as new_file:
        new_file.write_text(text, encoding="utf-8")


@contextmanager
def make_folder_aside(folder: Path) -> Iterator[Path]:
    """Gives a folder to fill, which becomes `folder` when the block ends without an error.

    Args:
        folder: Must not exist, or be empty.

    Raises:
        InputError: If it holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty", "name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if folder.exists():  # Windows renames onto nothing, not even an empty folder.
            folder.rmdir()
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
