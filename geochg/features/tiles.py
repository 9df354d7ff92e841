"""The layer of tiles: one feature a tile, with what the model said about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import shapely

from geochg.features.captions import ChangeTotal, tile_caption
from geochg.features.tile_results import TileResult
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.placement import crs_of, layer_frame, on_ground, table_column
from geochg.records import TileFailure, TileWindow

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
    in_tiles: Mapping[int, Sequence[ChangeTotal]] | None = None,
) -> GeoDataFrame:
    """One feature a tile: its core and what the model said about it.

    Args:
        results: Results of the tiles that were answered, in any order.
        grid: The common grid.
        failures: Tiles that could not be read or answered.
        skipped: Tiles without valid pixels, which the model never saw.
        in_tiles: `Changes.in_tiles`, from which counts and captions come where the model tells land
            cover.

    Returns:
        One row a tile in raster order, in the grid's CRS. Columns: `tile`, `status` (`answered`,
        `failed`, `skipped`), `changed` (boolean; missing too where nothing was seen), `probability`
        (Float64, 0-1), `not_seen` (Float64, 0-1, the share of its ground that cloud, shadow or
        snow hid), `caption`, `unparsed` (list of task names), `reason` (why it failed, or why a
        question about it has no answer; else empty),
        `count_<class>` (Int64, one for each class that any tile counts, by name), `geometry`. What
        a tile has no answer for is missing.
    """
    rows = [_answered_row(result, in_tiles or {}) for result in results]
    rows += [_TileRow(failure.window, "failed", reason=failure.reason) for failure in failures]
    rows += [_TileRow(window, "skipped") for window in skipped]
    rows.sort(key=lambda row: row.window.index)
    located_boxes = on_ground(core_boxes([row.window for row in rows]), grid)
    captions = _captions(rows, located_boxes, grid)
    class_names = sorted({name for row in rows for name in row.counts})
    columns = {
        "tile": table_column([row.window.name for row in rows], "string"),
        "status": table_column([row.status for row in rows], "string"),
        "changed": table_column([row.changed for row in rows], "boolean"),
        "probability": table_column([row.probability for row in rows], "Float64"),
        "not_seen": table_column([row.not_seen for row in rows], "Float64"),
        "caption": table_column(captions, "string"),
        "unparsed": table_column([row.unparsed for row in rows], "object"),
        "reason": table_column([row.reason for row in rows], "string"),
    }
    for name in class_names:
        columns[f"count_{name}"] = table_column([row.counts.get(name) for row in rows], "Int64")
    return layer_frame(columns, located_boxes, grid)


@dataclass(frozen=True, slots=True)
class _TileRow:
    """A row of `tile_features`.

    `outlined` is what the caption is worded from, with areas in pixels; None where the model's own
    stands or there is none.
    """

    window: TileWindow
    status: str
    changed: bool | None = None
    probability: float | None = None
    not_seen: float | None = None
    caption: str = ""
    outlined: Sequence[ChangeTotal] | None = None
    unparsed: list[str] = field(default_factory=list)
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def _answered_row(result: TileResult, in_tiles: Mapping[int, Sequence[ChangeTotal]]) -> _TileRow:
    not_seen = _not_seen_share(result)
    outline_totals = counts = None
    if result.tells_land_cover:
        outline_totals = in_tiles.get(result.window.index, ())
        counts = _counts(outline_totals)
    elif not result.caption and any(cell.ground is not None for cell in result.cells):
        outline_totals = _kinds(result)
    return _TileRow(
        window=result.window,
        status="answered",
        changed=None if not_seen == 1 and not result.changed else result.changed,
        probability=None if result.probability is None else round(result.probability, 4),
        not_seen=not_seen,
        caption=result.caption,
        outlined=outline_totals,
        unparsed=[str(task) for task in result.unparsed],
        reason="; ".join(f"no {missing.task}: {missing.reason}" for missing in result.missing),
        counts=result.counts if counts is None else counts,
    )


def _counts(kinds: Sequence[ChangeTotal]) -> dict[str, int]:
    """Objects of each class, whatever their direction."""
    counts: dict[str, int] = {}
    for kind in kinds:
        if kind.count is not None:
            counts[kind.class_name] = counts.get(kind.class_name, 0) + kind.count
    return counts


def _not_seen_share(result: TileResult) -> float | None:
    """Share of the valid ground that was not seen, 0-1."""
    if result.not_seen_px is None:
        return None
    share = result.not_seen_px / max(result.valid_px, 1)
    # Only what was hidden whole, or not at all, is called so.
    return share if share in (0.0, 1.0) else min(max(round(share, 4), 0.0001), 0.9999)


def _kinds(result: TileResult) -> list[ChangeTotal]:
    """What the outlines of a tile say, with areas in pixels and without counts."""
    area_px: dict[tuple[str, str], float] = {}
    for cell in result.cells:
        kind = cell.class_name, str(cell.change)
        area_px[kind] = area_px.get(kind, 0.0) + cell.polygon.area
    return [ChangeTotal(*kind, area, None) for kind, area in area_px.items()]


def _captions(rows: Sequence[_TileRow], cores: NDArray[np.object_], grid: GeoBox) -> list[str]:
    """The model's sentence about each tile, or ours."""
    outlined_rows = [i for i, row in enumerate(rows) if row.outlined is not None]
    core_m2 = dict(
        zip(
            outlined_rows,
            geodesic_areas(cores[outlined_rows], crs_of(grid).proj).tolist(),
            strict=True,
        )
    )
    return [
        row.caption if row.outlined is None else _worded_caption(row, row.outlined, core_m2[i])
        for i, row in enumerate(rows)
    ]


def _worded_caption(row: _TileRow, outline_totals: Sequence[ChangeTotal], core_m2: float) -> str:
    core = row.window.core
    pixel_m2 = core_m2 / (core.height_px * core.width_px)
    kinds = [
        replace(kind, area_m2=None if kind.area_m2 is None else kind.area_m2 * pixel_m2)
        for kind in outline_totals
    ]
    return tile_caption(kinds, 1 - (row.not_seen or 0), has_others=bool(row.changed))


def core_boxes(windows: Iterable[TileWindow]) -> NDArray[np.object_]:
    """`(n,)` the cores of tiles, in grid pixels."""
    cores = [window.core for window in windows]
    return shapely.box(
        [core.col_start for core in cores],
        [core.row_start for core in cores],
        [core.col_stop for core in cores],
        [core.row_stop for core in cores],
    )
