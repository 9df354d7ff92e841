"""One batch at a time writes into a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geochg.errors import InputError
from geochg.events import Listener, Notice
from geochg.files.sqlite import has_locks, open_database

_NAME = "batch.lock"


@contextmanager
def hold_folder(folder: Path, listener: Listener) -> Iterator[None]:
    """Keeps other batches from a folder while the block lasts.

    The lock is one of the system's, which a process that is killed loses.

    Args:
        folder: Folder of the batch.
        listener: Told where the folder knows no locks.

    Raises:
        InputError: If another batch holds it, or nothing can be written there.
    """
    path = folder / _NAME
    if not has_locks(folder):
        text = f"the folder {folder} has no file locks: start no other batch with it"
        listener(Notice(text, warning=True))
        yield
        return
    try:
        database = open_database(path, "rwc")
        try:
            database.execute("BEGIN EXCLUSIVE")
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise InputError(
                f"another batch is writing into {folder}", "wait for it, or name another folder"
            ) from error
        raise InputError(
            f"cannot write into {folder}: {error}", "choose a folder you may write to"
        ) from error
    try:
        yield
    finally:
        database.close()
        with suppress(OSError):
            path.unlink()
