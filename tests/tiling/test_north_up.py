"""The common grid has the north on top, whichever way the rasters lie."""

from itertools import product

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM, texture

from geochg.geometry.orientation import Turn
from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.grid import shared_lattice, turn_to
from geochg.tiling.north_up import north_up
from geochg.tiling.pair import open_pair
from geochg.tiling.read import PairReader

TURNS = [Turn(*bits) for bits in product((False, True), repeat=3)]
GRID = GeoBox((5, 7), ORIGIN, UTM)


def names(turn):
    return (
        "".join(
            "TRC"[i]
            for i, bit in enumerate((turn.transposed, turn.rows_reversed, turn.cols_reversed))
            if bit
        )
        or "none"
    )


every_turn = pytest.mark.parametrize("turn", TURNS, ids=names)


def lying(turn, grid=GRID):
    """A grid that lies so that the turn brings it north up."""
    return turn.inverse.grid(grid)


# --- turns ---------------------------------------------------------------------------------------


@every_turn
def test_a_turn_and_its_inverse_are_nothing(turn):
    pixels = np.arange(70).reshape(2, 5, 7)
    assert (turn.inverse.turned_pixels(turn.turned_pixels(pixels)) == pixels).all()
    assert turn.turned_pixels(pixels).shape[1:] == turn.shape((5, 7))


@every_turn
def test_pixels_and_coordinates_are_turned_alike(turn):
    pixels = np.arange(35).reshape(5, 7)
    turned = turn.turned_pixels(pixels)
    to_source = turn.to_source(turned.shape)
    for row, col in np.ndindex(turned.shape):
        x, y = to_source * (col + 0.5, row + 0.5)
        assert turned[row, col] == pixels[int(y), int(x)]


@every_turn
def test_the_turn_between_two_grids_is_found(turn):
    assert Turn.of(turn.to_source((5, 7))) == turn
    assert turn_to(GRID, turn.grid(GRID)) == turn


@every_turn
def test_blocks_are_turned_to_their_place(turn):
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    windows = [PixelWindow(0, 2, 0, 7), PixelWindow(2, 5, 0, 3), PixelWindow(2, 5, 3, 7)]
    whole = PixelWindow(0, 5, 0, 7)
    blocks = [(window, pixels[window.slices_within(whole)]) for window in windows]
    turned = np.zeros(turn.shape((5, 7)), np.uint8)
    for window, part in turn.blocks(blocks, (5, 7)):
        turned[window.row_start : window.row_stop, window.col_start : window.col_stop] = part
    assert (turned == turn.turned_pixels(pixels)).all()


# --- grids ---------------------------------------------------------------------------------------


@every_turn
def test_every_lie_of_one_lattice_becomes_the_north_up_one(turn):
    assert north_up(lying(turn)) == GRID
    lattice = shared_lattice(lying(turn), GRID)
    assert lattice is not None
    assert lattice.turn == turn


@pytest.mark.parametrize("degrees", [-170, -100, -44, 0, 30, 46, 90, 135.5, 160, 180])
@pytest.mark.parametrize("mirror", [1, -1])
def test_a_rotated_grid_is_brought_to_its_nearest_turn(degrees, mirror):
    placed = (
        Affine.translation(5e5, 5e6) * Affine.rotation(degrees) * Affine.scale(10 * mirror, -10)
    )
    grid = north_up(GeoBox((5, 7), placed, UTM))
    across = np.array([grid.transform.a, grid.transform.d]) / 10
    down = np.array([grid.transform.b, grid.transform.e]) / 10
    assert across[0] >= np.cos(np.radians(45.01))
    assert down[1] <= -np.cos(np.radians(45.01))


@pytest.mark.parametrize(
    ("crs", "x", "y", "down"),
    [
        ("EPSG:3413", 0, -2e6, (0, -1)),  # 45 W, where the CRS has the north on top
        ("EPSG:3413", 2e6, 0, (1, 0)),  # 45 E, where the north is on the left of it
        ("EPSG:3413", 0, 2e6, (0, 1)),
        ("EPSG:3031", 0, 2e6, (0, -1)),  # away from the pole lies the north
        ("EPSG:3031", 0, -2e6, (0, 1)),
        ("EPSG:2193", 1.6e6, 5.4e6, (0, -1)),  # a CRS of which the first axis is the northing
    ],
)
def test_north_is_that_of_the_earth(crs, x, y, down):
    grid = north_up(GeoBox((8, 8), Affine(1000, 0, x, 0, -1000, y), crs))
    assert np.allclose(np.array([grid.transform.b, grid.transform.e]) / 1000, down)
    assert grid.transform.determinant < 0


def test_a_grid_that_holds_the_pole_lies_as_its_crs_does():
    grid = GeoBox((8, 8), Affine(1000, 0, -3000, 0, -1000, 5000), "EPSG:3413")
    assert north_up(grid) == grid
    assert north_up(lying(Turn(rows_reversed=True), grid)) == grid


# --- reading -------------------------------------------------------------------------------------


@every_turn
@pytest.mark.parametrize("kind", ["plain", "nodata", "float"])
def test_a_raster_is_read_north_up_however_it_lies(make_raster, turn, kind):
    values = texture(40, 60, 3)
    if kind == "nodata":
        values[:, 5:9, 20:40] = 0
    if kind == "float":
        values = values.astype(np.float32)
        values[:, 5:9, 20:40] = np.nan
    place = lying(turn, GeoBox((40, 60), ORIGIN, UTM)).transform
    nodata = {"nodata": 0} if kind == "nodata" else {}
    lain = np.ascontiguousarray(turn.inverse.turned_pixels(values))
    twin = make_raster("twin.tif", values, **nodata)
    before = make_raster("a.tif", lain, transform=place, **nodata)
    pair = open_pair(before, twin, AnalyzeOptions(), "all")
    assert pair.grid.shape == (40, 60)
    # A window that reaches over the edge, and all of it at half the resolution.
    for window, shape in (
        (PixelWindow(-3, 30, 10, 70), None),
        (PixelWindow(0, 40, 0, 60), (20, 30)),
    ):
        with PairReader(pair.plan()) as reader:
            one, other, valid = reader.read_values(window, shape)
        assert valid.any()
        assert valid.all() == (kind == "plain" and shape is not None)
        if shape is None:
            assert (one == other).all()


@every_turn
def test_the_heatmap_lies_as_the_before_raster_does(make_raster, turn):
    place = lying(turn, GeoBox((40, 60), ORIGIN, UTM))
    before = make_raster("a.tif", texture(*place.shape), transform=place.transform)
    pair = open_pair(before, make_raster("b.tif", texture(40, 60)), AnalyzeOptions(), "all")
    assert pair.turn_to_before.grid(pair.grid) == place
