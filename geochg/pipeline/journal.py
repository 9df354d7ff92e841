"""What a run has finished so far, in a small database beside its output.

SQLite commits whole transactions or nothing, so a run killed at any moment leaves a journal that
holds every tile committed before and no half of one.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.errors import GeochgError, InputError, OptionError, RunError
from geochg.files.sidecars import DATABASE_SUFFIXES
from geochg.files.sqlite import has_locks, open_database
from geochg.pipeline.journal_checks import (
    APPLICATION_ID,
    TABLES,
    check_database,
    check_numbers,
    check_result,
)
from geochg.pipeline.journal_record import parsed, record_of, result_of, unpacked
from geochg.records import CLASSES, PixelWindow, TileResult, TileWindow
from geochg.tiling.layout import Layout

_INSERT_TILE = "INSERT OR REPLACE INTO tile VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Tallies:
    """How many tiles there are of each kind.

    Attributes:
        total: In all.
        read: Answered.
        changed: In which the model saw a change.
        unparsed: With an answer that made no sense.
        skipped: Without data.
        incomplete: Answered, but for a question to which no answer came.
        not_seen: In which some of the ground was hidden.
        not_seen_px: Hidden pixels; None for models that cannot tell.
    """

    total: int
    read: int
    changed: int
    unparsed: int
    skipped: int
    incomplete: int = 0
    not_seen: int = 0
    not_seen_px: int | None = None


class Journal:
    """The finished tiles of one run.

    As a context manager it closes the database; a journal with nothing to go on with is deleted
    when an error leaves the block.

    Args:
        path: Where the journal lies; None keeps it in memory, for runs without an output file.
        layout: The tiles of the run.

    Attributes:
        has_locks: Whether other runs are kept from it; False in folders that know no locks.

    Raises:
        InputError: If the file cannot be opened, is no journal, is damaged, or is another run's.
    """

    def __init__(self, path: Path | None, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._open = True
        self.has_locks = True
        try:
            try:
                self._database, self._is_begun = _opened(path, locks=True)
            except sqlite3.OperationalError:
                if path is None or has_locks(path.parent):
                    raise
                self.has_locks = False
                self._database, self._is_begun = _opened(path, locks=False)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error

    @classmethod
    def begin(
        cls,
        path: Path | None,
        layout: Layout,
        fingerprint: Mapping[str, Any],
        *,
        resume: bool,
        classes: Collection[str] = CLASSES,
    ) -> Self:
        """Starts a journal or goes on with the one that lies there.

        Args:
            path: As for the class.
            layout: As for the class.
            fingerprint: Inputs, options and model, as plain JSON values; a journal of others is
                refused.
            resume: Whether to go on with an unfinished run.
            classes: Those that the model of the run can name.

        Raises:
            InputError: If an unfinished run lies there and `resume` is not set, or the file is no
                journal or damaged, or another run holds it.
            OptionError: If the unfinished run had other inputs or options.
        """
        is_new = path is not None and not _has_content(path)
        try:
            journal = cls(path, layout)
        except InputError as error:
            if is_new and path is not None and not _is_held(error.__cause__):
                _remove(path)
            raise
        try:
            known = journal._fingerprint() if journal._is_begun else None
            if known is None:
                journal._start(fingerprint)
            elif not resume:
                raise InputError(
                    f"{path} holds an unfinished run ({journal.count()} of {len(layout)} tiles)",
                    "add --resume to finish it, or delete that file to start again",
                )
            else:
                _refuse_other(known, fingerprint, path)
                journal._check(classes)
        except BaseException:
            journal.close()
            if is_new and path is not None:
                _remove(path)
            raise
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        # Wrong input will be wrong again, and a run that has nothing yet has nothing to keep.
        refused = kind is not None and issubclass(kind, GeochgError) and kind.exit_code == 2
        if self._open and kind is not None and self._is_worthless(refused=refused):
            self.remove()
        self.close()

    def _is_worthless(self, *, refused: bool) -> bool:
        try:
            return not (self.tallies().read if refused else self.count())
        except InputError:  # damaged: whoever wrote it may still want to look
            return False

    def close(self) -> None:
        """Closes the database and keeps the file."""
        self._open = False
        self._database.close()

    def remove(self) -> None:
        """Closes the database and deletes the file: the run is complete."""
        self.close()
        if self._path is not None:
            _remove(self._path)

    def add(self, results: Iterable[TileResult], skipped: Iterable[TileWindow]) -> None:
        """Commits finished tiles, all or none.

        Args:
            results: Tiles that were answered.
            skipped: Tiles with no valid pixel in their core.

        Raises:
            RunError: If the disk is full or the file cannot be written.
        """
        rows = [
            *(_row(result) for result in results),
            *((window.index, *[None] * 7) for window in skipped),
        ]
        with self._writing():
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT_TILE, rows)
            self._database.execute("COMMIT")

    def keep_measured(self, name: str, value: Mapping[str, Any]) -> None:
        """Keeps what was measured before the first tile, for a resumed run to share.

        Raises:
            RunError: If the disk is full or the file cannot be written.
        """
        with self._writing():
            self._database.execute(
                "INSERT OR REPLACE INTO measured VALUES (?, ?)", (name, json.dumps(value))
            )

    def measured(self, name: str) -> dict[str, Any] | None:
        """What `keep_measured` kept; None when it kept nothing of that name.

        Raises:
            InputError: If it is damaged.
        """
        with self._damage_named():
            for (value,) in self._rows("SELECT value FROM measured WHERE name = ?", name):
                return parsed(value)
        return None

    def done(self) -> set[int]:
        """Indexes of the tiles that need not be read again."""
        return {number for (number,) in self._rows("SELECT number FROM tile")}

    def count(self) -> int:
        """Number of tiles that need not be read again."""
        ((count,),) = self._rows("SELECT count(*) FROM tile")
        return int(count)

    def tallies(self) -> Tallies:
        """Counts over all tiles, without reading what was said about them."""
        ((count, read, hidden_px, *totals),) = self._rows(
            "SELECT count(*), count(record), sum(not_seen), total(changed), total(unparsed),"
            " total(incomplete), total(not_seen > 0) FROM tile"
        )
        changed, unparsed, incomplete, hidden = map(int, totals)
        return Tallies(
            len(self._layout),
            read,
            changed,
            unparsed,
            count - read,
            incomplete,
            hidden,
            hidden_px,
        )

    def results(self) -> Iterator[TileResult]:
        """The answered tiles in raster order, one at a time, without their heat."""
        rows = self._rows(
            "SELECT number, record, valid FROM tile WHERE record IS NOT NULL ORDER BY number"
        )
        for number, record, valid in rows:
            with self._damage_named():
                result = result_of(self._layout[number], record, valid)
            yield result

    def heat(self) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
        """Core and heat of the answered tiles in raster order, one at a time."""
        rows = self._rows("SELECT number, heat FROM tile WHERE heat IS NOT NULL ORDER BY number")
        for number, packed in rows:
            core = self._layout[number].core
            with self._damage_named():
                heat = unpacked(packed, core.height_px * core.width_px)
            yield core, np.frombuffer(heat, np.uint8).reshape(core.height_px, core.width_px)

    def skipped(self) -> list[TileWindow]:
        """The tiles with no valid pixel in their core, in raster order."""
        rows = self._rows("SELECT number FROM tile WHERE record IS NULL ORDER BY number")
        return [self._layout[number] for (number,) in rows]

    def _rows(self, query: str, *values: str) -> Iterator[tuple[Any, ...]]:
        """What a query gives, row by row.

        Raises:
            InputError: If the database is damaged.
        """
        try:
            # Not `yield from`, which would close the cursor, maybe after the database.
            for row in self._database.execute(query, values):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def _check(self, classes: Collection[str]) -> None:
        """Looks at all that is to be gone on with."""
        with self._damage_named():
            check_numbers(self._database, self._layout)
            for result in self.results():
                check_result(result, classes)
            for _ in self.heat():
                pass

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Turns what damaged values raise into an error that names the journal."""
        try:
            yield
        # What JSON, shapely and the types of `records` raise on values that are none of theirs.
        except (ValueError, TypeError, KeyError, AttributeError, shapely.GEOSException) as error:
            raise self.damaged(str(error)) from error
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def damaged(self, reason: str) -> InputError:
        """What to raise where a value makes no sense."""
        return _unusable(self._path, sqlite3.DatabaseError(f"it is damaged: {reason}"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RunError(
                f"cannot write the journal {self._path}: {error}",
                "free some space or choose another output folder, then run with --resume",
            ) from error

    def _start(self, fingerprint: Mapping[str, Any]) -> None:
        try:
            self._database.execute("BEGIN")
            self._database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            for table in TABLES:
                self._database.execute(table)
            self._database.execute("INSERT INTO run VALUES (?)", (_canonical(fingerprint),))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def _fingerprint(self) -> dict[str, Any]:
        """What the journal on disk belongs to."""
        with self._damage_named():
            rows = list(self._rows("SELECT fingerprint FROM run LIMIT 2"))
            if len(rows) != 1:
                raise ValueError("it does not say which run it is of")
            return parsed(rows[0][0])


def _opened(path: Path | None, *, locks: bool) -> tuple[sqlite3.Connection, bool]:
    """A database for a journal, and whether there is a journal in it.

    Raises:
        sqlite3.Error: If it cannot be opened, or is something else.
        OSError: If something else than a file lies there.
    """
    if path is None:
        return sqlite3.connect(":memory:", isolation_level=None), False
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
    return database, is_begun


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _remove(path: Path) -> None:
    """Deletes a journal and what SQLite keeps beside it."""
    if path.is_symlink():
        return  # not ours
    for suffix in ("", *DATABASE_SUFFIXES):
        with suppress(OSError):  # held open by another program on Windows
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def journal_path(output: Path) -> Path:
    """Where the journal of a run with this output lies."""
    return output.with_name(f"{output.name}.journal")


def _refuse_other(
    known: Mapping[str, Any], fingerprint: Mapping[str, Any], path: Path | None
) -> None:
    now = json.loads(_canonical(fingerprint))
    changed = [key for key in sorted(known.keys() | now.keys()) if known.get(key) != now.get(key)]
    if changed:
        raise OptionError(
            f"the unfinished run in {path} differs in {', '.join(changed)}",
            "run with what it was started with, or delete that file to start again",
        )


def _canonical(fingerprint: Mapping[str, Any]) -> str:
    return json.dumps(fingerprint, sort_keys=True)


def _unusable(path: Path | None, error: Exception) -> InputError:
    if _is_held(error):
        return InputError(f"another run is writing {path}", "wait for it, or choose another output")
    return InputError(
        f"cannot use the journal {path}: {error}",
        "delete that file, or choose another output",
    )


def _is_held(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _row(result: TileResult) -> tuple[Any, ...]:
    """The values of `_INSERT_TILE`."""
    heat = None if result.heat is None else zlib.compress(result.heat.tobytes(), level=1)
    valid = None
    if result.ballot is not None:
        valid = zlib.compress(np.packbits(result.ballot.valid).tobytes(), level=1)
    index = result.window.index
    flags = (result.changed, bool(result.unparsed), bool(result.missing))
    return index, *flags, record_of(result), heat, valid, result.not_seen_px
