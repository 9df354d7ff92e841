"""SQLite files: opened so that nothing in them runs, also in folders without locks."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from geochg.errors import InputError
from geochg.safety.untrusted_text import without_secrets

Mode = Literal["ro", "rw", "rwc"]
"""Read only; read and write; the same, and make the file where there is none."""

# SQLite's own `nolock` still asks for a lock where a killed run has left a transaction.
_LOCKLESS = "&vfs=unix-none" if os.name == "posix" else "&nolock=1"


def open_database(
    path: Path, mode: Mode = "rw", *, locks: bool = True, wait_s: float = 0.0
) -> sqlite3.Connection:
    """Opens a database outside of any transaction.

    Functions that change something or reach outside are not run by its triggers and views.

    Args:
        path: The file.
        mode: What is to be done with it.
        locks: Whether to lock it against other programs; folders on a network may not know how.
        wait_s: Seconds to wait for a program that holds it.

    Raises:
        sqlite3.Error: If it cannot be opened.
    """
    # As a URI it can be opened without being made; each `?` and `#` of a name is quoted.
    name = quote(os.fsencode(path.resolve().as_posix()))
    rooted = name if name.startswith("/") else f"/{name}"
    uri = f"file://{rooted}?mode={mode}{'' if locks else _LOCKLESS}"
    database = sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def lock_error(name: str) -> InputError:
    """The refusal of an input that SQLite cannot lock for reading."""
    return InputError(
        f"{without_secrets(name)} cannot be locked: another program is writing it, or it lies on a"
        " network folder without file locks",
        "close that program, or copy the file to a folder on this machine",
    )


def has_locks(folder: Path) -> bool:
    """Whether files in a folder can be locked, which some folders on a network do not know.

    True as well where nothing can be written there at all.
    """
    return _can_be_written(folder, locks=True) or not _can_be_written(folder, locks=False)


def _can_be_written(folder: Path, *, locks: bool) -> bool:
    try:
        with tempfile.TemporaryDirectory(prefix=".geochg-", dir=folder) as name:
            database = open_database(Path(name) / "try", "rwc", locks=locks)
            try:
                database.execute("BEGIN EXCLUSIVE")
                database.execute("CREATE TABLE tried (number INTEGER)")
                database.execute("COMMIT")
            finally:
                database.close()
    except (OSError, sqlite3.Error):
        return False
    return True
