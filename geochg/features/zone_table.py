"""Numbers and areas of changes by class, direction and land cover, in all or by zone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.features.layer import ChangePeriod
from geochg.features.zones import LEAST_SHARE, ground_areas
from geochg.files.table_columns import FROM_TO_COLUMNS, PERIOD_COLUMNS, ZONE_COLUMNS
from geochg.geometry.placement import table_column
from geochg.geometry.polygons_only import polygon_part
from geochg.tasks.quantities import rounded_value

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray
    from pyproj import CRS

    from geochg.features.zones import Zones

_OUTSIDE = -1
_DTYPES = {"step": "Int64", "count": "int64", "features": "int64", "area_m2": "float64"}
"""Types of columns; all others are text."""


class _Key(NamedTuple):
    """What the changes of a row have in common; None where it is not known."""

    period: ChangePeriod
    zone: int
    class_name: str | None
    change: str | None
    before_class: str | None
    after_class: str | None


class _Sum(NamedTuple):
    features: int
    area_m2: float


class ZoneTotal(NamedTuple):
    """What changed in a zone over the whole time.

    Attributes:
        zone: Its name; empty for what lies in none.
        features: Changes that lie in it, if only in part.
        area_m2: What of them lies in it, geodesic.
    """

    zone: str
    features: int
    area_m2: float


class _Shares(NamedTuple):
    """Parts of changes: `(parts,)` number of the change and of the zone, and its share 0-1."""

    feature: NDArray[np.int64]
    zone: NDArray[np.int64]
    share: NDArray[np.float64]


class ZoneTable:
    """Sums over the features of a layer, which come table by table and are let go.

    A change counts in each zone that it reaches into, with the area that lies there. What lies in
    no zone is summed up in rows without a zone, so that the areas of all rows are those of the
    layer, unless zones overlap.

    Args:
        zones: The zones, in the CRS of the layer; None for sums of the whole.
        periods: Periods that the layer is known to have. Those of a series have a step.
    """

    def __init__(
        self, zones: Zones | None = None, periods: Sequence[ChangePeriod] = (ChangePeriod(),)
    ) -> None:
        self.zones = zones
        self._sums: dict[_Key, _Sum] = {}
        is_series = len(periods) > 1
        self._periods = dict.fromkeys(periods if is_series else ())

    def add(self, frame: gpd.GeoDataFrame) -> None:
        """Takes features.

        Args:
            frame: Valid polygons in the CRS of the zones, with the columns of
                `FeatureLayer.frame`; of these `class`, `change` and `area_m2` must be there. Where
                `step` is, sums are kept for each period.
        """
        polygons = frame.geometry.to_numpy()
        areas_m2 = frame["area_m2"].to_numpy(np.float64)
        shares = self._shares(polygons, frame.crs)
        keys = list(self._keys(frame))
        parts: dict[_Key, list[float]] = {}
        part_areas = areas_m2[shares.feature] * shares.share
        for feature, zone, area in zip(
            shares.feature.tolist(), shares.zone.tolist(), part_areas.tolist(), strict=True
        ):
            parts.setdefault(keys[feature]._replace(zone=zone), []).append(area)
        for key, part_list in parts.items():
            former = self._sums.get(key, _Sum(0, 0.0))
            total = math.fsum([former.area_m2, *part_list])
            self._sums[key] = _Sum(former.features + len(part_list), total)

    def rows(self) -> pd.DataFrame:
        """Changes by zone, class and direction.

        One row for each zone, class and direction that is there, zones in the order of their file,
        and last what lies in no zone, whose `zone` is empty. A zone in which nothing changed has
        one row with `count` 0 and no class.

        Columns: `zone`, `class`, `change` (text), `count` (int64, changes that lie in the zone, if
        only in part), `area_m2` (float64, geodesic, 1 decimal, what of them lies in it). Of a
        series `step`, `from_date` and `to_date` stand before them.
        """
        sums: dict[_Key, _Sum] = {}
        for key, added in self._sums.items():
            kind = key._replace(before_class=None, after_class=None)
            former = sums.get(kind, _Sum(0, 0.0))
            sums[kind] = _Sum(former.features + added.features, former.area_m2 + added.area_m2)
        zones_with_changes = {(key.period, key.zone) for key in sums}
        for period in self._periods or (ChangePeriod(),):
            for zone in range(len(self.zones or ())):
                if (period, zone) not in zones_with_changes:
                    sums[_Key(period, zone, None, None, None, None)] = _Sum(0, 0.0)
        return self._table(sums, ZONE_COLUMNS)

    def totals(self) -> list[ZoneTotal]:
        """What changed in each zone, largest areas first; last, where there are some, in none."""
        sums = {zone: _Sum(0, 0.0) for zone in range(len(self.zones or ()))}
        for key, added in self._sums.items():
            if key.period.step is None:
                former = sums.get(key.zone, _Sum(0, 0.0))
                features, area_m2 = former.features + added.features, former.area_m2 + added.area_m2
                sums[key.zone] = _Sum(features, area_m2)
        order = sorted(sums, key=lambda zone: (zone == _OUTSIDE, -sums[zone].area_m2))
        return [ZoneTotal(self._zone_name(zone), *sums[zone]) for zone in order]

    def from_to(self) -> pd.DataFrame:
        """Changes by class, direction and land cover at both dates, and by zone where there are.

        Columns: `class`, `change`, `before_class`, `after_class` (missing where not known), `zone`
        (empty for what lies in none), `features` (int64), `area_m2` (float64, geodesic, 1 decimal).
        Of a series `step`, `from_date` and `to_date` stand before them.
        """
        return self._table(self._sums, FROM_TO_COLUMNS)

    def _keys(self, frame: gpd.GeoDataFrame) -> Iterator[_Key]:
        """The key of each feature, without a zone."""
        names = ("class", "change", "before_class", "after_class")
        columns = [_texts(frame, name) for name in names]
        periods = list(self._frame_periods(frame))
        for period, class_name, change, before, after in zip(periods, *columns, strict=True):
            yield _Key(period, _OUTSIDE, class_name, change, before, after)

    def _frame_periods(self, frame: gpd.GeoDataFrame) -> Iterator[ChangePeriod]:
        if "step" not in frame:
            yield from [ChangePeriod()] * len(frame)
            return
        dates = (_texts(frame, "from_date"), _texts(frame, "to_date"))
        steps = frame["step"].astype("Int64").tolist()
        for from_date, to_date, step in zip(*dates, steps, strict=True):
            period = ChangePeriod(from_date, to_date, step if isinstance(step, int) else None)
            self._periods.setdefault(period)
            yield period

    def _shares(self, polygons: NDArray[np.object_], crs: CRS) -> _Shares:
        """How the changes are spread over the zones, and the ground outside of all."""
        if self.zones is None:
            numbers = np.arange(len(polygons))
            return _Shares(numbers, np.full(len(numbers), _OUTSIDE), np.ones(len(numbers)))
        return _spread(polygons, self.zones, crs)

    def _table(self, sums: dict[_Key, _Sum], columns: Sequence[str]) -> pd.DataFrame:
        """The table of some sums, in a fixed order."""
        import pandas as pd

        by_zone = columns[0] == "zone"
        periods = list(self._periods)

        def place(key: _Key) -> tuple[Any, ...]:
            period = periods.index(key.period) if periods else 0
            kind = tuple(text or "" for text in key[2:])
            zone = len(self.zones or ()) if key.zone == _OUTSIDE else key.zone
            return (period, zone, kind) if by_zone else (period, kind, zone)

        ordered = sorted(sums, key=place)
        values: dict[str, list[Any]] = {
            **{name: [getattr(key.period, name) for key in ordered] for name in PERIOD_COLUMNS},
            "zone": [self._zone_name(key.zone) for key in ordered],
            "class": [key.class_name for key in ordered],
            "change": [key.change for key in ordered],
            "before_class": [key.before_class for key in ordered],
            "after_class": [key.after_class for key in ordered],
            "count": [sums[key].features for key in ordered],
            "features": [sums[key].features for key in ordered],
            "area_m2": [rounded_value(sums[key].area_m2, 1) for key in ordered],
        }
        names = (*PERIOD_COLUMNS, *columns) if periods else columns
        return pd.DataFrame(
            {name: table_column(values[name], _DTYPES.get(name, "string")) for name in names}
        )

    def _zone_name(self, zone: int) -> str:
        return "" if self.zones is None or zone == _OUTSIDE else self.zones.names[zone]


def _texts(frame: gpd.GeoDataFrame, name: str) -> list[str | None]:
    """A column of text; None where nothing stands, or there is no such column."""
    if name not in frame:
        return [None] * len(frame)
    return [value if isinstance(value, str) and value else None for value in frame[name].tolist()]


def _spread(polygons: NDArray[np.object_], zones: Zones, crs: CRS) -> _Shares:
    import shapely

    # Prepared are the zones: many changes are held against each.
    feature, zone = zones.tree.query(polygons)
    order = np.lexsort((zone, feature))
    feature, zone = feature[order], zone[order]
    is_covered = shapely.covers(zones.polygons[zone], polygons[feature])
    crossing = np.flatnonzero(~is_covered)
    meets = shapely.intersects(zones.polygons[zone[crossing]], polygons[feature[crossing]])
    crossing = crossing[meets]
    is_whole = np.zeros(len(polygons), bool)
    is_whole[feature[is_covered]] = True
    pieces = _pieces(polygons[feature[crossing]], zones.polygons[zone[crossing]])
    whole_m2 = np.zeros(len(polygons))
    cut = np.unique(feature[crossing])
    whole_m2[cut] = ground_areas(polygons[cut], crs)
    share = ground_areas(pieces, crs) / whole_m2[feature[crossing]]
    counts = share > LEAST_SHARE
    crossing, pieces, share = crossing[counts], pieces[counts], share[counts]
    outside, outside_share = _remainders(
        polygons, is_whole, feature[crossing], pieces, share, whole_m2, crs
    )
    return _Shares(
        np.concatenate([feature[is_covered], feature[crossing], outside]),
        np.concatenate([zone[is_covered], zone[crossing], np.full(len(outside), _OUTSIDE)]),
        np.concatenate([np.ones(int(is_covered.sum())), np.minimum(share, 1.0), outside_share]),
    )


def _pieces(
    polygons: NDArray[np.object_], zone_polygons: NDArray[np.object_]
) -> NDArray[np.object_]:
    """What of polygons lies in zones, without the lines and points that they only touch in."""
    import shapely

    pieces: NDArray[np.object_] = shapely.intersection(polygons, zone_polygons)
    kinds = shapely.get_type_id(pieces)
    for index in np.flatnonzero(kinds == shapely.GeometryType.GEOMETRYCOLLECTION).tolist():
        pieces[index] = polygon_part(pieces[index])
    return pieces


def _remainders(
    polygons: NDArray[np.object_],
    is_whole: NDArray[np.bool_],
    of_feature: NDArray[np.int64],
    pieces: NDArray[np.object_],
    shares: NDArray[np.float64],
    whole_m2: NDArray[np.float64],
    crs: CRS,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Changes that lie outside of all zones, if only in part, and the share that does.

    Args:
        polygons: `(n,)` all changes.
        is_whole: `(n,)` which lie in a zone as wholes.
        of_feature: `(parts,)` the change of each piece.
        pieces: `(parts,)` what lies in a zone of changes that cross its border.
        shares: `(parts,)` share of each piece in its change.
        whole_m2: `(n,)` area of changes that have pieces.
        crs: CRS of the polygons.
    """
    import shapely

    inside = np.bincount(of_feature, weights=shares, minlength=len(polygons))
    number = np.bincount(of_feature, minlength=len(polygons))
    remainder = np.where(is_whole, 0.0, 1.0 - inside)
    # Pieces of several zones may lie over each other; together they cover less than their sum.
    shared = np.flatnonzero(~is_whole & (number > 1))
    if shared.size:
        # Pieces come in the order of their changes.
        starts = np.searchsorted(of_feature, shared).tolist()
        unions = np.empty(len(shared), dtype=object)
        unions[:] = [
            shapely.union_all(pieces[start : start + count])
            for start, count in zip(starts, number[shared].tolist(), strict=True)
        ]
        remainder[shared] = 1.0 - ground_areas(unions, crs) / whole_m2[shared]
    outside = np.flatnonzero(remainder > LEAST_SHARE)
    return outside, remainder[outside]
