"""What a run has finished so far, in a small database beside its output.

SQLite commits whole transactions or nothing, so a run killed at any moment leaves a journal that
holds every tile committed before and no half of one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.classes import CLASSES
from geochg.errors import GeochgError, InputError, RunError
from geochg.features.tile_results import TileResult
from geochg.files.same_run import refuse_another_run
from geochg.pipeline.journal_checks import APPLICATION_ID, TABLES, check_numbers
from geochg.pipeline.journal_file import (
    has_content,
    is_held,
    journal_error,
    open_journal,
    remove_journal,
)
from geochg.pipeline.journal_kinds import CHANGES, RecordKind
from geochg.pipeline.journal_record import parsed_object, unpacked_bytes
from geochg.records import PixelWindow, TileWindow
from geochg.tiling.layout import Layout

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    ResultT = TypeVar("ResultT", default=TileResult)
else:
    from typing import TypeVar

    ResultT = TypeVar("ResultT")

_OWN = "number >= ? AND number < ?"
_INSERT_TILE = "INSERT OR REPLACE INTO tile VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Tallies:
    """Numbers of tiles of each kind.

    Attributes:
        total: All tiles of the run.
        read: Tiles that were answered.
        changed: Tiles in which the model saw a change.
        unparsed: Tiles with an answer that made no sense.
        skipped: Tiles without data.
        incomplete: Answered tiles with a question to which no answer came.
        not_seen: Tiles in which some of the ground was hidden.
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


class Journal(Generic[ResultT]):
    """The finished tiles of one run.

    As a context manager it closes the database; a journal with nothing to go on with is deleted
    when an error leaves the block.

    Args:
        path: Where the journal lies; None for a temporary one, for runs without an output file.
        layout: The tiles of the run.
        parts: How often each tile is answered: once for a pair, and once for each span of a
            series. See `part`.
        kind: How the results of tiles are kept and looked at.

    Attributes:
        has_locks: Whether other runs are kept from it; False in folders that know no locks.

    Raises:
        InputError: If the file cannot be opened, is no journal, is damaged, or is another run's.
    """

    def __init__(
        self,
        path: Path | None,
        layout: Layout,
        parts: int = 1,
        kind: RecordKind[ResultT] = CHANGES,  # type: ignore[assignment]
    ) -> None:
        self._kind = kind
        self._path = path
        self._layout = layout
        self._parts = parts
        self._numbers = range(parts * len(layout))
        self._prefix = ""
        self._open = True
        self._database, self._is_begun, self.has_locks = open_journal(path)

    @classmethod
    def begin(
        cls,
        path: Path | None,
        layout: Layout,
        fingerprint: Mapping[str, Any],
        *,
        resume: bool,
        classes: Collection[str] = CLASSES,
        parts: int = 1,
        kind: RecordKind[ResultT] = CHANGES,  # type: ignore[assignment]
    ) -> Self:
        """Starts a journal or goes on with the one that lies there.

        Args:
            path: As for the class.
            layout: As for the class.
            fingerprint: Inputs, options and model, as plain JSON values; a journal of others is
                refused.
            resume: Whether to go on with an unfinished run.
            classes: Classes that the model of the run can name.
            parts: As for the class.
            kind: As for the class.

        Raises:
            InputError: If an unfinished run lies there and `resume` is not set, or the file is no
                journal or damaged, or another run holds it.
            OptionError: If the unfinished run had other inputs or options.
        """
        is_new = path is not None and not has_content(path)
        try:
            journal = cls(path, layout, parts, kind)
        except InputError as error:
            if is_new and path is not None and not is_held(error.__cause__):
                remove_journal(path)
            raise
        try:
            known_fingerprint = journal._fingerprint() if journal._is_begun else None
            if known_fingerprint is None or path is None:
                journal._start(fingerprint)
            elif not resume:
                raise InputError(
                    f"{path} holds an unfinished run ({journal.count()} of {len(journal._numbers)}"
                    " tiles)",
                    "add --resume to finish it, or delete that file to start again",
                )
            else:
                refuse_another_run(known_fingerprint, fingerprint, path)
                journal._check(classes)
        except BaseException:
            journal.close()
            if is_new and path is not None:
                remove_journal(path)
            raise
        return journal

    def __enter__(self) -> Self:
        return self

    def part(self, number: int) -> Self:
        """The answers about one span of a series, from 0; it is closed with the journal itself."""
        part, count = copy(self), len(self._layout)
        part._numbers = range(number * count, (number + 1) * count)
        part._prefix = f"{number}:" if self._parts > 1 else ""
        return part

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        # Wrong input will be wrong again, and a run that has nothing yet has nothing to keep.
        is_refused = kind is not None and issubclass(kind, GeochgError) and kind.exit_code == 2
        if self._open and kind is not None and self._is_worthless(is_refused=is_refused):
            self.remove()
        self.close()

    def _is_worthless(self, *, is_refused: bool) -> bool:
        try:
            return not (self.tallies().read if is_refused else self.count())
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
            remove_journal(self._path)

    def add(
        self,
        results: Iterable[ResultT],
        skipped: Iterable[TileWindow],
        measured: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Commits finished tiles, all or none.

        Args:
            results: Tiles that were answered.
            skipped: Tiles with no valid pixel in their core.
            measured: What is kept in the same breath, as by `keep_measured`.

        Raises:
            RunError: If the disk is full or the file cannot be written.
        """
        rows = [
            *(self._kind.row(result) for result in results),
            *((window.index, *[None] * 7) for window in skipped),
        ]
        rows = [(self._numbers.start + index, *values) for index, *values in rows]
        with self._name_write_errors():
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT_TILE, rows)
            for name, value in measured.items():
                self._insert_measured(name, value)
            self._database.execute("COMMIT")

    def keep_measured(self, name: str, value: Mapping[str, Any]) -> None:
        """Keeps what was measured before the first tile, for a resumed run to share.

        Raises:
            RunError: If the disk is full or the file cannot be written.
        """
        with self._name_write_errors():
            self._insert_measured(name, value)

    def measurement(self, name: str) -> dict[str, Any] | None:
        """What `keep_measured` kept; None when it kept nothing of that name.

        Raises:
            InputError: If it is damaged.
        """
        with self._name_damage():
            for (value,) in self._rows(
                "SELECT value FROM measured WHERE name = ?", self._prefix + name
            ):
                return parsed_object(value)
        return None

    def finished_tiles(self) -> set[int]:
        """Indexes of the tiles that need not be read again."""
        rows = self._rows(f"SELECT number FROM tile WHERE {_OWN}", *self._own)
        return {self._index(number) for (number,) in rows}

    def count(self) -> int:
        """Number of tiles that need not be read again."""
        ((count,),) = self._rows(f"SELECT count(*) FROM tile WHERE {_OWN}", *self._own)
        return int(count)

    def tallies(self) -> Tallies:
        """Counts over all tiles, without reading what was said about them."""
        ((count, read, hidden_px, *totals),) = self._rows(
            "SELECT count(*), count(record), sum(not_seen), total(changed), total(unparsed),"
            f" total(incomplete), total(not_seen > 0) FROM tile WHERE {_OWN}",
            *self._own,
        )
        changed, unparsed, incomplete, hidden = map(int, totals)
        return Tallies(
            len(self._numbers), read, changed, unparsed, count - read, incomplete, hidden, hidden_px
        )

    def results(self) -> Iterator[ResultT]:
        """The answered tiles in raster order, one at a time, without their heat."""
        for number, record, valid in self._rows(
            f"SELECT number, record, valid FROM tile WHERE {_OWN} AND record IS NOT NULL"
            " ORDER BY number",
            *self._own,
        ):
            with self._name_damage():
                result = self._kind.result(self._layout[self._index(number)], record, valid)
            yield result

    def heat(self) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
        """Core and heat of the answered tiles in raster order, one at a time."""
        rows = self._rows(
            f"SELECT number, heat FROM tile WHERE {_OWN} AND heat IS NOT NULL ORDER BY number",
            *self._own,
        )
        for number, packed in rows:
            core = self._layout[self._index(number)].core
            with self._name_damage():
                heat = unpacked_bytes(packed, core.height_px * core.width_px)
            yield core, np.frombuffer(heat, np.uint8).reshape(core.height_px, core.width_px)

    def skipped_tiles(self) -> list[TileWindow]:
        """The tiles with no valid pixel in their core, in raster order."""
        rows = self._rows(
            f"SELECT number FROM tile WHERE {_OWN} AND record IS NULL ORDER BY number", *self._own
        )
        return [self._layout[self._index(number)] for (number,) in rows]

    @property
    def _own(self) -> tuple[int, int]:
        """The numbers that `_OWN` asks for."""
        return self._numbers.start, self._numbers.stop

    def _index(self, number: int) -> int:
        """The index of a tile in the layout, by its number among all parts."""
        return number % len(self._layout)

    def _insert_measured(self, name: str, value: Mapping[str, Any]) -> None:
        values = (self._prefix + name, json.dumps(value))
        self._database.execute("INSERT OR REPLACE INTO measured VALUES (?, ?)", values)

    def _rows(self, query: str, *values: str | int) -> Iterator[tuple[Any, ...]]:
        """What a query gives, row by row."""
        try:
            # Not `yield from`, which would close the cursor, maybe after the database.
            for row in self._database.execute(query, values):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise journal_error(self._path, error) from error

    def _check(self, classes: Collection[str]) -> None:
        """Looks at all that is to be gone on with."""
        with self._name_damage():
            check_numbers(self._database, self._layout, self._parts)
            for result in self.results():
                self._kind.check(result, classes)
            for _ in self.heat():
                pass

    @contextmanager
    def _name_damage(self) -> Iterator[None]:
        """Turns what damaged values raise into an error that names the journal."""
        try:
            yield
        # What JSON, shapely and the types of `records` raise on values that are none of theirs.
        except (ValueError, TypeError, KeyError, AttributeError, shapely.GEOSException) as error:
            raise self.damage(str(error)) from error
        except sqlite3.Error as error:
            raise journal_error(self._path, error) from error

    def damage(self, reason: str) -> InputError:
        """What to raise where a value makes no sense."""
        return journal_error(self._path, sqlite3.DatabaseError(f"it is damaged: {reason}"))

    @contextmanager
    def _name_write_errors(self) -> Iterator[None]:
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
            text = json.dumps(fingerprint, sort_keys=True)
            self._database.execute("INSERT INTO run VALUES (?)", (text,))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise journal_error(self._path, error) from error

    def _fingerprint(self) -> dict[str, Any]:
        """What the journal on disk belongs to."""
        with self._name_damage():
            rows = list(self._rows("SELECT fingerprint FROM run LIMIT 2"))
            if len(rows) != 1:
                raise ValueError("it does not say which run it is of")
            return parsed_object(rows[0][0])
