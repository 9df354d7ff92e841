"""The database file of a journal: where it lies, and how it is opened, refused and deleted."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from geochg.errors import InputError
from geochg.files.sidecars import DATABASE_SUFFIXES
from geochg.files.sqlite import has_locks, open_database
from geochg.pipeline.journal_checks import check_database

OpenedDatabase = tuple[sqlite3.Connection, bool, bool]
"""A database, whether there is a journal in it, and whether other runs are kept from it, which
they are not in folders that know no locks."""


class HeldJournalError(InputError):
    """A journal that another run holds: whoever wants it may wait."""


def open_journal(path: Path | None) -> OpenedDatabase:
    """Opens the database of a journal.

    Args:
        path: Where the journal lies or is to lie; None for a temporary one, which is in memory
            while it is small.

    Raises:
        InputError: If it cannot be opened, is something else, or another run holds it.
    """
    if path is None:
        return sqlite3.connect("", isolation_level=None), False, True
    try:
        try:
            return _open(path, locks=True)
        except sqlite3.OperationalError:
            if has_locks(path.parent):
                raise
            return _open(path, locks=False)
    except (sqlite3.Error, OSError) as error:
        raise journal_error(path, error) from error


def _open(path: Path, *, locks: bool) -> OpenedDatabase:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError("it is a link or a folder, and no journal")
    database = open_database(path, "rwc", locks=locks)
    try:
        is_begun = check_database(database)
        # One writer at a time, and no shared-memory file, which network folders lack.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute(f"PRAGMA journal_mode = {'WAL' if locks else 'TRUNCATE'}")
        database.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database, is_begun, locks


def has_content(path: Path) -> bool:
    """Whether a file is there that is not empty."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def remove_journal(path: Path) -> None:
    """Deletes a journal and what SQLite keeps beside it."""
    if path.is_symlink():
        return  # not ours
    for suffix in ("", *DATABASE_SUFFIXES):
        with suppress(OSError):  # held open by another program on Windows
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def journal_path(output: Path) -> Path:
    """Where the journal of a run with this output lies."""
    return output.with_name(f"{output.name}.journal")


def journal_error(path: Path | None, error: Exception) -> InputError:
    """The refusal of a journal that cannot be opened, or that holds what no journal does."""
    if is_held(error):
        return HeldJournalError(
            f"another run is writing {path}", "wait for it, or choose another output"
        )
    return InputError(
        f"cannot use the journal {path}: {error}", "delete that file, or choose another output"
    )


def is_held(error: BaseException | None) -> bool:
    """Whether an error of SQLite's means that another run holds the database."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
