import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.records import PixelWindow
from geochg.tiling.aoi import cut_to_area

GRID = GeoBox((200, 300), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
WHOLE = PixelWindow(0, 50, 0, 60)
BOX = "EPSG:32633;500500,4998500,501100,4999000"  # columns 50-110, rows 100-150


def test_a_box_cuts_the_grid_to_its_pixels():
    grid, area = cut_to_area(GRID, BOX)
    assert grid.shape == (50, 60)
    assert grid.transform == GRID.transform * Affine.translation(50, 100)
    assert area.mask(WHOLE).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "text",
    [
        "-inf,-inf,inf,inf",
        "-1e308,-1e308,1e308,1e308",
        "EPSG:32633;-inf,-inf,inf,inf",
        "EPSG:32633;0,0,1e16,1",
        "EPSG:32633;POLYGON((0 0, inf 0, inf inf, 0 inf, 0 0))",
        "POLYGON((nan nan, 1 1, 2 2, nan nan))",
    ],
)
def test_coordinates_that_no_crs_has_are_refused(text):
    with pytest.raises(OptionError):
        cut_to_area(GRID, text)


def test_a_box_in_lonlat_covers_the_same_ground():
    bounds = GRID[100:150, 50:110].geographic_extent.boundingbox.bbox
    grid, _ = cut_to_area(GRID, ",".join(map(str, bounds)))
    assert tuple(grid.shape) == pytest.approx((50, 60), abs=3)


def test_the_whole_world_is_all_of_the_grid():
    grid, area = cut_to_area(GRID, "-180,-90,180,90")
    assert grid == GRID
    assert area.mask(PixelWindow(0, 200, 0, 300)).all()


@pytest.mark.parametrize(
    ("west", "area"), [(190, "-169.5,8.5,-169,9"), (179, "-179.5,8.5,-179.2,9")]
)
def test_an_area_is_found_on_the_grids_turn_of_the_globe(west, area):
    grid = GeoBox((200, 200), Affine(0.01, 0, west, 0, -0.01, 10), "EPSG:4326")
    cut, _ = cut_to_area(grid, area)
    assert cut.shape[0] == 50
    assert cut.transform.c == pytest.approx(float(area.split(",")[0]) + 360)


def test_an_area_elsewhere_is_refused_on_a_grid_in_degrees():
    grid = GeoBox((200, 200), Affine(0.01, 0, 10, 0, -0.01, 10), "EPSG:4326")
    with pytest.raises(InputError, match="outside"):
        cut_to_area(grid, "20,40,21,41")


def test_a_polygon_that_crosses_itself_is_mended():
    bow = (
        "POLYGON((500500 4998500, 501100 4999000, 501100 4998500, 500500 4999000, 500500 4998500))"
    )
    _, area = cut_to_area(GRID, f"EPSG:32633;{bow}")
    assert area.mask(WHOLE).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("srid", ["EPSG:32633", "SRID=32633"])
def test_wkt_masks_what_lies_outside_the_polygon(srid):
    triangle = "POLYGON((500500 4998500, 501100 4998500, 500500 4999000, 500500 4998500))"
    grid, area = cut_to_area(GRID, f"{srid};{triangle}")
    mask = area.mask(WHOLE)
    assert grid.shape == (50, 60)
    assert mask.mean() == pytest.approx(0.5, abs=0.02)
    assert mask[-1, 0]
    assert not mask[0, -1]


def test_masks_of_windows_fit_together():
    _, area = cut_to_area(GRID, "EPSG:32633;" + shapely.Point(501_000, 4_999_000).buffer(300).wkt)
    whole = area.mask(PixelWindow(0, 60, 0, 60))
    parts = [area.mask(PixelWindow(0, 60, col, col + 20)) for col in (0, 20, 40)]
    assert (np.concatenate(parts, axis=1) == whole).all()
    assert whole.sum() * 100 == pytest.approx(np.pi * 300**2, rel=0.02)


@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_a_vector_file_in_another_crs(tmp_path, suffix):
    path = tmp_path / f"area.{suffix}"
    frame = gpd.GeoDataFrame(
        geometry=[shapely.box(500_500, 4_998_500, 501_100, 4_999_000)], crs=32633
    )
    frame.to_crs(4326).to_file(path)
    grid, _ = cut_to_area(GRID, str(path))
    assert tuple(grid.shape) == pytest.approx((50, 60), abs=3)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("10,10,11,11", InputError, "outside"),
        ("EPSG:32633;0,0,10,10", InputError, "outside"),
        ("500500,4998500,501100,4999000", OptionError, "not in longitude and latitude"),
        ("3,2,1,0", OptionError, "no area"),
        ("POLYGON((0 0, 1 1", OptionError, "not valid WKT"),
        ("EPSG:99999;0,0,1,1", OptionError, "no CRS"),
        ("missing.gpkg", InputError, "nor a file that is there"),
        ("1,2,3", InputError, "neither a box nor a polygon"),
        ("POINT(15 45)", InputError, "neither a box nor a polygon"),
        ("LINESTRING(" + "15 45, " * 200 + "15 45)", InputError, "neither a box"),
    ],
)
def test_areas_that_cannot_be_used(text, error, message):
    with pytest.raises(error, match=message) as caught:
        cut_to_area(GRID, text)
    assert caught.value.hint


def test_files_that_cannot_be_used(tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("no vector file")
    with pytest.raises(InputError, match="not a vector file"):
        cut_to_area(GRID, str(text))
    points = tmp_path / "points.geojson"
    points.write_text(json.dumps({"type": "Point", "coordinates": [15, 45]}))
    with pytest.raises(InputError, match="no polygon"):
        cut_to_area(GRID, str(points))
    bare = tmp_path / "bare.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]).to_file(bare)
    with pytest.raises(InputError, match="no coordinate reference system"):
        cut_to_area(GRID, str(bare))
