"""Observations as a table, one row a place and date: CSV or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geochg.geometry.placement import on_ground
from geochg.timeseries.place_observations import PlaceObservations
from geochg.timeseries.places import Blocks, ZonePlaces
from geochg.writers.recognition import METADATA_KEY, OBSERVATION_COLUMNS, PARQUET_SUFFIXES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

TABLE_SUFFIXES = (".csv", ".parquet")
"""Suffixes of the formats that a table is written in."""

_CHUNK_ROWS = 200_000
_DIGITS = 6


def write_observations(
    path: Path,
    observations: PlaceObservations,
    places: Blocks | ZonePlaces,
    metadata: Mapping[str, Any],
) -> None:
    """Writes the table of what was observed.

    Columns: `place` (number of the zone or block, from 1), `zone` (its name, empty for blocks),
    `x` and `y` (a point in it, in the CRS of the grid), `date`, `valid_share` (0-1), then the
    bands, indices and land covers; empty where nothing is seen. Blocks without a pixel in the area
    of interest are left out.

    Args:
        path: Where to write; its suffix is one of `TABLE_SUFFIXES`.
        observations: What was observed.
        places: The places.
        metadata: Plain JSON values that a Parquet file carries; CSV has no place for them.

    Raises:
        OSError: If the file cannot be written.
    """
    tables = _tables(observations, places)
    if path.suffix.lower() in PARQUET_SUFFIXES:
        _write_parquet(path, tables, metadata)
        return
    for number, table in enumerate(tables):
        table.to_csv(
            path,
            mode="a" if number else "w",
            header=not number,
            index=False,
            lineterminator="\n",
        )


def _write_parquet(path: Path, tables: Iterator[pd.DataFrame], metadata: Mapping[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    writer = None
    try:
        for frame in tables:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
            table = table.replace_schema_metadata({METADATA_KEY: text})
            writer = writer or ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _tables(observations: PlaceObservations, places: Blocks | ZonePlaces) -> Iterator[pd.DataFrame]:
    """The table in parts, each of some places; one without rows where there are no places."""
    import pandas as pd

    dates = [date.text for date in observations.dates]
    names = places.zones.names if isinstance(places, ZonePlaces) else None
    step = max(1, _CHUNK_ROWS // len(dates))
    count = len(observations.pixels)
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        numbers = np.arange(part.start, part.stop)
        has_pixels = observations.pixels[part] > 0
        points = place_points(places, numbers)[has_pixels]
        kept_numbers = numbers[has_pixels]
        rows = len(kept_numbers)
        zones = [""] * rows if names is None else [names[number] for number in kept_numbers]
        keys = (kept_numbers + 1, zones, points[:, 0], points[:, 1])
        values: dict[str, Any] = {
            name: np.repeat(np.asarray(key), len(dates))
            for name, key in zip(OBSERVATION_COLUMNS, keys, strict=False)
        }
        values["date"] = dates * rows
        values["valid_share"] = _short_numbers(observations.seen[:, part].T[has_pixels].ravel())
        for name in observations.columns:
            values[name] = _short_numbers(observations.column(name, part)[has_pixels].ravel())
        yield pd.DataFrame(values)


def _short_numbers(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Numbers of so many digits, which are written as such."""
    values = np.asarray(values, np.float64)
    size = np.where((values == 0) | ~np.isfinite(values), 1.0, np.abs(values))
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
    return np.rint(values * scale) / scale


def place_points(
    places: Blocks | ZonePlaces, numbers: Sequence[int] | NDArray[np.intp]
) -> NDArray[np.float64]:
    """`(n, 2)` a point in each of some places, in the CRS of the grid."""
    numbers = np.asarray(numbers, np.intp)
    if isinstance(places, ZonePlaces):
        points = shapely.point_on_surface(places.zones.polygons[numbers])
        return np.asarray(shapely.get_coordinates(points), np.float64)
    rows, cols = np.divmod(numbers, places.shape[1])
    height_px, width_px = places.grid.shape
    ends = [
        np.minimum(np.stack([(cols + step), (rows + step)]) * places.side_px, limit)
        for step in (0, 1)
        for limit in [np.array([[width_px], [height_px]])]
    ]
    centers = shapely.points(*((ends[0] + ends[1]) / 2))
    return np.asarray(shapely.get_coordinates(on_ground(centers, places.grid)), np.float64)
