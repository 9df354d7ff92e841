"""The layer of tiles: one feature a tile, with what the model said about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geochg.features.frame import layer_frame, series
from geochg.geometry.ground import on_ground
from geochg.records import TileFailure, TileResult, TileWindow

if TYPE_CHECKING:
    import numpy as np
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


def tile_features(
    results: Iterable[TileResult],
    grid: GeoBox,
    *,
    failures: Iterable[TileFailure] = (),
    skipped: Iterable[TileWindow] = (),
) -> GeoDataFrame:
    """One feature a tile: its core and what the model said about it.

    Args:
        results: Of the tiles that were answered, in any order.
        grid: The common grid.
        failures: Tiles that could not be read or answered.
        skipped: Tiles without valid pixels, which the model never saw.

    Returns:
        One row a tile in raster order, in the grid's CRS. Columns: `tile`, `status` (`answered`,
        `failed`, `skipped`), `changed` (boolean), `probability` (Float64, 0-1), `caption`,
        `unparsed` (list of task names), `reason` (why it failed, or why a question about it has no
        answer; else empty), `count_<class>`
        (Int64, one for each class that any tile counts, by name), `geometry`. What a tile has no
        answer for is missing.
    """
    rows = [_answered_row(result) for result in results]
    rows += [_TileRow(each.window, "failed", reason=each.reason) for each in failures]
    rows += [_TileRow(window, "skipped") for window in skipped]
    rows.sort(key=lambda row: row.window.index)
    counted = sorted({name for row in rows for name in row.counts})
    columns = {
        "tile": series([row.window.name for row in rows], "string"),
        "status": series([row.status for row in rows], "string"),
        "changed": series([row.changed for row in rows], "boolean"),
        "probability": series([row.probability for row in rows], "Float64"),
        "caption": series([row.caption for row in rows], "string"),
        "unparsed": series([row.unparsed for row in rows], "object"),
        "reason": series([row.reason for row in rows], "string"),
    }
    for name in counted:
        columns[f"count_{name}"] = series([row.counts.get(name) for row in rows], "Int64")
    return layer_frame(columns, on_ground(_core_boxes(rows), grid), grid)


@dataclass(frozen=True, slots=True)
class _TileRow:
    """A row of `tile_features`."""

    window: TileWindow
    status: str
    changed: bool | None = None
    probability: float | None = None
    caption: str = ""
    unparsed: list[str] = field(default_factory=list)
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def _answered_row(result: TileResult) -> _TileRow:
    return _TileRow(
        window=result.window,
        status="answered",
        changed=result.changed,
        probability=None if result.probability is None else round(result.probability, 4),
        caption=result.caption,
        unparsed=[str(task) for task in result.unparsed],
        reason="; ".join(f"no {each.task}: {each.reason}" for each in result.missing),
        counts=result.counts,
    )


def _core_boxes(rows: Sequence[_TileRow]) -> NDArray[np.object_]:
    import shapely

    cores = [row.window.core for row in rows]
    boxes: NDArray[np.object_] = shapely.box(
        [core.col_start for core in cores],
        [core.row_start for core in cores],
        [core.col_stop for core in cores],
        [core.row_stop for core in cores],
    )
    return boxes
