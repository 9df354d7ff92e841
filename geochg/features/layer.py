"""The features of a run, kept in a temporary file until they are written or asked for."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.errors import RunError
from geochg.features.seen_dates import PeriodFeatures, seen_dates
from geochg.geometry.placement import layer_frame, table_column

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

FRAME_ROWS = 2_000
"""Features of a table that is made to be written and let go."""

_OF_SERIES = ("step", "first_seen", "last_seen")
"""Columns of series only."""
_OF_HEADS = ("model_confidence",)
"""Columns of layers to which a head was applied only."""
_BOUNDS = ("low", "high")
"""Least and greatest y of a feature of a series; missing for pairs."""
COLUMN_TYPES = {
    "id": "int64",
    "class": "string",
    "change": "string",
    "before_class": "string",
    "after_class": "string",
    "from_date": "string",
    "to_date": "string",
    "step": "Int64",
    "first_seen": "string",
    "last_seen": "string",
    "confidence": "float64",
    "change_confidence": "float64",
    "model_confidence": "float64",
    "caption": "string",
    "count": "Int64",
    "area_m2": "float64",
    "tiles": "object",
    "cells": "object",
}
"""Columns of a table of features, and the pandas type of each; lists of texts are `object`."""

_LISTS = ("tiles", "cells")
_TOLD = (
    *("class", "change", "before_class", "after_class", "confidence", "change_confidence"),
    *("caption", "count", "area_m2", "tiles", "cells", "geometry", "model_confidence"),
)
"""Columns that fields of `FeatureRow` go into, in their order."""
_ORDER = "period, row_px, col_px, class_name, change"


class ChangePeriod(NamedTuple):
    """Two dates between which features changed.

    Attributes:
        from_date: The earlier date, `2020-06-01`, `2020-06` or `2020`; None where it is not known.
        to_date: The later date.
        step: Number of the step of a series, from 1; None for the whole series, and of a pair.
    """

    from_date: str | None = None
    to_date: str | None = None
    step: int | None = None


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
        model_confidence: As `confidence`, of the model where that is of a head.
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
    model_confidence: float | None = None


class KindTotal(NamedTuple):
    """All features of one class and direction: their number and area."""

    class_name: str
    change: str
    features: int
    area_m2: float


class FeatureLayer:
    """Features by period, then in order of their first pixel, class and direction.

    They are in the grid's CRS and lie in a temporary file of SQLite, which is gone when nobody
    holds the layer any more.

    Args:
        grid: The common grid, which gives the CRS.
        periods: The periods in which features changed: one for a pair; of a series its steps, and
            then the whole.
        is_judged: Whether a head judges the features.
    """

    def __init__(
        self,
        grid: GeoBox,
        periods: Sequence[ChangePeriod] = (ChangePeriod(),),
        *,
        is_judged: bool = False,
    ) -> None:
        self.periods = tuple(periods)
        self._is_judged = is_judged
        self._grid = grid
        self._totals: dict[tuple[int, str, str], KindTotal] = {}
        self.unmeasured = 0
        """Features without a confidence."""
        self._database = new_database()
        columns = ("period", *FeatureRow._fields, *_BOUNDS)
        self._database.execute(f"CREATE TABLE feature ({', '.join(columns)})")

    def __len__(self) -> int:
        """Number of features."""
        return sum(total.features for total in self._totals.values())

    def __getstate__(self) -> dict[str, Any]:
        """The layer with all of its features, for another process."""
        return {**vars(self), "_database": self._database.serialize()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A layer that came from another process."""
        vars(self).update(state, _database=new_database())
        self._database.deserialize(state["_database"])

    def totals(self, period: int = -1) -> list[KindTotal]:
        """Number and area of the features of each class and direction, in their order.

        Args:
            period: Number of the period; the last is the pair, or the whole series.
        """
        number = range(len(self.periods))[period]
        return [self._totals[key] for key in sorted(self._totals) if key[0] == number]

    def add(self, rows: Iterable[FeatureRow], period: int = 0) -> None:
        """Takes features of a period, in any order.

        Raises:
            RunError: If the temporary file cannot be written.
        """
        rows = list(rows)
        marks = ", ".join("?" * (1 + len(FeatureRow._fields) + len(_BOUNDS)))
        bounds = self._bounds(rows)
        with failures_named():
            self._database.executemany(
                f"INSERT INTO feature VALUES ({marks})",
                ((period, *row, *ends) for row, ends in zip(rows, bounds, strict=True)),
            )
        self.unmeasured += sum(row.confidence is None for row in rows)
        areas: dict[tuple[int, str, str], list[float]] = {}
        for row in rows:
            areas.setdefault((period, row.class_name, row.change), []).append(row.area_m2)
        for key, kind_areas in areas.items():
            former = self._totals.get(key, KindTotal(*key[1:], 0, 0.0))
            self._totals[key] = KindTotal(
                *key[1:],
                former.features + len(kind_areas),
                math.fsum([former.area_m2, *kind_areas]),
            )

    def frame(self) -> GeoDataFrame:
        """All features in one table.

        One row a feature. Columns: `id` (int64, from 1), `class`, `change`, `before_class` and
        `after_class` (land cover of most of it at either date, missing where the model cannot
        tell), `from_date` and `to_date` (ISO 8601, to the day at most, missing where not known),
        of a series `step` (Int64, from 1; missing for the whole), `first_seen` and `last_seen`
        (see `seen_dates.SeenDates`), `confidence` (0-1, weighted by
        area, 4 decimals, missing where the model gives no probability), `change_confidence`
        (likewise of the direction), where a head judged `model_confidence` (the model's beside
        that of the head), `caption` (about the feature where it was outlined or shares
        its tile, else the model's about the tile), `count` (Int64; of outlined features the
        separate buildings, or the stretches of road; else the model's count where the feature is
        the only one of its class in its only tile), `area_m2` (geodesic, 1 decimal, of tiny ones 3
        figures), `tiles` and `cells` (lists of names such as `r0c1` and `r0c1/top-left`),
        `geometry` (polygons).
        """
        (frame,) = self.frames(max(len(self), 1))
        return frame

    def frames(self, rows: int = FRAME_ROWS) -> Iterator[GeoDataFrame]:
        """The table of `frame` in parts of so many rows; one part without rows where none is.

        Raises:
            RunError: If the temporary file cannot be read.
        """
        with failures_named():
            self._database.execute(f"CREATE INDEX IF NOT EXISTS reading ON feature ({_ORDER})")
            names = ", ".join(("period", *FeatureRow._fields))
            cursor = self._database.execute(f"SELECT {names} FROM feature ORDER BY {_ORDER}")
            for start in range(0, max(len(self), 1), rows):
                features = cursor.fetchmany(rows)
                yield self._frame(features, start)

    def _frame(self, rows: Sequence[tuple[Any, ...]], start: int) -> GeoDataFrame:
        import numpy as np
        import shapely

        numbers, *fields = zip(*rows, strict=True) if rows else [()] * (1 + len(FeatureRow._fields))
        periods = [self.periods[number] for number in numbers]
        values = {
            "id": range(start + 1, start + len(rows) + 1),
            **{column: fields[2 + place] for place, column in enumerate(_TOLD)},
            **{
                name: [getattr(period, name) for period in periods] for name in ChangePeriod._fields
            },
        }
        polygons = shapely.from_wkb(np.array(values["geometry"], dtype=object))
        if len(self.periods) > 1:
            kinds = list(zip(values["class"], values["change"], strict=True))
            values |= self._seen_dates(PeriodFeatures(numbers, kinds, polygons))
        columns = {
            name: table_column(
                [text.split() for text in values[name]] if name in _LISTS else values[name], dtype
            )
            for name, dtype in COLUMN_TYPES.items()
            if (name not in _OF_SERIES or len(self.periods) > 1)
            and (name not in _OF_HEADS or self._is_judged)
        }
        return layer_frame(columns, polygons, self._grid)

    def _bounds(self, rows: Sequence[FeatureRow]) -> Iterator[tuple[float | None, float | None]]:
        """The least and greatest y of features of a series."""
        import numpy as np
        import shapely

        if len(self.periods) == 1:
            yield from ((None, None) for _ in rows)
            return
        shapes = shapely.from_wkb(np.array([row.shape for row in rows], dtype=object))
        for _, low, _, high in shapely.bounds(shapes).tolist():
            yield low, high

    def _seen_dates(self, features: PeriodFeatures) -> dict[str, list[str | None]]:
        """`first_seen` and `last_seen` of some features, by those of all steps around them."""
        import numpy as np
        import shapely

        if not len(features.polygons):
            return {"first_seen": [], "last_seen": []}
        _, low, _, high = shapely.total_bounds(features.polygons).tolist()
        self._database.execute("CREATE INDEX IF NOT EXISTS extent ON feature (low)")
        steps = self._database.execute(
            "SELECT period, class_name, change, shape FROM feature"
            " WHERE period < ? AND low <= ? AND high >= ? ORDER BY rowid",
            (len(self.periods) - 1, high, low),
        ).fetchall()
        around = PeriodFeatures(
            [row[0] for row in steps],
            [(row[1], row[2]) for row in steps],
            shapely.from_wkb(np.array([row[3] for row in steps], dtype=object)),
        )
        return seen_dates(features, around, self.periods)._asdict()


def new_database() -> sqlite3.Connection:
    """An empty database, which SQLite keeps in memory while it is small, and then in a file."""
    # A layer may be read in another thread than made it.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = OFF")
    return database


@contextmanager
def failures_named() -> Iterator[None]:
    """Turns an error of the temporary file into one that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(
            f"cannot keep the features in a temporary file: {error}",
            "make room for temporary files, or let TMPDIR (TMP on Windows) name a larger folder,"
            " and run again with --resume",
        ) from error
