"""Holes are told in many ways; all are heeded, read directly or warped."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasters import ORIGIN, UTM, put, texture, virtual

from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.date_reader import DatePlan, DateReader
from geochg.tiling.pair import open_pair
from geochg.tiling.source import read_source

SIDE = 64
HOLE = np.zeros((SIDE, SIDE), bool)
HOLE[20:40, 10:40] = True
INSIDE = (slice(23, 37), slice(13, 37))
RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def valid_of(path, numbers=(1, 2, 3), moved_px=0.0):
    """Where a raster is valid, read on its own lattice or warped onto one beside it."""
    source = read_source(path)
    grid = source.geobox.translate_pix(moved_px, moved_px) if moved_px else source.geobox
    with DateReader(DatePlan(source, tuple(numbers)), grid) as reader:
        return reader.read(PixelWindow(0, SIDE, 0, SIDE))


def left_out(valid):
    """Whether the hole is left out, and nothing that is not near it."""
    around = HOLE.copy()
    around[16:44, 6:44] = True
    around[-3:] = around[:, -3:] = around[:3] = around[:, :3] = True
    return not valid[INSIDE].any() and bool(valid[~around].all())


def own_nodata(folder):
    planes = list(texture(SIDE, SIDE, 3))
    for plane, value in zip(planes, (0, 255, 7), strict=True):
        plane[HOLE] = value
    return virtual(folder, planes, (0, 255, 7))


def one_band_of_three(folder):
    planes = list(texture(SIDE, SIDE, 3))
    planes[1][HOLE] = 255
    return virtual(folder, planes, (None, 255, None))


def mixed_types(folder):
    first, second, third = texture(SIDE, SIDE, 3)
    second, third = second.astype(np.float32) / 255, third.astype(np.uint16) * 100
    first[HOLE], second[HOLE], third[HOLE] = 0, np.nan, 65535
    return virtual(folder, (first, second, third), (0, "nan", 65535))


def masks_of_bands(folder, kind=255):
    path = put(folder / "a.tif", np.where(HOLE, 0, texture(SIDE, SIDE, 3)))
    masks = np.repeat(np.where(HOLE, 0, kind).astype(np.uint8)[None], 3, axis=0)
    with rasterio.open(
        f"{path}.msk", "w", driver="GTiff", count=3, dtype="uint8", height=SIDE, width=SIDE
    ) as file:
        file.write(masks)
        file.update_tags(**{f"INTERNAL_MASK_FLAGS_{number}": "0" for number in (1, 2, 3)})
    return path


def masks_of_ones(folder):
    return masks_of_bands(folder, kind=1)


def values_of_pixels(folder):
    values = texture(SIDE, SIDE, 3)
    values[:, HOLE] = np.array([[1], [2], [3]])
    path = put(folder / "a.tif", values)
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="1 2 3")
    return path


def with_alpha(folder, opaque, dtype="uint8", nodata=None):
    values = np.where(HOLE, 0, texture(SIDE, SIDE, 3)).astype(dtype)
    path = put(
        folder / "a.tif",
        np.concatenate([values, np.where(HOLE, 0, opaque)[None]]).astype(dtype),
        nodata,
    )
    with rasterio.open(path, "r+") as file:
        file.colorinterp = RGBA
    return path


def alpha_of_ones(folder):
    return with_alpha(folder, 1)


def alpha_of_bytes(folder):
    return with_alpha(folder, 255)


def alpha_of_words(folder):
    return with_alpha(folder, 65535, "uint16")


def alpha_of_ten_bits(folder):
    return with_alpha(folder, 1023, "uint16")


def alpha_of_bytes_in_words(folder):
    return with_alpha(folder, 255, "uint16")


def alpha_beside_nodata(folder):
    return with_alpha(folder, 255, nodata=9)


def mask_beside(folder):
    path = put(folder / "a.tif", np.where(HOLE, 0, texture(SIDE, SIDE, 3)))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(~HOLE)
    return path


def mask_beside_a_picture(folder):
    path = put(folder / "a.png", np.where(HOLE, 0, texture(SIDE, SIDE, 3)), driver="PNG")
    with rasterio.open(path, "r+") as file:
        file.write_mask(~HOLE)
    return path


def nodata_beside_a_mask(folder, dtype="uint8", nodata=0, internal=True):
    """The mask says nothing of the hole; it was made before there was one, for another one."""
    values = texture(SIDE, SIDE, 3).astype(dtype)
    values[:, HOLE] = nodata
    path = put(folder / "a.tif", values, nodata)
    corner = np.ones_like(HOLE)
    corner[:2, :2] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "r+") as file:
        file.write_mask(corner)
    return path


def words_beside_a_mask(folder):
    return nodata_beside_a_mask(folder, "int16", -9999, internal=False)


def floats_beside_a_mask(folder):
    return nodata_beside_a_mask(folder, "float32", np.finfo(np.float32).min)


@pytest.mark.parametrize("moved_px", [0, 0.5])
@pytest.mark.parametrize(
    "made",
    [
        nodata_beside_a_mask,
        words_beside_a_mask,
        floats_beside_a_mask,
        own_nodata,
        one_band_of_three,
        mixed_types,
        masks_of_bands,
        masks_of_ones,
        values_of_pixels,
        alpha_of_ones,
        alpha_of_bytes,
        alpha_of_words,
        alpha_of_ten_bits,
        alpha_of_bytes_in_words,
        alpha_beside_nodata,
        mask_beside,
        mask_beside_a_picture,
    ],
)
def test_a_hole_is_left_out_however_it_is_told(tmp_path, made, moved_px):
    values, valid = valid_of(made(tmp_path), moved_px=moved_px)
    assert left_out(valid)
    assert np.isfinite(values[:, valid]).all()


@pytest.mark.parametrize(
    ("dtype", "stored", "named"),
    [
        ("float32", np.finfo(np.float32).min, -3.40282e38),
        ("float32", np.finfo(np.float32).min, -3.4e38),
        ("float64", float(np.finfo(np.float32).min), -3.402823e38),
        ("float64", np.finfo(np.float64).min, -1.797693e308),
        ("float64", float(np.float32(-9999.9)), -9999.9),
        ("float32", 1e20, 1e20),
        ("float64", float(np.float32(0.1)), 0.1),
        ("float32", -9999, -9999.000001),
    ],
)
@pytest.mark.parametrize("moved_px", [0, 0.5])
def test_a_nodata_value_is_known_though_rounding_moved_it(tmp_path, dtype, stored, named, moved_px):
    plane = texture(SIDE, SIDE)[0].astype(dtype)
    plane[HOLE] = stored
    _, valid = valid_of(virtual(tmp_path, [plane], [repr(named)]), [1], moved_px)
    assert left_out(valid)


def test_values_near_a_nodata_value_are_values(tmp_path):
    plane = texture(SIDE, SIDE)[0].astype(np.float32) / 1000
    plane[5], plane[7] = 0.1, 0.1001
    _, valid = valid_of(virtual(tmp_path, [plane], ["0.1"]), [1])
    assert not valid[5].any()
    assert valid[7].all()


@pytest.mark.parametrize("moved_px", [0, 0.5])
@pytest.mark.parametrize(
    ("dtype", "nodata", "hole"),
    [
        ("uint8", 0, False),
        ("uint16", 65535, False),
        ("float32", 0, False),
        ("int16", -9999, True),
        ("float32", -32768, True),
        ("float32", -3.4e38, True),
    ],
)
def test_one_nodata_value_of_all_bands_in_one_of_them(tmp_path, dtype, nodata, hole, moved_px):
    """A value that could be measured is one, as water in the infrared; others never are."""
    values = texture(SIDE, SIDE, 3).astype(dtype)
    values[1][HOLE] = nodata
    path = put(tmp_path / "a.tif", values, nodata)
    _, valid = valid_of(path, moved_px=moved_px)
    assert left_out(valid) if hole else valid[INSIDE].all()
    values[:, HOLE] = nodata
    _, valid = valid_of(put(tmp_path / "b.tif", values, nodata), moved_px=moved_px)
    assert left_out(valid)


def test_bands_that_are_not_wanted_say_nothing(tmp_path):
    planes = list(texture(SIDE, SIDE, 4))
    planes[3][HOLE] = 0
    _, valid = valid_of(virtual(tmp_path, planes, (None, None, None, 0)))
    assert valid.all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("moved_px", [0, 0.5])
def test_what_is_no_number_is_a_hole_beside_any_nodata_value(tmp_path, value, moved_px):
    values = texture(SIDE, SIDE, 3).astype(np.float32)
    values[1][HOLE] = value
    _, valid = valid_of(put(tmp_path / "a.tif", values, -9999), moved_px=moved_px)
    assert left_out(valid)


def infrared(kind):
    band = texture(SIDE, SIDE, seed=4)[0]
    return {
        "fields": band,
        "dark": band // 5,
        "water": np.where(np.arange(SIDE) < 40, 0, band).astype(np.uint8),
        "words": band.astype(np.uint16) * 90,
    }[kind]


@pytest.mark.parametrize("kind", ["fields", "dark", "water", "words"])
@pytest.mark.parametrize("wanted", [(), ("1", "2", "3")])
def test_infrared_that_is_marked_as_alpha_is_data(tmp_path, kind, wanted):
    band = infrared(kind)
    values = np.concatenate([texture(SIDE, SIDE, 3).astype(band.dtype), band[None]])
    path = put(tmp_path / "a.tif", values)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = RGBA
    source = read_source(path)
    assert source.alpha is None
    assert source.mask == "none"
    assert not any(band.alpha for band in source.bands)
    pair = open_pair(path, path, AnalyzeOptions(bands=wanted), "all")
    assert len(pair.bands.names) == (len(wanted) or 4)
    for moved_px in (0, 0.5):
        _, valid = valid_of(path, pair.bands.before, moved_px)
        assert valid[3:-3, 3:-3].all()


@pytest.mark.parametrize("kind", ["straight", "resampled", "empty", "feathered"])
def test_a_true_alpha_stays_one(tmp_path, kind):
    from scipy import ndimage

    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    if kind == "resampled":
        alpha = ndimage.gaussian_filter(alpha, 1)
    if kind == "feathered":
        alpha = ndimage.gaussian_filter(alpha, 3)
    if kind == "empty":
        alpha[:] = 0
    path = put(tmp_path / "a.tif", np.concatenate([texture(SIDE, SIDE, 3), alpha[None]]))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = RGBA
    assert read_source(path).mask == "alpha"
    _, valid = valid_of(path)
    assert not valid[25:35, 15:35].any()


def test_a_palette_with_a_mask_has_both_kinds_of_holes(make_raster):
    index = np.ones((SIDE, SIDE), np.uint8)
    index[:, :5] = 3
    colors = {i: (10 + 30 * i, 20, 30, 255) for i in range(4)}
    _, valid = valid_of(make_raster("a.tif", index, palette=colors, nodata=3))
    assert not valid[:, :5].any()
    assert valid[:, 5:].all()
    _, valid = valid_of(make_raster("b.tif", index, palette=colors, mask=~HOLE))
    assert (valid == ~HOLE).all()


def test_a_raster_placed_by_control_points_keeps_its_holes(make_raster):
    from rasterio.control import GroundControlPoint

    data = np.where(HOLE, 0, texture(SIDE, SIDE, 3))
    corners = [(0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE), (25, 30)]
    points = [GroundControlPoint(row, col, *(ORIGIN * (col, row))) for row, col in corners]
    for name, more in (
        ("a.tif", {"nodata": 0}),
        ("b.tif", {"mask": ~HOLE}),
        ("c.tif", {"alpha": ~HOLE}),
    ):
        path = make_raster(name, data, crs=None, transform=None, gcps=(points, UTM), **more)
        source = read_source(path)
        assert len([band for band in source.bands if not band.alpha]) == 3
        _, valid = valid_of(path)
        assert left_out(valid)


def test_warped_pixels_beside_a_hole_hold_nothing_of_it(tmp_path):
    values = np.full((3, SIDE, SIDE), 100, np.uint8)
    values[:, HOLE] = 255
    for nodata in (255, None):
        path = put(tmp_path / f"{nodata}.tif", values, nodata)
        if nodata is None:
            with rasterio.open(path, "r+") as file:
                file.write_mask(~HOLE)
        seen, valid = valid_of(path, moved_px=0.5)
        assert (seen[:, valid] == 100).all()


def test_one_lattice_and_a_warped_one_agree_on_what_is_valid(tmp_path):
    path = own_nodata(tmp_path)
    source = read_source(path)
    grid = source.geobox.zoom_to(resolution=10.0001)
    with DateReader(DatePlan(source, (1, 2, 3)), grid) as reader:
        _, warped = reader.read(PixelWindow(0, SIDE - 1, 0, SIDE - 1))
    _, direct = valid_of(path)
    assert (warped == direct[: SIDE - 1, : SIDE - 1]).mean() > 0.99
    assert isinstance(source.geobox.transform, Affine)


@pytest.mark.parametrize(
    ("compressed", "nodata", "told"),
    [
        ({"compress": "jpeg", "photometric": "ycbcr"}, 0, "YCBCR JPEG"),
        ({"compress": "jpeg"}, 255, "JPEG"),
        ({"compress": "webp"}, 0, "WEBP"),
        ({"compress": "jpeg"}, None, ""),
        ({"compress": "deflate"}, 0, ""),
        ({"compress": "webp", "webp_lossless": True}, 0, ""),
    ],
)
def test_holes_that_compression_blurs_are_told(make_raster, compressed, nodata, told):
    path = make_raster("a.tif", texture(SIDE, SIDE, 3), nodata=nodata, **compressed)
    other = make_raster("b.tif", texture(SIDE, SIDE, 3))
    for pair in ((path, other), (other, path)):
        found = open_pair(*pair, AnalyzeOptions(), "all").remarks
        remarks = [each for each in found if "blurs" in each.message]
        assert bool(remarks) is bool(told)
        assert all(f"({told})" in each.message and each.warning for each in remarks)
