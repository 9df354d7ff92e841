import numpy as np
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from geochg.geometry.geodesy import geodesic_areas, map_polygons

GEOD = Geod(ellps="WGS84")
WGS84 = CRS("EPSG:4326")


def area(polygon, crs):
    return geodesic_areas(np.array([polygon]), CRS(crs))[0]


def on_map(polygon, crs):
    return map_polygons(np.array([polygon]), CRS(crs))[0]


def test_a_utm_square_has_its_geodesic_area():
    square = shapely.box(600_000, 5_000_000, 601_000, 5_001_000)
    ring = shapely.get_coordinates(shapely.segmentize(square.exterior, 10))
    lon, lat = Transformer.from_crs("EPSG:32633", "OGC:CRS84", always_xy=True).transform(*ring.T)
    assert area(square, "EPSG:32633") == pytest.approx(
        abs(GEOD.polygon_area_perimeter(lon, lat)[0]), rel=1e-7
    )
    # The scale of UTM at 100 km from the middle is 0.99972.
    assert area(square, "EPSG:32633") == pytest.approx(1e6 / 0.99972**2, rel=2e-5)


def test_big_features_of_a_projection_that_stretches():
    # 1000 km of Web Mercator at 60 degrees north: half as long on the ground, and curved.
    to_mercator = Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
    (west, east), (south, north) = to_mercator.transform([10, 20], [60, 65])
    expected = area(shapely.box(10, 60, 20, 65), "EPSG:4326")
    assert area(shapely.box(west, south, east, north), "EPSG:3857") == pytest.approx(
        expected, rel=1e-6
    )


def test_a_box_of_degrees_is_bounded_by_its_parallels():
    # Snyder 1987, equation 3-12: the authalic q gives the area between parallels.
    def q(lat):
        e, s = np.sqrt(GEOD.es), np.sin(np.radians(lat))
        return (1 - e**2) * (s / (1 - e**2 * s**2) - np.log((1 - e * s) / (1 + e * s)) / (2 * e))

    expected = GEOD.a**2 * np.radians(10) / 2 * (q(60) - q(50))
    assert area(shapely.box(0, 50, 10, 60), "EPSG:4326") == pytest.approx(expected, rel=1e-7)


def test_holes_are_subtracted_and_the_turn_of_rings_does_not_matter():
    shell, hole = (
        shapely.box(5e5, 5e6, 5.01e5, 5.001e6),
        shapely.box(5.002e5, 5.0002e6, 5.004e5, 5.0004e6),
    )
    ring = shapely.difference(shell, hole)
    expected = area(shell, "EPSG:32633") - area(hole, "EPSG:32633")
    assert area(ring, "EPSG:32633") == pytest.approx(expected, abs=1e-3)
    assert area(ring.reverse(), "EPSG:32633") == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("west", [-181, 179, 359, 539, -361])
def test_areas_and_maps_of_grids_beyond_180_degrees(west):
    box = shapely.box(west, 10, west + 2, 11)
    assert area(box, "EPSG:4326") == pytest.approx(area(shapely.box(10, 10, 12, 11), "EPSG:4326"))
    found = on_map(box, "EPSG:4326")
    assert found.is_valid
    assert found.area == pytest.approx(2)
    assert -180 <= found.bounds[0] < found.bounds[2] <= 180
    # 359 ... 361 does not touch the antimeridian and is one piece over Greenwich.
    expected = [-1, 10, 1, 11] if west in (359, -361) else [-180, 10, 180, 11]
    assert found.bounds == pytest.approx(expected)
    assert len(shapely.get_parts(found)) == (1 if west in (359, -361) else 2)


def test_a_grid_wholly_beyond_180_degrees_comes_back():
    assert on_map(shapely.box(181, 0, 182, 1), "EPSG:4326").equals(shapely.box(-179, 0, -178, 1))


def test_a_utm_feature_across_the_antimeridian_is_cut():
    x, y = Transformer.from_crs("OGC:CRS84", "EPSG:32660", always_xy=True).transform(179.99, 10)
    ring = shapely.box(x, y, x + 5000, y + 5000) - shapely.box(x + 500, y + 500, x + 4500, y + 4500)
    found = on_map(ring, "EPSG:32660")
    assert found.is_valid
    assert found.geom_type == "MultiPolygon"
    assert shapely.box(-180, -90, 180, 90).covers(found)
    parts = geodesic_areas(np.array(found.geoms), WGS84)
    assert parts.sum() == pytest.approx(area(ring, "EPSG:32660"), rel=1e-6)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
def test_a_feature_around_a_pole_reaches_it(crs, pole):
    square = shapely.box(-1e5, -1.1e5, 1.2e5, 1e5)
    found = on_map(square, crs)
    assert found.is_valid
    assert found.covers(shapely.Point(37, pole * 0.9999))
    assert found.bounds[0] == -180
    assert found.bounds[2] == 180
    true = area(square, crs)
    assert true == pytest.approx(2.2e5 * 2.1e5, rel=0.08)
    # A ring whose edges run both up and down the antimeridian is no ring to pyproj: halve it.
    halves = [found & shapely.box(-180, -90, 0, 90), found & shapely.box(0, -90, 180, 90)]
    assert geodesic_areas(np.array(halves), WGS84).sum() == pytest.approx(true, rel=1e-5)
    band = square - shapely.box(-5e4, -5e4, 5e4, 5e4)
    mapped = on_map(band, crs)
    assert not mapped.intersects(shapely.Point(37, pole * 0.9999))
    halves = [mapped & shapely.box(-180, -90, 0, 90), mapped & shapely.box(0, -90, 180, 90)]
    total = geodesic_areas(shapely.get_parts(halves), WGS84).sum()
    assert total == pytest.approx(area(band, crs), rel=1e-5)


def test_shells_run_counterclockwise_and_holes_clockwise():
    ring = shapely.box(0, 0, 3, 3) - shapely.box(1, 1, 2, 2)
    for polygon in (ring, ring.reverse()):
        found = on_map(polygon, "EPSG:4326")
        assert found.exterior.is_ccw
        assert not found.interiors[0].is_ccw
