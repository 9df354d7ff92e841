"""The features of a single image, kept in a temporary file until they are written or asked for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.features.layer import FRAME_ROWS, failures_named, new_database
from geochg.geometry.placement import layer_frame, table_column

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

_DTYPES = {
    "id": "int64",
    "labels": "object",
    "probabilities": "string",
    "count": "string",
    "caption": "string",
    "date": "string",
    "area_m2": "float64",
    "tiles": "object",
}
_ORDER = "row_px, col_px, labels"


class SceneRow(NamedTuple):
    """One feature, as it is kept.

    Attributes:
        row_px: Row of its first pixel.
        col_px: Column of its first pixel.
        labels: JSON list of the labels that are there.
        probabilities: JSON object of the probability of each label; None where none was measured.
        counts: JSON object of how many there are of each label; None where it is not known.
        caption: A sentence.
        area_m2: Geodesic area.
        tiles: JSON list of the names of its tiles.
        shape: Its polygon in the grid's CRS, as WKB.
    """

    row_px: int
    col_px: int
    labels: str
    probabilities: str | None
    counts: str | None
    caption: str
    area_m2: float
    tiles: str
    shape: bytes


class SceneLayer:
    """Features in order of their first pixel, in the grid's CRS.

    Args:
        grid: The grid of the image.
        date: When the image was taken; None where that is not known.
    """

    def __init__(self, grid: GeoBox, date: str | None = None) -> None:
        self._grid = grid
        self._date = date
        self._features = 0
        self.areas_m2: Counter[str] = Counter()
        """Ground on which each label is there; tiles are told as wholes."""
        self.area_m2 = 0.0
        """Ground of all features."""
        self._database = new_database()
        self._database.execute(f"CREATE TABLE feature ({', '.join(SceneRow._fields)})")

    def __len__(self) -> int:
        """Number of features."""
        return self._features

    def add(self, rows: Iterable[SceneRow]) -> None:
        """Takes features, in any order.

        Raises:
            RunError: If the temporary file cannot be written.
        """
        rows = list(rows)
        marks = ", ".join("?" * len(SceneRow._fields))
        with failures_named():
            self._database.executemany(f"INSERT INTO feature VALUES ({marks})", rows)
        self._features += len(rows)
        for row in rows:
            self.area_m2 += row.area_m2
            for label in json.loads(row.labels):
                self.areas_m2[label] += row.area_m2  # type: ignore[assignment]

    def frame(self) -> GeoDataFrame:
        """All features in one table.

        One row a feature: ground whose tiles have the same labels. Columns: `id` (int64, from 1),
        `labels` (list of text), `probabilities` (JSON text, label to probability 0-1, the mean by
        area, 4 decimals; missing where the model gives none), `count` (JSON text, label to number;
        of features of one tile, else missing), `caption` (the model's of a feature of one tile,
        else in words what the labels say), `date` (ISO 8601, missing where not known), `area_m2`
        (geodesic, 1 decimal), `tiles` (list of names such as `r0c1`), `geometry` (polygons).
        """
        (frame,) = self.frames(max(len(self), 1))
        return frame

    def frames(self, rows: int = FRAME_ROWS) -> Iterator[GeoDataFrame]:
        """The table of `frame` in parts of so many rows; one part without rows where none is.

        Raises:
            RunError: If the temporary file cannot be read.
        """
        with failures_named():
            cursor = self._database.execute(f"SELECT * FROM feature ORDER BY {_ORDER}")
            for start in range(0, max(len(self), 1), rows):
                yield self._frame(cursor.fetchmany(rows), start)

    def _frame(self, rows: Sequence[tuple[Any, ...]], start: int) -> GeoDataFrame:
        import numpy as np
        import shapely

        features = [SceneRow(*row) for row in rows]
        values = {
            "id": range(start + 1, start + len(features) + 1),
            "labels": [json.loads(row.labels) for row in features],
            "probabilities": [row.probabilities for row in features],
            "count": [row.counts for row in features],
            "caption": [row.caption for row in features],
            "date": [self._date] * len(features),
            "area_m2": [row.area_m2 for row in features],
            "tiles": [json.loads(row.tiles) for row in features],
        }
        columns = {name: table_column(values[name], dtype) for name, dtype in _DTYPES.items()}
        polygons = shapely.from_wkb(np.array([row.shape for row in features], dtype=object))
        return layer_frame(columns, polygons, self._grid)
