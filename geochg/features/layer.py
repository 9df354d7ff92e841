"""The features of a run, kept in a temporary file until they are written or asked for."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.errors import RunError
from geochg.geometry.placement import layer_frame, table_column

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

FRAME_ROWS = 2_000
"""Features of a table that is made to be written and let go."""

_DTYPES = {
    "id": "int64",
    "class": "string",
    "change": "string",
    "before_class": "string",
    "after_class": "string",
    "confidence": "float64",
    "change_confidence": "float64",
    "caption": "string",
    "count": "Int64",
    "area_m2": "float64",
    "tiles": "object",
    "cells": "object",
}
_LISTS = ("tiles", "cells")
_ORDER = "row_px, col_px, class_name, change"


class FeatureRow(NamedTuple):
    """One feature, as it is kept.

    Attributes:
        row_px: Row of its first pixel.
        col_px: Column of its first pixel.
        class_name: What changed.
        change: One of `Change`.
        before_class: Land cover of most of it at the earlier date; None where that is not known.
        after_class: Land cover at the later date.
        confidence: 0-1; None where it was not measured.
        change_confidence: Likewise of the direction.
        caption: A sentence.
        objects: Number of separate objects; None for what is not counted.
        area_m2: Geodesic area.
        tiles: Names of its tiles, with blanks between them.
        cells: Names of its cells, likewise.
        shape: Its polygon in the grid's CRS, as WKB.
    """

    row_px: int
    col_px: int
    class_name: str
    change: str
    before_class: str | None
    after_class: str | None
    confidence: float | None
    change_confidence: float | None
    caption: str
    objects: int | None
    area_m2: float
    tiles: str
    cells: str
    shape: bytes


class KindTotal(NamedTuple):
    """All features of one class and direction: their number and area."""

    class_name: str
    change: str
    features: int
    area_m2: float


class FeatureLayer:
    """Features in order of their first pixel, then class and direction, in the grid's CRS.

    They lie in a temporary file of SQLite, which is gone when nobody holds the layer any more.

    Args:
        grid: The common grid, which gives the CRS.
    """

    def __init__(self, grid: GeoBox) -> None:
        self._grid = grid
        self._totals: dict[tuple[str, str], KindTotal] = {}
        self.unmeasured = 0
        """Features without a confidence."""
        self._database = _new_database()
        self._database.execute(f"CREATE TABLE feature ({', '.join(FeatureRow._fields)})")

    def __len__(self) -> int:
        """Number of features."""
        return sum(total.features for total in self._totals.values())

    def __getstate__(self) -> dict[str, Any]:
        """The layer with all of its features, for another process."""
        return {**vars(self), "_database": self._database.serialize()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A layer that came from another process."""
        vars(self).update(state, _database=_new_database())
        self._database.deserialize(state["_database"])

    def totals(self) -> list[KindTotal]:
        """Number and area of the features of each class and direction, in their order."""
        return [self._totals[kind] for kind in sorted(self._totals)]

    def add(self, rows: Iterable[FeatureRow]) -> None:
        """Takes features, in any order.

        Raises:
            RunError: If the temporary file cannot be written.
        """
        rows = list(rows)
        with _failures_named():
            self._database.executemany(
                f"INSERT INTO feature VALUES ({', '.join('?' * len(FeatureRow._fields))})", rows
            )
        self.unmeasured += sum(row.confidence is None for row in rows)
        areas: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            areas.setdefault((row.class_name, row.change), []).append(row.area_m2)
        for kind, kind_areas in areas.items():
            former = self._totals.get(kind, KindTotal(*kind, 0, 0.0))
            self._totals[kind] = KindTotal(
                *kind, former.features + len(kind_areas), math.fsum([former.area_m2, *kind_areas])
            )

    def frame(self) -> GeoDataFrame:
        """All features in one table.

        One row a feature. Columns: `id` (int64, from 1), `class`, `change`, `before_class` and
        `after_class` (land cover of most of it at either date, missing where the model cannot
        tell), `confidence` (0-1, weighted by area, 4 decimals, missing where the model gives no
        probability), `change_confidence` (likewise of the direction), `caption` (about the feature
        where it was outlined or shares its tile, else the model's about the tile), `count` (Int64;
        of outlined features the separate buildings, or the stretches of road; else the model's
        count where the feature is the only one of its class in its only tile), `area_m2`
        (geodesic, 1 decimal, of tiny ones 3 figures), `tiles` and `cells` (lists of names such as
        `r0c1` and `r0c1/top-left`), `geometry` (polygons).
        """
        (frame,) = self.frames(max(len(self), 1))
        return frame

    def frames(self, rows: int = FRAME_ROWS) -> Iterator[GeoDataFrame]:
        """The table of `frame` in parts of so many rows; one part without rows where none is.

        Raises:
            RunError: If the temporary file cannot be read.
        """
        with _failures_named():
            self._database.execute(f"CREATE INDEX IF NOT EXISTS reading ON feature ({_ORDER})")
            cursor = self._database.execute(f"SELECT * FROM feature ORDER BY {_ORDER}")
            for start in range(0, max(len(self), 1), rows):
                features = cursor.fetchmany(rows)
                yield self._frame(features, start)

    def _frame(self, rows: Sequence[tuple[Any, ...]], start: int) -> GeoDataFrame:
        import numpy as np
        import shapely

        fields = list(zip(*rows, strict=True)) if rows else [()] * len(FeatureRow._fields)
        values = [range(start + 1, start + len(rows) + 1), *fields[2:-1]]
        columns = {
            name: table_column(
                [text.split() for text in column] if name in _LISTS else column, dtype
            )
            for (name, dtype), column in zip(_DTYPES.items(), values, strict=True)
        }
        polygons = shapely.from_wkb(np.array(fields[-1], dtype=object))
        return layer_frame(columns, polygons, self._grid)


def _new_database() -> sqlite3.Connection:
    """An empty database, which SQLite keeps in memory while it is small, and then in a file."""
    # A layer may be read in another thread than made it.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = OFF")
    return database


@contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(
            f"cannot keep the features in a temporary file: {error}",
            "make room for temporary files, or let TMPDIR (TMP on Windows) name a larger folder,"
            " and run again with --resume",
        ) from error
