"""Areas over the antimeridian and the poles: the pixels whose centres lie in them, no others."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geochg.errors import InputError, OptionError
from geochg.records import PixelWindow
from geochg.tiling.aoi import cut_to_area, square_around
from geochg.tiling.footprints import lonlat_box

SIZE = 64


def polar(crs="EPSG:3413", reach=1_280_000, centre=(0, 0)):
    pixel = 2 * reach / SIZE
    place = Affine(pixel, 0, centre[0] - reach, 0, -pixel, centre[1] + reach)
    return GeoBox((SIZE, SIZE), place, crs)


NORTH, SOUTH = polar(), polar("EPSG:3031")
NEAR = polar(reach=200_000, centre=(700_000, 500_000))
DEGREES = GeoBox((SIZE, SIZE), Affine(4 / SIZE, 0, 178, 0, -4 / SIZE, 2), "EPSG:4326")
UTM60 = GeoBox((SIZE, SIZE), Affine(6000, 0, 650_000, 0, -6000, 200_000), "EPSG:32660")
CAP = GeoBox((SIZE, SIZE), Affine(360 / SIZE, 0, -180, 0, -10 / SIZE, 90), "EPSG:4326")
GRIDS = {"north": NORTH, "south": SOUTH, "near": NEAR, "degrees": DEGREES, "utm": UTM60}


def looked_at(grid, text):
    cut, area = cut_to_area(grid, text)
    mask = np.zeros(grid.shape, bool)
    col, row = (round(at) for at in ~grid.transform * (cut.transform.c, cut.transform.f))
    height, width = cut.shape
    mask[row : row + height, col : col + width] = area.mask(PixelWindow(0, height, 0, width))
    return mask


def lonlat(grid):
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    to_degrees = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    return to_degrees.transform(*(grid.transform * (cols, rows)))


def inside(grid, west, south, east, north):
    lon, lat = lonlat(grid)
    east = east + 360 if east <= west else east
    return ((lon - west) % 360 <= east - west) & (lat >= south) & (lat <= north)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("degrees", (179.5, -0.5, -179.5, 0.75)),
        ("degrees", (179.5, -0.5, 180.5, 0.75)),
        ("utm", (179.5, -0.5, -179.5, 0.75)),
        ("north", (-180, 84, 180, 90)),
        ("north", (0, 82, 180, 90)),
        ("north", (20, 82, 100, 88)),
        ("north", (150, 82, -140, 88)),
        ("north", (-180, 82, 180, 86)),
        ("north", (0, 84, 360, 90)),
        ("south", (-180, -90, 180, -84)),
        ("south", (170, -90, -170, -82)),
        ("near", (60, 80, 100, 83)),
    ],
)
def test_a_box_is_the_pixels_within_it(name, bounds):
    grid = GRIDS[name]
    wanted = (
        inside(grid, *bounds)
        if bounds[2] - bounds[0] < 360
        else ((lonlat(grid)[1] >= bounds[1]) & (lonlat(grid)[1] <= bounds[3]))
    )
    wrong = looked_at(grid, ",".join(map(str, bounds))) ^ wanted
    assert wanted.any()
    assert wrong.sum() <= max(0.02 * wanted.sum(), 30)  # centres on the border count or do not


def test_a_cap_as_a_polygon_of_a_file(tmp_path):
    ring = [(-180, 84), (-90, 84), (0, 84), (90, 84), (180, 84), (180, 90), (-180, 90)]
    gpd.GeoDataFrame(geometry=[shapely.Polygon(ring)], crs=4326).to_file(tmp_path / "a.geojson")
    wrong = looked_at(NORTH, str(tmp_path / "a.geojson")) ^ (lonlat(NORTH)[1] >= 84)
    assert wrong.sum() <= 12


def test_two_parts_that_meet_at_the_antimeridian(tmp_path):
    parts = shapely.MultiPolygon(
        [shapely.box(179.5, -0.5, 180, 0.75), shapely.box(-180, -0.5, -179.5, 0.75)]
    )
    gpd.GeoDataFrame(geometry=[parts], crs=4326).to_file(tmp_path / "a.geojson")
    for grid in (DEGREES, UTM60):
        wrong = looked_at(grid, str(tmp_path / "a.geojson")) ^ inside(
            grid, 179.5, -0.5, -179.5, 0.75
        )
        assert wrong.sum() <= 12


def test_an_area_over_the_pole_on_a_grid_in_degrees():
    mask = looked_at(CAP, "EPSG:3413;-300000,-300000,300000,300000")
    x, y = Transformer.from_crs(4326, 3413, always_xy=True).transform(*lonlat(CAP))
    wrong = mask ^ ((np.abs(x) <= 300_000) & (np.abs(y) <= 300_000))
    assert wrong.sum() <= 0.02 * mask.sum()


@pytest.mark.parametrize("name", GRIDS)
def test_the_bounds_that_are_printed_cover_the_grid(name):
    with pytest.raises(InputError, match="outside") as told:
        cut_to_area(GRIDS[name], "10,40,11,41")
    bounds = told.value.hint.split()[3]
    assert looked_at(GRIDS[name], bounds).mean() > 0.97


def test_the_bounds_of_a_grid_that_holds_a_pole_reach_all_around_it():
    assert lonlat_box(NORTH)[0::2] == (-180, 180)
    assert lonlat_box(NORTH).north == 90
    assert lonlat_box(SOUTH).south == -90


@pytest.mark.parametrize("text", ["10,80,20,91", "-180,-95,180,90", "10,0,600,10"])
def test_boxes_beyond_the_globe_are_refused(text):
    with pytest.raises(OptionError, match="not in longitude and latitude"):
        cut_to_area(NORTH, text)


def test_a_file_beyond_the_globe_is_refused(tmp_path):
    shape = shapely.box(10, 80, 20, 120)
    gpd.GeoDataFrame(geometry=[shape], crs=4326).to_file(tmp_path / "a.gpkg")
    with pytest.raises(InputError, match="beyond longitude and latitude"):
        cut_to_area(NORTH, str(tmp_path / "a.gpkg"))


def test_the_pole_itself_is_a_place():
    square = square_around(NORTH, (0, 90), 8)
    assert square.transform * (4, 4) == pytest.approx((0, 0), abs=40_000)


@pytest.mark.parametrize("lon", [-170, 10, 179, 190])
def test_a_place_on_a_grid_around_the_globe(lon):
    square = square_around(CAP, (lon, 85), 2)
    middle = square.transform * (1, 1)
    assert (middle[0] - lon + 180) % 360 - 180 == pytest.approx(0, abs=6)
