import json
import threading
import time

import numpy as np
import psutil
import pytest
from affine import Affine
from rasterio.errors import RasterioIOError
from rasters import ORIGIN, texture

from geochg.options import AlignMode, AnalyzeOptions
from geochg.records import PixelWindow, Tile, TileFailure
from geochg.tiling.date_reader import DateReader
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import Preparation, prepare
from geochg.tiling.read import AHEAD_TILES, PairReader, read_ahead

SMALL = AnalyzeOptions(tile_size_px=64, overlap_px=16)


def read_all(before, after, options=SMALL, *, pixels="values", shift=False):
    pair = open_pair(before, after, options, "all")
    found = prepare(
        pair, options.align if shift else AlignMode.OFF, pixels=pixels, match=options.match
    )
    # As a resumed run has it, out of its journal.
    found = Preparation.from_dict(json.loads(json.dumps(found.to_dict())))
    tiles = list(read_ahead(found.plan(pair), pair.layout(options), 2))
    if shift:
        return pair, tiles, found
    return pair, tiles


def mosaic(pair, tiles, date="after"):
    """The cores put back together."""
    bands = getattr(tiles[0], date).shape[0]
    whole = np.zeros((bands, *pair.grid.shape), np.float32)
    valid = np.zeros(pair.grid.shape, bool)
    for tile in tiles:
        core, inner = tile.window.core, tile.window.core.slices_within(tile.window.read)
        place = (slice(core.row_start, core.row_stop), slice(core.col_start, core.col_stop))
        whole[(slice(None), *place)] = getattr(tile, date)[(slice(None), *inner)]
        valid[place] = tile.valid[inner]
    return whole, valid


def test_the_same_lattice_is_read_without_resampling(make_raster):
    data = texture(150, 200, 3)
    before = make_raster("a.tif", data)
    after = make_raster("b.tif", data[:, 20:, 30:], transform=ORIGIN * Affine.translation(30, 20))
    pair, tiles = read_all(before, after)
    for date in ("before", "after"):
        whole, valid = mosaic(pair, tiles, date)
        assert valid.all()
        assert (whole == data[:, 20:, 30:]).all()
    assert [tile.window.index for tile in tiles] == list(range(len(tiles)))


def test_a_small_raster_is_padded_with_invalid_zeros(make_raster):
    path = make_raster("a.tif", texture(40, 50))
    _, (tile,) = read_all(path, path)
    assert tile.before.shape == (1, 64, 64)
    assert tile.valid[:40, :50].all()
    assert tile.valid.sum() == 40 * 50
    assert (tile.before[:, ~tile.valid] == 0).all()


def test_another_crs_and_resolution_land_on_the_same_ground(make_raster):
    ramp = np.broadcast_to(np.arange(100, dtype=np.float32)[None, None, :] * 10, (1, 100, 100))
    before = make_raster("a.tif", ramp.copy())
    pair = open_pair(before, before, AnalyzeOptions(crs="EPSG:3035", resolution=7), "all")
    with PairReader(pair.plan()) as reader:
        values, _, valid = reader.read_values(
            PixelWindow(0, *[pair.grid.shape[0]], 0, pair.grid.shape[1])
        )
    after = make_raster(
        "b.tif",
        np.where(valid, values, -1),
        crs="EPSG:3035",
        transform=pair.grid.transform,
        nodata=-1,
    )
    pair, tiles = read_all(before, after)
    whole, valid = mosaic(pair, tiles)
    inner = valid.copy()
    inner[:5] = inner[-5:] = inner[:, :5] = inner[:, -5:] = False
    truth = ramp[0, : valid.shape[0], : valid.shape[1]]
    assert inner.sum() > 7000
    assert np.abs(whole[0] - truth)[inner].max() < 1.5  # a tenth of a pixel's step is 1


def test_both_dates_are_read_side_by_side(make_raster, monkeypatch):
    before = make_raster("a.tif", texture(64, 64))
    after = make_raster("b.tif", texture(64, 64, seed=1))
    read, both = DateReader.read, threading.Barrier(2, timeout=30)

    def read_with_the_other(*args):
        both.wait()
        return read(*args)

    monkeypatch.setattr(DateReader, "read", read_with_the_other)
    window = PixelWindow(0, 64, 0, 64)
    with PairReader(open_pair(before, after).plan()) as reader:
        first, second, _ = reader.read_values(window)
    assert (first == texture(64, 64)).all()
    assert (second == texture(64, 64, seed=1)).all()


@pytest.mark.parametrize("kind", ["nodata", "nan", "alpha", "mask"])
@pytest.mark.parametrize("moved_px", [0, 0.5])
def test_holes_of_either_date_are_not_valid(make_raster, kind, moved_px):
    data = texture(64, 64).astype(np.float32)
    hole = np.zeros((64, 64), bool)
    hole[20:30, 10:40] = True
    extra = {
        "nodata": {"nodata": -5},
        "nan": {"nodata": np.nan},
        "alpha": {"alpha": ~hole},
        "mask": {"mask": ~hole},
    }[kind]
    holed = data.copy()
    if kind in ("nodata", "nan"):
        holed[:, hole] = extra["nodata"]
    before = make_raster("a.tif", data)
    after = make_raster("b.tif", holed, transform=ORIGIN * Affine.translation(moved_px, 0), **extra)
    pair, tiles = read_all(before, after)
    whole, valid = mosaic(pair, tiles)
    assert not valid[20:30, 12:39].any()
    ring = ~hole
    ring[18:32, 8:42] = False
    ring[:, -2:] = ring[:, :2] = False
    assert valid[ring].all()
    assert (whole[:, ~valid] == 0).all()


@pytest.mark.parametrize("moved_px", [0, 0.5])
def test_a_band_wrongly_marked_as_alpha_is_data_when_asked_for(make_raster, moved_px):
    """GDAL marks the fourth band of four so; zeros in the infrared are then no holes."""
    data = texture(64, 64)
    infrared = np.zeros((64, 64), bool)
    infrared[:, 40:] = True
    before = make_raster("a.tif", data, alpha=infrared)
    place = ORIGIN * Affine.translation(moved_px, 0)
    after = make_raster("b.tif", data, alpha=infrared, transform=place)
    pair, tiles = read_all(before, after, AnalyzeOptions(bands=("red=1", "nir=2")))
    whole, valid = mosaic(pair, tiles)
    assert valid[:, 2:-2].all()
    assert (whole[1][:, 2:38] == 0).all()
    assert whole[1][:, 45:60].min() > 250


def test_nan_without_a_declared_nodata_is_a_hole(make_raster):
    data = texture(64, 64).astype(np.float32)
    data[0, 5, 5] = np.nan
    _, (tile,) = read_all(make_raster("a.tif", data), make_raster("b.tif", texture(64, 64)))
    assert not tile.valid[5, 5]
    assert np.isfinite(tile.before).all()


def test_a_zero_in_one_band_is_a_value_where_zero_is_nodata(make_raster):
    data = texture(64, 64, 2)
    data[1, 30:40] = 0
    data[:, :5] = 0
    path = make_raster("a.tif", data, nodata=0)
    _, (tile,) = read_all(path, path)
    assert tile.valid[30:40].all()
    assert not tile.valid[:5].any()


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_pairs_in_degrees_meet_across_the_antimeridian(make_raster, turn):
    data = texture(64, 128)
    before = make_raster(
        "a.tif", data, crs="EPSG:4326", transform=Affine(0.01, 0, 179.5, 0, -0.01, 1)
    )
    after = make_raster(
        "b.tif", data, crs="EPSG:4326", transform=Affine(0.01, 0, 179.505 + turn, 0, -0.01, 1)
    )
    pair, tiles = read_all(before, after)
    whole, valid = mosaic(pair, tiles)
    assert valid[:, 2:-2].mean() > 0.99
    assert np.corrcoef(whole[0][valid], data[0, :, : valid.shape[1]][valid])[0, 1] > 0.98


def test_a_projected_grid_reads_a_raster_in_degrees_over_the_antimeridian(make_raster):
    from pyproj import Transformer

    xs, ys = Transformer.from_crs(4326, 32760, always_xy=True).transform([179.6], [-0.2])
    before = make_raster(
        "a.tif",
        texture(100, 180),
        crs="EPSG:32760",
        transform=Affine(500, 0, xs[0], 0, -500, ys[0]),
    )
    after = make_raster(
        "b.tif", texture(150, 250), crs="EPSG:4326", transform=Affine(0.01, 0, 179, 0, -0.01, 0.5)
    )
    pair, tiles = read_all(before, after)
    _, valid = mosaic(pair, tiles)
    assert valid.mean() > 0.99


def test_a_clear_shift_is_measured_and_read_away(make_raster):
    ground = texture(600, 600)
    before = make_raster("a.tif", ground[:, 10:522, 10:522])
    after = make_raster("b.tif", ground[:, 7:519, 14:526])  # content lies 4 px left, 3 px down
    options = AnalyzeOptions(tile_size_px=128, overlap_px=16)
    pair, tiles, found = read_all(before, after, options, shift=True)
    assert found.corrected
    assert found.shift.dx_px == pytest.approx(-4, abs=0.1)
    assert found.shift.dy_px == pytest.approx(3, abs=0.1)
    whole, valid = mosaic(pair, tiles)
    truth = ground[0, 10:522, 10:522]
    assert np.abs(whole[0] - truth)[valid].mean() < 1
    assert valid.mean() > 0.97


@pytest.mark.parametrize("mode", [AlignMode.REPORT, AlignMode.OFF])
def test_a_shift_is_left_when_not_asked_to_correct(make_raster, mode):
    ground = texture(600, 600)
    before = make_raster("a.tif", ground[:, 10:522, 10:522])
    after = make_raster("b.tif", ground[:, 7:519, 14:526])
    pair, tiles, found = read_all(before, after, AnalyzeOptions(align=mode), shift=True)
    assert not found.corrected
    assert (found.shift is None) == (mode is AlignMode.OFF)
    whole, _ = mosaic(pair, tiles)
    assert (whole[0] == ground[0, 7:519, 14:526]).all()


def test_display_pixels_are_stretched_alike_in_every_tile(make_raster):
    data = texture(200, 200, 3).astype(np.uint16) * 40
    path = make_raster("a.tif", data, names=["red", "green", "blue"])
    pair, tiles = read_all(path, path, pixels="display")
    assert tiles[0].before.dtype == np.uint8
    whole, _ = mosaic(pair, tiles, "before")
    # One value of the source is one value of the display, wherever it lies.
    for value in np.unique(data[0])[::20]:
        assert len(np.unique(whole[0][data[0] == value])) == 1
    assert whole.min() == 0
    assert whole.max() == 255


def test_matching_takes_a_gain_out(make_raster):
    data = texture(200, 200, 2).astype(np.float32)
    before = make_raster("a.tif", data)
    after = make_raster("b.tif", data * 1.5 + 20)
    pair, tiles = read_all(before, after, AnalyzeOptions(match=True))
    whole, _ = mosaic(pair, tiles)
    assert np.abs(whole - data).max() < 1


def test_dates_too_unlike_to_match_are_left_as_they_are(make_raster):
    before = make_raster("a.tif", texture(200, 200, seed=1))
    after = make_raster("b.tif", texture(200, 200, seed=2))
    pair = open_pair(before, after, AnalyzeOptions(), "all")
    found = prepare(pair, AlignMode.OFF, match=True)
    assert not found.matched
    assert found.matching()["applied"] is False
    assert found.plan(pair).after.match is None


def test_the_area_of_interest_limits_what_is_valid(make_raster):
    path = make_raster("a.tif", texture(128, 128))
    circle = "POLYGON((500300 4999900, 500900 4999400, 500300 4998900, 500300 4999900))"
    pair, tiles = read_all(path, path, AnalyzeOptions(aoi=f"EPSG:32633;{circle}"))
    _, valid = mosaic(pair, tiles)
    assert pair.grid.shape == (100, 60)
    assert valid.mean() == pytest.approx(0.5, abs=0.02)


def damage(path, at, length=4000):
    """Overwrites a stretch of a file's compressed pixels."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * length)


def test_a_damaged_block_fails_its_tiles_and_no_others(make_raster):
    data = np.random.default_rng(0).integers(0, 255, (1, 256, 256), dtype=np.uint8)
    settings = {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64}
    before = make_raster("a.tif", data, **settings)
    after = make_raster("b.tif", data, **settings)
    damage(after, after.stat().st_size // 2, 600)
    options = AnalyzeOptions(tile_size_px=64, overlap_px=0)
    _, tiles = read_all(before, after, options)
    failed = [tile for tile in tiles if isinstance(tile, TileFailure)]
    assert 1 <= len(failed) <= 2
    assert all("b.tif" in failure.reason for failure in failed)
    assert len(tiles) == 16
    good = [tile for tile in tiles if isinstance(tile, Tile)]
    assert all((tile.before == tile.after).all() for tile in good)


def test_what_fails_once_is_read_again(make_raster, monkeypatch):
    path = make_raster("a.tif", texture(64, 64))
    real, calls = DateReader.read_finished, []

    def stumbling(self, window):
        calls.append(window)
        if len(calls) == 1:
            raise RasterioIOError("the network went away")
        return real(self, window)

    monkeypatch.setattr(DateReader, "read_finished", stumbling)
    _, (tile,) = read_all(path, path)
    assert isinstance(tile, Tile)
    assert len(calls) == 3  # once more for the date that stumbled


def test_failing_reads_leave_no_file_open(make_raster, monkeypatch):
    path = make_raster("a.tif", texture(512, 512))

    def failing(self, window):
        raise RasterioIOError("nothing to be had")

    monkeypatch.setattr(DateReader, "read_finished", failing)
    pair = open_pair(path, path, SMALL, "all")
    opened = psutil.Process().num_fds if hasattr(psutil.Process, "num_fds") else lambda: 0
    before = opened()
    reading = read_ahead(pair.plan(), pair.layout(SMALL), 2)
    held = [opened() for _ in reading]
    assert len(held) == len(pair.layout(SMALL))
    assert max(held) - before < 20


def test_a_raster_that_is_gone_fails_its_tiles(make_raster):
    before = make_raster("a.tif", texture(128, 128))
    after = make_raster("b.tif", texture(128, 128))
    pair = open_pair(before, after, SMALL, "all")
    after.unlink()
    tiles = list(read_ahead(pair.plan(), pair.layout(SMALL), 2))
    assert all(isinstance(tile, TileFailure) for tile in tiles)
    assert "b.tif" in tiles[0].reason
    assert all(tile.is_permanent for tile in tiles)


@pytest.mark.parametrize(
    ("reason", "is_permanent"),
    [
        ("HTTP response code: 403", True),
        ("HTTP response code: 404", True),
        ("HTTP error code : 401", True),
        ("HTTP response code: 503", False),
        ("HTTP response code: 429", False),
        ("TIFFReadEncodedTile() failed.", False),
        ("block 403, 404 cannot be read", False),
    ],
)
def test_what_a_server_bars_is_not_asked_for_again(make_raster, monkeypatch, reason, is_permanent):
    asked = []

    def failing(self, window):
        asked.append(window)
        raise RasterioIOError(reason)

    monkeypatch.setattr(DateReader, "read_finished", failing)
    path = make_raster("a.tif", texture(64, 64))
    pair = open_pair(path, make_raster("b.tif", texture(64, 64)), SMALL, "all")
    (tile,) = read_ahead(pair.plan(), list(pair.layout(SMALL))[:1], 2)
    assert tile.is_permanent is is_permanent
    assert reason in tile.reason
    assert len(asked) == (2 if is_permanent else 4)


def test_all_threads_of_a_date_work_on_one_long_row(make_raster, monkeypatch):
    path = make_raster("a.tif", texture(64, 2048))
    pair = open_pair(path, path, SMALL, "all")
    names = set()

    def seen(self, window):
        names.add(threading.current_thread().ident)
        time.sleep(0.01)
        return np.zeros((1, 64, 64), np.float32), np.ones((64, 64), bool)

    monkeypatch.setattr(DateReader, "read_finished", seen)
    list(read_ahead(pair.plan(), pair.layout(SMALL), 6))
    assert len(names) == 6


def test_reading_ahead_holds_few_tiles(make_raster, monkeypatch):
    path = make_raster("a.tif", texture(512, 512))
    pair = open_pair(path, path, SMALL, "all")
    real, started = DateReader.read_finished, []

    def counting(self, window):
        started.append(window)
        return real(self, window)

    monkeypatch.setattr(DateReader, "read_finished", counting)
    tiles = read_ahead(pair.plan(), pair.layout(SMALL), 2)
    next(tiles)
    assert len(started) <= 2 * AHEAD_TILES
    tiles.close()
    assert len(started) <= 2 * AHEAD_TILES
