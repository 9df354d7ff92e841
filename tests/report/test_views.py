import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM, put, texture
from report_pages import open_pictures

from geochg.records import PixelWindow
from geochg.report.changes import svg_path
from geochg.report.pictures import pictures_of
from geochg.report.views import DateView, ViewSize
from geochg.tiling.source import read_source


def view_of(path, grid, size=None):
    (picture,) = open_pictures([str(path)], grid)
    return DateView(picture, grid, size or ViewSize.of(grid))


def test_a_small_image_is_shown_pixel_by_pixel(tmp_path):
    data = texture(40, 60, 3)
    grid = GeoBox((40, 60), ORIGIN, UTM)
    with view_of(put(tmp_path / "a.tif", data), grid) as view:
        assert np.array_equal(view.pixels[..., :3], data.transpose(1, 2, 0))
        assert (view.pixels[..., 3] == 255).all()


def test_a_large_image_is_shown_by_the_mean_of_its_pixels(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (1, 1300, 3200), np.uint8).repeat(3, axis=0)
    grid = GeoBox((1300, 3200), ORIGIN, UTM)
    size = ViewSize.of(grid)
    assert (size.width_px, size.height_px) == (1600, 650)
    with view_of(put(tmp_path / "a.tif", data), grid) as view:
        mean = data[0].reshape(650, 2, 1600, 2).mean(axis=(1, 3))
        assert np.abs(view.pixels[..., 0] - mean).max() <= 1


def test_blocks_meet_without_seams_at_any_ratio(tmp_path):
    ramp = np.linspace(0, 250, 2500)[None].repeat(600, axis=0).astype(np.uint8)
    grid = GeoBox((600, 2500), ORIGIN, UTM)
    with view_of(put(tmp_path / "a.tif", ramp[None].repeat(3, axis=0)), grid) as view:
        line = view.pixels[100, :, 0].astype(int)
        assert (np.diff(line) >= -1).all()
        assert np.abs(line - np.linspace(0, 250, len(line))).max() <= 2


def test_what_has_no_data_is_seen_through(tmp_path):
    data = texture(40, 60, 3)
    data[:, :10] = 0
    grid = GeoBox((40, 60), ORIGIN, UTM)
    with view_of(put(tmp_path / "a.tif", data, nodata=0), grid) as view:
        assert not view.pixels[:10, :, 3].any()
        assert view.pixels[10:, :, 3].all()


def test_cutouts_come_from_the_image_where_the_view_is_coarser(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (3, 2000, 6400), np.uint8)
    grid = GeoBox((2000, 6400), ORIGIN, UTM)
    with view_of(put(tmp_path / "a.tif", data), grid) as view:
        fine = view.cutout(PixelWindow(500, 564, 3000, 3064), 64)
        assert np.array_equal(fine[..., :3], data[:, 500:564, 3000:3064].transpose(1, 2, 0))
        beyond = view.cutout(PixelWindow(-32, 32, -32, 32), 64)
        assert not beyond[:32, :, 3].any()
        assert np.array_equal(beyond[32:, 32:, :3], data[:, :32, :32].transpose(1, 2, 0))


def test_the_view_of_degrees_is_as_wide_as_the_ground(tmp_path):
    grid = GeoBox((100, 100), Affine(1e-4, 0, 10, 0, -1e-4, 60), "EPSG:4326")
    size = ViewSize.of(grid)
    assert size.height_px / size.width_px == pytest.approx(2, rel=0.03)
    # At 60 degrees a pixel is 11.1 m high and half as wide; a pixel of the view is square.
    assert size.pixel_m == pytest.approx(5.57, rel=0.02)


def test_sixteen_bits_are_stretched_as_for_a_model(tmp_path):
    data = texture(80, 60, 3).astype(np.uint16) * 40 + 1000
    grid = GeoBox((80, 60), ORIGIN, UTM)
    with view_of(put(tmp_path / "a.tif", data), grid) as view:
        low, high = np.percentile(view.pixels[..., :3], [3, 97])
        assert low < 15
        assert high > 240


def test_many_bands_without_colors_are_shown_in_grey(tmp_path):
    data = texture(40, 60, 6)
    grid = GeoBox((40, 60), ORIGIN, UTM)
    with view_of(put(tmp_path / "a.tif", data), grid) as view:
        assert view.pixels[..., :3].std() > 5


def test_a_shift_that_was_corrected_is_corrected_in_the_picture(tmp_path):
    before = texture(100, 120, 3)
    after = np.roll(before, (3, -2), axis=(1, 2))
    grid = GeoBox((100, 120), ORIGIN, UTM)
    paths = [put(tmp_path / f"{n}.tif", data) for n, data in enumerate((before, after))]
    sources = [read_source(path) for path in paths]
    from geochg.options import AnalyzeOptions

    alignment = {"corrected": True, "dx_px": -2.0, "dy_px": 3.0, "field": None}
    shown = pictures_of(sources, grid, AnalyzeOptions(), [alignment])
    plain = pictures_of(sources, grid, AnalyzeOptions())
    size = ViewSize.of(grid)

    def difference(pictures):
        with DateView(pictures[0], grid, size) as a, DateView(pictures[1], grid, size) as b:
            inner = (slice(10, -10), slice(10, -10), slice(0, 3))
            return np.abs(a.pixels[inner].astype(int) - b.pixels[inner]).mean()

    assert difference(shown) < 1 < difference(plain)


def test_a_path_holds_its_rings_to_a_tenth():
    shell = [(0.04, 0), (10.26, 0), (10.26, 5.5), (0.04, 5.5)]
    hole = [(2, 1), (3, 1), (3, 2)]
    path = svg_path(shapely.Polygon(shell, [hole]))
    rings = path.removesuffix("z").split("z")
    assert len(rings) == 2
    assert rings[0] == "M0,0l10.3,0 0,5.5 -10.3,0"
    assert svg_path(shapely.Polygon([(0, 0), (0.01, 0), (0, 0.01)])).endswith("h.1z")
