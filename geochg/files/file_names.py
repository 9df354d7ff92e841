"""Names of files that are to be made: refused where no file system takes them."""

from __future__ import annotations

import os
from pathlib import Path

from geochg.errors import InputError

MOST_BYTES = 255
"""Of one name, on the file systems of Linux, macOS and Windows."""

ROOM_BYTES = 16
"""Left for what lies beside an output on the way, such as `NAME.journal-journal`."""


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
        most = MOST_BYTES - (ROOM_BYTES if part == path.name else 0)
        if length > most:
            raise InputError(
                f"the name {part[:60]}... has {length} bytes",
                f"name a file of at most {most} bytes",
            )
