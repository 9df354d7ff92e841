"""The area that scenes are searched for, in longitude and latitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from odc.geo.crs import CRS
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

_SEGMENTS = 64
"""Parts into which an edge as long as the area is divided before it is bent."""


@dataclass(frozen=True)
class SearchArea:
    """An area on the ground.

    Attributes:
        polygon: Valid polygon or multipolygon in degrees (EPSG:4326, longitude first). Over the
            antimeridian it goes on beyond 180, so that it hangs together.
        text: As it was given; for messages and for the record in the output.
        note: What of a file was left out, in words; empty where nothing was.
    """

    polygon: BaseGeometry
    text: str
    note: str = ""

    @classmethod
    def of(cls, text: str, *, allow_remote: bool = False) -> Self:
        """Reads an area as `geochg analyze --aoi` does.

        Args:
            text: A vector file, `west,south,east,north` or WKT; in longitude and latitude unless
                a CRS stands before it. A box whose west is greater than its east lies over the
                antimeridian.
            allow_remote: Whether a file on this machine may name data elsewhere.

        Raises:
            OptionError: If the text is none of these.
            InputError: If the file cannot be read, or has no CRS.
        """
        from geochg.tiling.aoi import read_area

        area = read_area(text, allow_remote=allow_remote)
        return cls(_lonlat_polygon(area.geometry, area.crs), text, area.note)

    @classmethod
    def of_grid(cls, grid: GeoBox, text: str) -> Self:
        """The ground that a grid covers.

        Args:
            grid: The grid.
            text: Name of the raster that has it.
        """
        from geochg.geometry.placement import crs_of
        from geochg.tiling.footprints import footprint

        return cls(_lonlat_polygon(footprint(grid), crs_of(grid)), text)

    @property
    def center(self) -> tuple[float, float]:
        """Longitude, -180 to 180, and latitude of the middle of its bounds, in degrees."""
        west, south, east, north = self.polygon.bounds
        return ((west + east) / 2 + 180) % 360 - 180, (south + north) / 2

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """West, south, east, north in degrees within -180 to 180: two over the antimeridian."""
        west, south, east, north = self.polygon.bounds
        if east - west >= 360:
            return [(-180.0, south, 180.0, north)]
        turn = 360 * ((west + 180) // 360)
        west, east = west - turn, east - turn
        if east <= 180:
            return [(west, south, east, north)]
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]

    def share_in(self, polygon: BaseGeometry) -> float:
        """The share of the area, 0-1, that lies in a polygon in degrees, on whatever turn."""
        import shapely
        from shapely import affinity

        turns = [affinity.translate(polygon, turn) for turn in (-360, 0, 360)]
        part = shapely.intersection(self.polygon, shapely.union_all(turns))
        return float(part.area / self.polygon.area)


def _lonlat_polygon(geometry: BaseGeometry, crs: CRS) -> BaseGeometry:
    """A geometry in degrees; its parts hang together over the antimeridian."""
    import shapely
    from odc.geo.crs import CRS
    from shapely import affinity

    from geochg.geometry.placement import transformer
    from geochg.geometry.polygons_only import polygon_part
    from geochg.tiling.footprints import in_crs

    degrees = CRS("EPSG:4326")
    west, south, east, north = geometry.bounds
    middle = shapely.Point((west + east) / 2, (south + north) / 2)
    if crs != degrees:
        longest = max(east - west, north - south)
        geometry = shapely.segmentize(geometry, longest / _SEGMENTS)
        lon, _ = transformer(crs, degrees).transform(middle.x, middle.y)
        geometry = in_crs(geometry, crs, degrees, float(lon))
    elif east - west > 180:
        # RFC 7946 cuts an area at the antimeridian: its western part goes on beyond 180.
        parts = shapely.get_parts(geometry)
        turned = [affinity.translate(part, 360) if part.bounds[2] <= 0 else part for part in parts]
        joined = shapely.union_all(turned)
        if joined.bounds[2] - joined.bounds[0] < east - west:
            geometry = joined
    return polygon_part(shapely.make_valid(geometry))
