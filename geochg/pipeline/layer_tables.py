"""Tables of a change layer that was written before, as it was reviewed and edited since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.features.zone_table import ZoneTable
from geochg.features.zones import Zones, ground_areas, read_zones
from geochg.files.sidecars import files_behind
from geochg.geometry.polygons_only import areas
from geochg.geometry.vector_file import file_of
from geochg.pipeline.reviewed_layer import as_reviewed, on_grid, read_changes
from geochg.pipeline.zones import ground_of
from geochg.writers.checks import Output, check_outputs
from geochg.writers.staging import Staging
from geochg.writers.tables import TABLE_SUFFIXES, write_table

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

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
    reviewed = as_reviewed(frame)
    rejected = len(frame) - len(reviewed)
    frame = _measured(reviewed)
    notes = [*_shape_notes(reviewed, frame), _kinds_note(frame)]
    if grid is not None:
        frame = on_grid(frame, grid)
        notes.append(_place_note(frame, grid))
    zones_read = _zones(frame, grid, zones, zone_name, allow_remote=allow_remote)
    sums = ZoneTable(zones_read)
    sums.add(frame)
    remarks = (*notes, *(zones_read.remarks if zones_read is not None else ()))
    return LayerTables(sums, len(frame), rejected, tuple(filter(None, remarks)))


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


def _measured(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The changes that have an area, with valid shapes; where that was edited, that of the shape.

    The index tells which of the layer's changes they are.
    """
    polygons = areas(frame.geometry.to_numpy()).shapes
    shape_m2 = ground_areas(polygons, frame.crs)
    named_m2 = _named_areas(frame)
    is_other = ~(np.abs(named_m2 - shape_m2) <= _LEAST_M2 + _LEAST_SHARE * shape_m2)
    frame = frame.set_geometry(polygons, crs=frame.crs)
    frame = frame.assign(area_m2=np.where(is_other, shape_m2.round(1), named_m2))
    return frame[~shapely.is_empty(polygons)]


def _named_areas(frame: gpd.GeoDataFrame) -> NDArray[np.float64]:
    """`(n,)` areas that the layer tells, in square metres; NaN where it tells none."""
    if "area_m2" not in frame:
        return np.full(len(frame), np.nan)
    values = pd.to_numeric(frame["area_m2"], errors="coerce")
    return np.asarray(values.to_numpy(np.float64, na_value=np.nan))


def _shape_notes(reviewed: gpd.GeoDataFrame, measured: gpd.GeoDataFrame) -> Iterator[str]:
    """What is remarkable about the shapes of changes and their areas."""
    if count := len(reviewed) - len(measured):
        changes = _counted(count, "has", "have")
        yield f"{changes} no area (no shape, a point or a line): left out"
    named_m2 = _named_areas(reviewed.loc[measured.index])
    if count := int((named_m2 != measured["area_m2"].to_numpy()).sum()):
        changes = _counted(count, "has", "have")
        yield f"{changes} another area than the layer tells, or none: that of the shape counts"


def _kinds_note(frame: gpd.GeoDataFrame) -> str:
    """That changes lack a class or a direction; empty where none does."""
    count = int(frame[["class", "change"]].isna().any(axis=1).sum())
    if not count:
        return ""
    changes = _counted(count, "lacks", "lack")
    return f"{changes} a class or a direction: summed up under an empty one"


def _place_note(frame: gpd.GeoDataFrame, grid: GeoBox) -> str:
    """That changes lie off the ground of the run; empty where none does."""
    ground = ground_of(grid)
    shapely.prepare(ground)
    count = int((~shapely.intersects(ground, frame.geometry.to_numpy())).sum())
    if not count:
        return ""
    changes = _counted(count, "lies", "lie")
    return f"{changes} off the ground that was analysed, maybe moved there: counted all the same"


def _counted(count: int, verb_of_one: str, verb_of_more: str) -> str:
    return f"a change {verb_of_one}" if count == 1 else f"{count:,} changes {verb_of_more}"


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
