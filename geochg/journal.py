"""What a run has finished so far, in a small database beside its output.

SQLite commits whole transactions or nothing, so a run killed at any moment leaves a journal that
holds every tile committed before and no half of one.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geochg.errors import GeochgError, InputError, OptionError, RunError
from geochg.journal_record import record_of, result_of
from geochg.records import PixelWindow, TileResult, TileWindow
from geochg.tiling.layout import Layout

_APPLICATION_ID = 0x67656F63  # "geoc"

_TABLES = (
    "CREATE TABLE run (fingerprint TEXT NOT NULL)",
    "CREATE TABLE measured (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE tile (number INTEGER PRIMARY KEY, changed INTEGER, unparsed INTEGER,"
    " incomplete INTEGER, record TEXT, heat BLOB, valid BLOB, not_seen INTEGER)",
)
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

    Raises:
        InputError: If the file cannot be opened, is no journal, or is another run's.
    """

    def __init__(self, path: Path | None, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._open = True
        try:
            self._database = sqlite3.connect(path or ":memory:", timeout=0, isolation_level=None)
            ((kind,),) = self._database.execute("PRAGMA application_id")
            ((tables,),) = self._database.execute("SELECT count(*) FROM sqlite_master")
            if kind != _APPLICATION_ID and tables:
                raise sqlite3.DatabaseError("it is another program's database")
            # One writer at a time, and no shared-memory file, which network folders lack.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error as error:
            raise _unusable(path, error) from error

    @classmethod
    def begin(
        cls, path: Path | None, layout: Layout, fingerprint: Mapping[str, Any], *, resume: bool
    ) -> Self:
        """Starts a journal or goes on with the one that lies there.

        Args:
            path: As for the class.
            layout: As for the class.
            fingerprint: Inputs, options and model, as plain JSON values; a journal of others is
                refused.
            resume: Whether to go on with an unfinished run.

        Raises:
            InputError: If an unfinished run lies there and `resume` is not set, or the file is no
                journal, or another run holds it.
            OptionError: If the unfinished run had other inputs or options.
        """
        there = path is not None and path.exists()
        journal = cls(path, layout)
        try:
            known = journal._fingerprint() if there else None
            if known is None:
                journal._start(fingerprint)
            elif not resume:
                raise InputError(
                    f"{path} holds an unfinished run ({journal.count()} of {len(layout)} tiles)",
                    "add --resume to finish it, or delete that file to start again",
                )
            else:
                _refuse_other(known, fingerprint, path)
        except BaseException:
            journal.close()
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
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

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
        """What `keep_measured` kept; None when it kept nothing of that name."""
        for (value,) in self._rows("SELECT value FROM measured WHERE name = ?", name):
            known: dict[str, Any] = json.loads(value)
            return known
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
        return (result_of(self._layout[number], record, valid) for number, record, valid in rows)

    def heat(self) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
        """Core and heat of the answered tiles in raster order, one at a time."""
        rows = self._rows("SELECT number, heat FROM tile WHERE heat IS NOT NULL ORDER BY number")
        for number, packed in rows:
            core = self._layout[number].core
            heat = np.frombuffer(zlib.decompress(packed), np.uint8)
            yield core, heat.reshape(core.height_px, core.width_px)

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
            yield from self._database.execute(query, values)
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

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
            self._database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            for table in _TABLES:
                self._database.execute(table)
            self._database.execute("INSERT INTO run VALUES (?)", (_canonical(fingerprint),))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def _fingerprint(self) -> dict[str, Any] | None:
        """What the journal on disk belongs to; None when its run ended before writing that."""
        try:
            if not self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return None
            row = self._database.execute("SELECT fingerprint FROM run").fetchone()
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error
        known: dict[str, Any] = json.loads(row[0])
        return known


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


def _unusable(path: Path | None, error: sqlite3.Error) -> InputError:
    if "locked" in str(error):
        return InputError(f"another run is writing {path}", "wait for it, or choose another output")
    return InputError(
        f"cannot use the journal {path}: {error}",
        "delete that file, or choose another output",
    )


def _row(result: TileResult) -> tuple[Any, ...]:
    """The values of `_INSERT_TILE`."""
    heat = None if result.heat is None else zlib.compress(result.heat.tobytes(), level=1)
    valid = None
    if result.ballot is not None:
        valid = zlib.compress(np.packbits(result.ballot.valid).tobytes(), level=1)
    index = result.window.index
    flags = (result.changed, bool(result.unparsed), bool(result.missing))
    return index, *flags, record_of(result), heat, valid, result.not_seen_px
