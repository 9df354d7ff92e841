"""What a sample keeps of the changes that it was drawn of, to know them again in any format.

Formats round coordinates, and processors differ in the last bit of a projected one, so that no hash
of coordinates can tell whether outlines are the same: some always lie on an edge of its rounding.
Numbers are kept and compared instead, with a tolerance that covers what formats lose.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from typing import TYPE_CHECKING

import numpy as np
import shapely
from odc.geo.crs import CRS

from geochg.geometry.placement import crs_of, transformer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geochg.accuracy.strata import Strata

LOST_DEG = 2e-7
"""How far a coordinate may move and be the same, in degrees: 2 cm. GeoJSON has 7 decimals."""

_MOST_ROWS = 10_000
_COLUMNS = 5


def kinds_checksum(strata: Strata) -> str:
    """A checksum of class and direction of all changes, in the layer's order."""
    kinds = json.dumps([strata.names[label] for label in strata.labels.tolist()])
    return f"sha256:{hashlib.sha256(kinds.encode()).hexdigest()}"


def packed_outlines(strata: Strata, grid: GeoBox) -> str:
    """Bounds and areas of changes, packed: a sample must not tell its judge what the map says.

    Kept are at most about 10,000 rows of one class each: of larger layers sums of neighbours in the
    layer. The columns are west, north, east, south and area, in pixels of the grid.

    Returns:
        Rows of little-endian float64, compressed by zlib, in base64.
    """
    sums, tolerances = _sums(strata, grid)
    decimals = math.ceil(1 - math.log10(tolerances[:, :-1].min())) if tolerances.size else 0
    return base64.b64encode(zlib.compress(sums.round(decimals).astype("<f8").tobytes())).decode()


def are_same_outlines(packed: object, strata: Strata, grid: GeoBox) -> bool:
    """Whether changes have the outlines that `packed_outlines` kept, but for what formats lose.

    A bound that moved by some 3 cm is noticed, and an area that grew by more than a rim of that
    width; in layers of more than 10,000 changes, as many times that as there are to a row.
    """
    sums, tolerances = _sums(strata, grid)
    former_sums = _unpacked(packed, sums.nbytes)
    if former_sums.shape != sums.shape:
        return False
    return bool((np.abs(former_sums - sums) <= tolerances).all())


def _unpacked(packed: object, size: int) -> NDArray[np.float64]:
    """`(rows, 5)` what was packed; of another size where it is none of ours."""
    try:
        content = base64.b64decode(str(packed), validate=True)
        values = zlib.decompressobj().decompress(content, size + 1)
        return np.frombuffer(values, "<f8").reshape(-1, _COLUMNS)
    except (ValueError, zlib.error):
        return np.empty((0, 0))


def _sums(strata: Strata, grid: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(rows, 5)` what is kept of outlines, and how far each value may differ."""
    polygons = strata.polygons
    bounds = np.nan_to_num(shapely.bounds(polygons).reshape(-1, 4))
    lost_px = lost_px_at((bounds[:, :2] + bounds[:, 2:]) / 2, grid)
    rims = shapely.length(polygons) * np.hypot(*lost_px.T)
    values = np.column_stack([bounds, shapely.area(polygons)])
    tolerances = np.column_stack([lost_px, lost_px, rims])
    # Rows of one class each: that two changes swapped their classes shows in both.
    order = np.argsort(strata.labels, kind="stable")
    size = math.ceil(len(order) / _MOST_ROWS)
    counts = np.bincount(strata.labels)
    starts = [
        start
        for stop, count in zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True)
        for start in range(stop - count, stop, size)
    ]
    if not starts:
        return np.empty((0, _COLUMNS)), np.empty((0, _COLUMNS))
    return (
        np.add.reduceat(values[order], starts, axis=0),
        np.add.reduceat(tolerances[order], starts, axis=0),
    )


def lost_px_at(points_px: NDArray[np.float64], grid: GeoBox) -> NDArray[np.float64]:
    """How far `LOST_DEG` reaches at points of a grid; both `(n, 2)` in its pixels."""
    crs, to_px = crs_of(grid), ~grid.affine
    points = np.vstack([points_px, np.array(grid.shape[::-1]) / 2])
    if crs.geographic:
        shifts = np.broadcast_to(np.eye(2)[:, None] * LOST_DEG, (2, len(points), 2))
    else:
        x, y = grid.affine * points.T
        degrees = transformer(crs, CRS("EPSG:4326"))
        lon, lat = degrees.transform(x, y)
        # Towards zero, where neither the antimeridian nor a pole is crossed.
        moved_points = (
            (lon - np.copysign(LOST_DEG, lon), lat),
            (lon, lat - np.copysign(LOST_DEG, lat)),
        )
        shifts = np.array(
            [
                np.column_stack(degrees.transform(*point, direction="INVERSE"))
                - np.column_stack([x, y])
                for point in moved_points
            ]
        )
    turn = np.array([[to_px.a, to_px.d], [to_px.b, to_px.e]])
    lost_px: NDArray[np.float64] = np.abs(shifts @ turn).sum(axis=0)
    # Rubbish far off the grid has no place in degrees: as at the middle.
    kept_px: NDArray[np.float64] = np.where(np.isfinite(lost_px), lost_px, lost_px[-1])[:-1]
    return kept_px
