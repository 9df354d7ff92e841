import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geochg.errors import InputError, OptionError
from geochg.records import PixelWindow
from geochg.tiling.footprints import footprint, pixel_polygon
from geochg.tiling.grid import (
    Lattice,
    covered_window,
    pixel_area_m2,
    shared_grid,
    shared_lattice,
)

UTM = GeoBox((200, 300), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")


def moved(grid, dx_px, dy_px, shape=None):
    return GeoBox(shape or grid.shape, grid.transform * Affine.translation(dx_px, dy_px), grid.crs)


def grid_of(*grids, **options):
    return shared_grid(grids, paths=("a.tif", "b.tif"), **options)


def test_the_grid_is_the_before_lattice_cut_to_the_overlap():
    grid = grid_of(UTM, moved(UTM, 50.5, -20))
    assert grid.shape == (180, 250)
    assert grid.transform == UTM.transform * Affine.translation(50, 0)


def test_a_whole_pixel_offset_is_one_lattice_and_half_a_pixel_is_not():
    lattice = shared_lattice(moved(UTM, -7, -3), UTM)
    assert lattice.source_window(PixelWindow(0, 2, 0, 4)) == PixelWindow(3, 5, 7, 11)
    assert lattice.grid_window(PixelWindow(3, 5, 7, 11)) == PixelWindow(0, 2, 0, 4)
    assert shared_lattice(moved(UTM, 0.5, 0), UTM) is None
    finer = GeoBox((400, 600), UTM.transform * Affine.scale(0.5), UTM.crs)
    assert shared_lattice(finer, UTM) is None
    assert shared_lattice(GeoBox(UTM.shape, UTM.transform, "EPSG:32634"), UTM) is None


def test_one_lattice_is_one_on_either_turn_of_the_globe():
    east = GeoBox((10, 10), Affine(0.01, 0, 190, 0, -0.01, 0), "EPSG:4326")
    west = GeoBox((10, 10), Affine(0.01, 0, -170, 0, -0.01, 0), "EPSG:4326")
    assert shared_lattice(west, east) == shared_lattice(east, west) == Lattice()


def test_no_overlap_is_refused_by_name():
    with pytest.raises(InputError, match=r"a\.tif and b\.tif do not overlap"):
        grid_of(UTM, moved(UTM, 300, 0))


def test_ground_that_the_grid_has_no_place_for_does_not_overlap():
    polygon = shapely.box(0, 0, np.inf, np.inf)
    assert covered_window(polygon, UTM) is None
    assert covered_window(shapely.Polygon(), UTM) is None


def test_another_crs_covers_the_same_ground():
    lonlat = UTM.to_crs("EPSG:4326")
    grid = grid_of(UTM, lonlat)
    assert grid.crs == UTM.crs
    assert grid.shape == UTM.shape


def test_crs_and_resolution_are_taken_from_the_options():
    grid = grid_of(UTM, UTM, crs="EPSG:3035", resolution=25)
    assert grid.crs == "EPSG:3035"
    assert abs(grid.transform.a) == 25
    ground = shapely.area(UTM.extent.geom)
    assert shapely.area(grid.extent.geom) == pytest.approx(ground, rel=0.2)


def test_another_crs_keeps_the_ground_size_of_a_pixel():
    grid = grid_of(UTM, UTM, crs="EPSG:3857")
    assert grid.transform.a == pytest.approx(10 / np.cos(np.radians(45)), rel=0.01)
    assert grid.shape[0] * grid.shape[1] == pytest.approx(200 * 300, rel=0.1)


def test_a_crs_the_pair_has_no_place_in_is_refused():
    peru = GeoBox((10, 10), Affine(0.01, 0, -75, 0, -0.01, 0), "EPSG:4326")
    with pytest.raises(OptionError, match="no place"):
        grid_of(peru, peru, crs="EPSG:32633")


def test_resolution_alone_keeps_crs_and_corner():
    grid = grid_of(UTM, UTM, resolution=25)
    assert (grid.transform.a, grid.transform.c, grid.transform.f) == (25, 500_000, 5_000_000)
    assert grid.shape == (80, 120)


def test_rotated_grids_stay_rotated():
    rotated = GeoBox((200, 200), UTM.transform * Affine.rotation(30), UTM.crs)
    grid = grid_of(rotated, UTM)
    assert grid.transform.b != 0
    assert shared_lattice(rotated, grid) is not None
    coarser = grid_of(rotated, UTM, resolution=20)
    assert np.sqrt(abs(coarser.transform.determinant)) == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize("crs", ["EPSG:999999", "nonsense"])
def test_a_crs_that_is_none_is_refused(crs):
    with pytest.raises(OptionError, match="CRS"):
        grid_of(UTM, UTM, crs=crs)


def test_a_resolution_coarser_than_the_image_is_refused():
    with pytest.raises(OptionError, match="coarser"):
        grid_of(UTM, UTM, resolution=1e6)


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_grids_in_degrees_meet_across_the_antimeridian(turn):
    before = GeoBox((100, 200), Affine(0.01, 0, 179, 0, -0.01, 1), "EPSG:4326")
    after = GeoBox((100, 200), Affine(0.01, 0, 179.5 + turn, 0, -0.01, 1), "EPSG:4326")
    grid = grid_of(before, after)
    assert grid.shape == (100, 150)
    assert grid.transform.c == pytest.approx(179.5)


def test_a_utm_raster_meets_a_grid_in_degrees_across_the_antimeridian():
    before = GeoBox((100, 200), Affine(0.01, 0, 179, 0, -0.01, 0), "EPSG:4326")
    xs, ys = Transformer.from_crs(4326, 32760, always_xy=True).transform([179.6], [-0.2])
    after = GeoBox((200, 400), Affine(200, 0, xs[0], 0, -200, ys[0]), "EPSG:32760")
    grid = grid_of(before, after)
    assert grid.transform.c == pytest.approx(179.6, abs=0.011)
    assert grid.shape[1] == pytest.approx(72, abs=2)  # 80 km at the equator


def test_a_projected_grid_over_the_antimeridian_becomes_one_in_degrees():
    xs, ys = Transformer.from_crs(4326, 32760, always_xy=True).transform([179.8], [-0.2])
    utm = GeoBox((200, 400), Affine(200, 0, xs[0], 0, -200, ys[0]), "EPSG:32760")
    grid = grid_of(utm, utm, crs="EPSG:4326")
    assert grid.shape[1] < 1000  # not once around the globe


def test_pixel_polygon_brings_a_footprint_to_pixels():
    polygon = pixel_polygon(footprint(moved(UTM, 10, 20)), UTM.crs, UTM)
    assert np.allclose(polygon.bounds, (10, 20, 310, 220))
    window = covered_window(polygon, UTM)
    assert (window.row_start, window.row_stop, window.col_start, window.col_stop) == (
        20,
        200,
        10,
        300,
    )


def test_pixel_area_is_that_of_the_ground():
    scale = 0.9996**2  # UTM shrinks distances on its central meridian
    assert pixel_area_m2(UTM) == pytest.approx(100 / scale, rel=1e-3)
    degrees = GeoBox((10, 10), Affine(0.001, 0, 10, 0, -0.001, 60), "EPSG:4326")
    assert pixel_area_m2(degrees) == pytest.approx(111.4 * 55.8, rel=5e-3)


def test_many_geometries_are_placed_by_one_transformer(monkeypatch):
    from geochg.geometry.placement import transformer

    made, make = [], Transformer.from_crs
    monkeypatch.setattr(Transformer, "from_crs", lambda *a, **k: made.append(a) or make(*a, **k))
    transformer.cache_clear()
    crs = GeoBox((1, 1), Affine.identity(), "EPSG:4326").crs
    places = [pixel_polygon(shapely.Point(15 + n / 1e4, 45.1), crs, UTM) for n in range(20)]
    assert len(made) <= 2  # one there, and one back for the bounds of the grid
    assert np.diff([place.x for place in places]).min() > 0
