"""Tables of a change layer that was written before, as it was reviewed and edited since."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS

from geochg.errors import InputError, OptionError
from geochg.features.zone_table import ZoneTable
from geochg.features.zones import Zones, ground_areas, read_zones
from geochg.files.sidecars import files_behind
from geochg.geometry.placement import crs_of
from geochg.geometry.polygons_only import areas
from geochg.geometry.reprojected_areas import Bounds, areas_in_crs
from geochg.geometry.vector_file import file_of
from geochg.pipeline.reviewed_layer import as_reviewed, read_changes
from geochg.pipeline.zones import ground_of
from geochg.writers.checks import Output, check_outputs
from geochg.writers.staging import Staging
from geochg.writers.tables import TABLE_SUFFIXES, write_table

if TYPE_CHECKING:
    import geopandas as gpd

_LEAST_M2, _LEAST_SHARE = 0.5, 0.01
"""By how much the area of a shape differs from the one that is told, where it was edited."""


@dataclass(frozen=True)
class LayerTables:
    """The tables of a layer.

    Attributes:
        sums: Numbers and areas of its changes.
        features: Changes that count.
        rejected: Changes that were rejected in a review, which do not.
        remarks: What its user should know, in sentences.
    """

    sums: ZoneTable
    features: int
    rejected: int
    remarks: tuple[str, ...] = ()

    def to_dict(self, orient: Literal["records", "split"] = "records") -> dict[str, Any]:
        """The tables as plain JSON values; `zones` is there where zones are.

        Args:
            orient: `records` for rows as objects, `split` for lists of `columns` and of `data`,
                which take less room.
        """
        values: dict[str, Any] = {
            "features": self.features,
            "rejected": self.rejected,
            "remarks": list(self.remarks),
            "table": _plain(self.sums.from_to(), orient),
        }
        if self.sums.zones is not None:
            values |= {
                "zones": _plain(self.sums.rows(), orient),
                "zones_file": self.sums.zones.facts,
            }
        return values


def layer_tables(
    layer: str, zones: str = "", zone_name: str = "", *, allow_remote: bool = False
) -> LayerTables:
    """Sums up the changes of a layer, by zone where zones are named.

    Changes that a reviewer rejected do not count, and those of another class count as that. Areas
    are those that the layer tells; where a shape was edited since, or none is told, that of its
    shape.

    Args:
        layer: The layer, with `|layername=NAME` and `|subset=CONDITION` behind it where there are.
        zones: Zones, as `AnalyzeOptions.zones` takes them; empty for sums of the whole.
        zone_name: The column of their names.
        allow_remote: Whether the file of zones may name data elsewhere.

    Raises:
        InputError: If the layer is none of changes, or the zones cannot be used.
        OptionError: If a name of zones is given without zones.
    """
    if zone_name and not zones:
        raise OptionError("a name of zones needs zones", "name their file with --zones")
    frame, grid = read_changes(layer)
    count = len(frame)
    frame, note = _measured(as_reviewed(frame))
    if grid is not None:
        frame = _on_grid(frame, grid)
    zones_read = _zones(frame, grid, zones, zone_name, allow_remote=allow_remote)
    sums = ZoneTable(zones_read)
    sums.add(frame)
    remarks = (note, *(zones_read.remarks if zones_read is not None else ()))
    return LayerTables(sums, len(frame), count - len(frame), tuple(filter(None, remarks)))


def write_layer_tables(
    tables: LayerTables,
    layer: str,
    zones: str = "",
    *,
    table: Path | None = None,
    zones_table: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Writes tables of a layer as CSV, all or none.

    Args:
        tables: The tables.
        layer: The layer that they are of, which they must not replace.
        zones: Likewise its zones.
        table: The file of `ZoneTable.from_to`; None for none.
        zones_table: The file of `ZoneTable.rows`; None for none.
        overwrite: Whether files may be replaced that geochg did not write.

    Raises:
        OptionError: If a suffix is not `.csv`, or zones are wanted and there are none.
        InputError: If a file may not be written there.
        RunError: If it cannot be written.
    """
    if zones_table is not None and tables.sums.zones is None:
        raise OptionError("a table of zones needs zones", "name their file with --zones")
    frames = ((table, tables.sums.from_to), (zones_table, tables.sums.rows))
    wanted_files = [(path, frame) for path, frame in frames if path is not None]
    inputs = [path for text in (layer, zones) if text for path in files_behind(file_of(text))]
    outputs = [Output(path, TABLE_SUFFIXES) for path, _ in wanted_files]
    check_outputs(outputs, inputs, overwrite=overwrite)
    with Staging(overwrite=overwrite) as staging:
        for target, frame in wanted_files:
            with staging.write(target) as path:
                write_table(frame(), path)
        staging.commit()


def _plain(frame: pd.DataFrame, orient: Literal["records", "split"]) -> Any:  # noqa: ANN401
    values = json.loads(frame.to_json(orient=orient))
    if orient == "split":
        values.pop("index", None)
    return values


def _measured(frame: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, str]:
    """The changes with valid shapes and their areas, and what is remarkable about these."""
    polygons = areas(frame.geometry.to_numpy()).shapes
    shape_m2 = ground_areas(polygons, frame.crs)
    named_m2 = np.full(len(frame), np.nan)
    if "area_m2" in frame:
        named_m2 = pd.to_numeric(frame["area_m2"], errors="coerce").to_numpy(np.float64)
    is_other = ~(np.abs(named_m2 - shape_m2) <= _LEAST_M2 + _LEAST_SHARE * shape_m2)
    frame = frame.set_geometry(polygons, crs=frame.crs)
    frame = frame.assign(area_m2=np.where(is_other, shape_m2.round(1), named_m2))
    frame = frame[~shapely.is_empty(polygons)]
    if not is_other.any():
        return frame, ""
    count = int(is_other.sum())
    changes = "a change has" if count == 1 else f"{count:,} changes have"
    return frame, f"{changes} another area than the layer tells, or none: that of the shape counts"


def _on_grid(frame: gpd.GeoDataFrame, grid: GeoBox) -> gpd.GeoDataFrame:
    """The changes in the CRS of the grid that they were found on; GeoJSON is in degrees."""
    crs = crs_of(grid).proj
    if CRS(frame.crs) == crs:
        return frame
    bounds = Bounds(*ground_of(grid).bounds)
    polygons = areas_in_crs(frame.geometry.to_numpy(), CRS(frame.crs), crs, bounds)
    return frame.set_geometry(polygons).set_crs(crs, allow_override=True)


def _zones(
    frame: gpd.GeoDataFrame,
    grid: GeoBox | None,
    zones: str,
    zone_name: str,
    *,
    allow_remote: bool,
) -> Zones | None:
    """The zones that are wanted, on the ground that was analysed as far as that is known."""
    if not zones:
        return None
    if grid is not None:
        ground = ground_of(grid)
        return read_zones(zones, frame.crs, ground, zone_name, allow_remote=allow_remote)
    if frame.empty:
        raise InputError(
            "the layer has no change and does not tell what ground was analysed",
            "give the layer as geochg wrote it",
        )
    ground = shapely.box(*frame.total_bounds)
    read = read_zones(zones, frame.crs, ground, zone_name, allow_remote=allow_remote)
    remark = (
        "the layer does not tell what ground was analysed: zones beyond its outermost changes are "
        "left out"
    )
    return replace(read, remarks=(remark, *read.remarks))
