"""Zones that changes are counted in: parcels, districts, watersheds, of any polygon file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import InputError
from geochg.files.digest import sha256_of
from geochg.files.remote_files import refuse_remote
from geochg.files.sidecars import files_behind
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.reprojected_areas import Bounds, areas_in_crs
from geochg.geometry.vector_file import field_text, file_of, is_there, read_areas
from geochg.safety.untrusted_text import cleaned, without_secrets

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from pyproj import CRS
    from shapely import STRtree
    from shapely.geometry.base import BaseGeometry

USUAL_NAMES = ("name", "zone", "id")
"""Columns that name zones where no other is wanted, of any case, the first of them first."""

LEAST_SHARE = 1e-6
"""Least share of an area that is more than the noise of coordinates."""

_LEAST_OVERLAP = 1e-3
"""Least share of the smaller of two zones that lies in both, and is told."""

_LONGEST_NAME = 200
_MOST_LISTED = 10


class ZonesElsewhereError(InputError):
    """Zones none of which lies on the ground that is analysed."""


@dataclass(frozen=True, eq=False)
class Zones:
    """Zones in the CRS of a layer, in the order of their file.

    Attributes:
        names: A name for each, none of which is empty or stands twice.
        polygons: `(n,)` valid polygons and multipolygons in `crs`, cut to a little more than the
            ground that was looked at.
        crs: The CRS of the polygons.
        facts: Plain JSON values that outputs tell of the zones: `file`, `sha256` of its files,
            `column` of their names (None for numbers), `zones` in the file, `outside` (left out
            because they lie off the ground that was looked at), `partly` on it, and `overlapping`
            pairs.
        remarks: What its user should know of them, in sentences.
    """

    names: tuple[str, ...]
    polygons: NDArray[np.object_]
    crs: CRS
    facts: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of zones."""
        return len(self.names)

    @cached_property
    def tree(self) -> STRtree:
        """An index of the polygons, which are then prepared for many questions."""
        import shapely

        shapely.prepare(self.polygons)
        return shapely.STRtree(self.polygons)


def read_zones(
    text: str,
    crs: Any,  # noqa: ANN401
    ground: BaseGeometry,
    name_column: str = "",
    *,
    allow_remote: bool = False,
) -> Zones:
    """Reads zones and brings them to the CRS of a layer.

    Args:
        text: A vector file, `FILE|layername=NAME` where it has several layers.
        crs: CRS of the layer, as pyproj takes it.
        ground: The ground that was looked at, in `crs`; zones off it are left out.
        name_column: Column of their names; empty for the first of `USUAL_NAMES` whose values are
            there and differ, else the number of each in the file, from 1.
        allow_remote: Whether a file on this machine may name data elsewhere.

    Raises:
        InputError: If the file cannot be read, has no CRS, no polygons, no such column, empty or
            repeated names, or no zone on the ground.
    """
    from pyproj import CRS

    refuse_remote(file_of(text), allow=allow_remote)
    label = without_secrets(text)
    if not is_there(text):
        raise InputError(f"the zones {label} are no file that is there", "check the path")
    target = CRS.from_user_input(crs)
    frame, note = read_areas(text)
    _refuse_wrong_degrees(frame, label)
    column, names = _names(frame, name_column, label)
    polygons = areas_in_crs(
        frame.geometry.to_numpy(), CRS(frame.crs), target, Bounds(*ground.bounds)
    )
    facts = {"file": label, "sha256": _checksum(text), "column": column, "zones": len(frame)}
    zones = _zones_on_ground(Zones(names, polygons, target, facts), ground)
    if not zones.names:
        raise ZonesElsewhereError(
            f"none of the {len(frame)} zones of {label} lies on the ground that is analysed",
            "give zones of this place, or check that their CRS is the right one",
        )
    pairs = overlapping_pairs(zones)
    zones.facts["overlapping"] = len(pairs)
    remarks = (note, _numbering_remark(frame, column), *_remarks(zones, pairs))
    return replace(zones, remarks=tuple(filter(None, remarks)))


def _zones_on_ground(zones: Zones, ground: BaseGeometry) -> Zones:
    """The zones of which some lies on the ground, and what of this is told."""
    import shapely

    shapely.prepare(ground)
    common_areas = _common_areas(zones.polygons, ground)
    is_seen = common_areas > 0
    names = tuple(zones.names[number] for number in np.flatnonzero(is_seen).tolist())
    polygons = zones.polygons[is_seen]
    is_cut = common_areas[is_seen] < (1 - LEAST_SHARE) * shapely.area(polygons)
    outside = zones.facts.get("outside", 0) + int((~is_seen).sum())
    facts = {"outside": outside, "partly": int(is_cut.sum())}
    return replace(zones, names=names, polygons=polygons, facts={**zones.facts, **facts})


def zones_with_data(zones: Zones, ground: BaseGeometry) -> Zones:
    """The zones of which some lies on ground that came to be seen.

    Args:
        zones: The zones of `read_zones`.
        ground: The ground with data at all dates whose tiles did not fail, in `zones.crs`.

    Returns:
        These zones, whose remarks are those that the ground gives reason to.
    """
    zones_left = _zones_on_ground(zones, ground)
    remarks = []
    if lost := len(zones) - len(zones_left):
        count = _counted(lost, "zone lies", "zones lie")
        remarks.append(f"{count} where there are no data, or tiles failed: left out of the tables")
    if (partly := zones_left.facts["partly"] - zones.facts["partly"]) > 0:
        count = _counted(partly, "zone lies", "zones lie")
        remarks.append(f"{count} in part where there are no data, or tiles failed")
    return replace(zones_left, remarks=tuple(remarks))


def overlapping_pairs(zones: Zones) -> list[tuple[str, str]]:
    """Names of zones of which each two share more ground than drawing leaves to chance."""
    import shapely

    if shapely.coverage_is_valid(zones.polygons):  # told much sooner than pair by pair
        return []
    left, right = zones.tree.query(zones.polygons)
    left, right = left[left < right], right[left < right]
    touches = shapely.intersects(zones.polygons[left], zones.polygons[right])
    left, right = left[touches], right[touches]
    shared = shapely.area(shapely.intersection(zones.polygons[left], zones.polygons[right]))
    areas = shapely.area(zones.polygons)
    wide = shared > _LEAST_OVERLAP * np.minimum(areas[left], areas[right])
    return [
        (zones.names[first], zones.names[second])
        for first, second in zip(left[wide].tolist(), right[wide].tolist(), strict=True)
    ]


def ground_areas(polygons: NDArray[np.object_], crs: CRS) -> NDArray[np.float64]:
    """`(n,)` areas on the WGS84 ellipsoid in square metres, of polygons of any number of parts."""
    import shapely

    parts, index = shapely.get_parts(polygons, return_index=True)
    is_area = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    is_area &= ~shapely.is_empty(parts)
    areas: NDArray[np.float64] = np.zeros(len(polygons))
    if is_area.any():
        np.add.at(areas, index[is_area], geodesic_areas(parts[is_area], crs))
    return areas


def _common_areas(polygons: NDArray[np.object_], ground: BaseGeometry) -> NDArray[np.float64]:
    """`(n,)` planar area of each zone that lies on the ground."""
    import shapely

    areas: NDArray[np.float64] = np.zeros(len(polygons))
    is_within = shapely.contains_properly(ground, polygons)
    areas[is_within] = shapely.area(polygons[is_within])
    cut = ~is_within & shapely.intersects(ground, polygons)
    areas[cut] = shapely.area(shapely.intersection(polygons[cut], ground))
    areas[areas <= LEAST_SHARE * shapely.area(polygons)] = 0
    return areas


def _refuse_wrong_degrees(frame: gpd.GeoDataFrame, label: str) -> None:
    west, south, east, north = frame.total_bounds
    if frame.crs.is_geographic and not (
        -360 <= west <= east <= 540 and -90 <= south <= north <= 90
    ):
        raise InputError(
            f"{label} reaches beyond longitude and latitude",
            "its coordinates or its CRS are wrong: set the right one in QGIS",
        )


def _names(
    frame: gpd.GeoDataFrame, name_column: str, label: str
) -> tuple[str | None, tuple[str, ...]]:
    """The column of the names and the name of each zone; no column where they are numbered."""
    columns = [name for name in frame.columns if name != frame.geometry.name]
    if not name_column:
        for usual in USUAL_NAMES:
            for column in columns:
                names = _column_names(frame, column) if str(column).lower() == usual else ()
                if names and all(names) and len(set(names)) == len(names):
                    return str(column), names
        return None, tuple(str(int(number) + 1) for number in frame.index)
    column = _column_of(columns, name_column, label)
    names = _column_names(frame, column)
    if empty := names.count(""):
        subject, verb = ("a zone", "has") if empty == 1 else (f"{empty} zones", "have")
        raise InputError(
            f"{subject} of {label} {verb} no name in column {column!r}",
            "fill the column in QGIS, or name another with --zone-name",
        )
    repeated = [(name, count) for name, count in Counter(names).items() if count > 1]
    if repeated:
        name, count = repeated[0]
        others = f", and {len(repeated) - 1} more names stand twice" if len(repeated) > 1 else ""
        raise InputError(
            f"{count} zones of {label} are called {cleaned(name, 60)!r} in column {column!r}"
            f"{others}",
            "name another column with --zone-name, or dissolve the zones by it in QGIS",
        )
    return column, names


def _numbering_remark(frame: gpd.GeoDataFrame, column: str | None) -> str:
    """That zones are numbered although there is a column of names; empty where that is not so."""
    usual = [name for name in map(str, frame.columns) if name.lower() in USUAL_NAMES]
    if column is not None or not usual:
        return ""
    return (
        f"the column {usual[0]!r} does not tell the zones apart: they are called by their numbers "
        "in the file"
    )


def _column_of(columns: Sequence[str], wanted_name: str, label: str) -> str:
    """The column of that name; of any case where only one fits."""
    if wanted_name in columns:
        return wanted_name
    alike = [column for column in columns if column.lower() == wanted_name.lower()]
    if len(alike) == 1:
        return alike[0]
    listed_columns = ", ".join(map(str, columns[:_MOST_LISTED])) or "none"
    further = f" and {len(columns) - _MOST_LISTED} more" if len(columns) > _MOST_LISTED else ""
    raise InputError(
        f"{label} has no column {wanted_name!r} that names its zones",
        f"its columns are {listed_columns}{further}",
    )


def _column_names(frame: gpd.GeoDataFrame, column: str) -> tuple[str, ...]:
    """The values of a column as names; empty where there is none."""
    values = frame[column].tolist()
    return tuple(cleaned(field_text(value), _LONGEST_NAME) for value in values)


def _remarks(zones: Zones, pairs: Sequence[tuple[str, str]]) -> list[str]:
    facts, remarks = zones.facts, []
    if facts["outside"]:
        count = _counted(facts["outside"], "zone lies", "zones lie")
        remarks.append(f"{count} off the ground that is analysed: left out of the tables")
    if facts["partly"]:
        count = _counted(facts["partly"], "zone lies", "zones lie")
        remarks.append(f"{count} only in part on the ground that is analysed: the rest is not seen")
    if pairs:
        first, second = pairs[0]
        count = _counted(len(pairs), "pair", "pairs")
        remarks.append(
            f"{count} of zones overlap, such as {first!r} and {second!r}: what changed on ground"
            " of both counts in each"
        )
    return remarks


def _counted(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"


def _checksum(text: str) -> str | None:
    """SHA-256 of the files that zones come from; None where they are no files of this machine."""
    files = files_behind(file_of(text))
    return sha256_of(files) if files else None
