"""Folders in which training keeps what it needs to go on, told from a user's own."""

from __future__ import annotations

from pathlib import Path

from geochg.errors import InputError


def check_work_folder(work: Path, facts: str) -> None:
    """Refuses a folder of something else, in which a run would write and clear up.

    Args:
        work: The folder for work on the way; it need not exist.
        facts: Name of the file in which a run notes what it was begun with, before all else.

    Raises:
        InputError: If the folder holds other files and no such note, or is no folder.
    """
    if not work.exists() or (work / facts).is_file():
        return
    if not work.is_dir():
        raise InputError(f"{work} is a file", "name a folder with --work")
    # A run that was killed at its beginning has left half of its note.
    if strange := sorted(path.name for path in work.iterdir() if path.name != f".{facts}"):
        raise InputError(
            f"{work} holds {strange[0]} and is not the folder of a run",
            "name a new one with --work",
        )
