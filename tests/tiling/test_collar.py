"""What fills up an image to its frame is left out; ground that looks alike is not."""

import numpy as np
import pytest
from collared import SIDE, frame, half, opened, rotated, told, valid_of, wedge
from rasters import texture

from geochg.records import PixelWindow
from geochg.tiling.read import PairReader


def image(collar, value, dtype="uint8", bands=3):
    values = texture(SIDE, SIDE, bands).astype(dtype)
    if np.dtype(dtype).itemsize > 1:
        values = values * np.dtype(dtype).type(20)
    values[:, collar] = value
    return values


@pytest.mark.parametrize("collar", [wedge, frame, rotated, half])
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (0, "uint8"),
        (255, "uint8"),
        (0, "uint16"),
        (65535, "uint16"),
        (0, "float32"),
        (-9999, "float32"),
    ],
)
def test_a_collar_is_told_and_left_out(make_raster, collar, value, dtype):
    pair = opened(make_raster, image(collar(), value, dtype))
    assert [each.value for each in pair.collars[1]] == [value]
    assert pair.collars[0] == ()
    (text,) = told(pair)
    assert "a.tif" in text
    assert f"-a_nodata {value}" in text
    assert (valid_of(pair) == ~collar()).all()


@pytest.mark.parametrize("value", [0, 255])
def test_a_collar_is_left_out_where_the_image_is_warped(make_raster, value):
    pair = opened(make_raster, image(wedge(), value), options={"crs": "EPSG:3035"})
    valid = valid_of(pair)
    with PairReader(pair.plan()) as reader:
        height_px, width_px = pair.grid.shape
        _, after, _ = reader.read_values(PixelWindow(0, height_px, 0, width_px))
    assert 0.5 < valid.mean() < 0.9
    assert after[:, valid].min() > 5
    assert after[:, valid].max() < 250


def test_both_dates_may_have_one_of_their_own(make_raster):
    turned = wedge()[::-1, ::-1]
    pair = opened(make_raster, image(wedge(), 0), image(turned, 255))
    assert len(told(pair)) == 2
    assert (valid_of(pair) == ~(wedge() | turned)).all()


def test_black_and_white_may_be_in_one_image(make_raster):
    values = image(wedge(), 0)
    white = wedge()[::-1, ::-1]
    values[:, white] = 255
    pair = opened(make_raster, values)
    assert {each.value for each in pair.collars[1]} == {0, 255}
    assert (valid_of(pair) == ~(wedge() | white)).all()


def test_what_looks_alike_within_the_picture_is_ground(make_raster):
    values = image(wedge(), 255)
    values[:, 120:130, 120:130] = 255  # a white roof
    pair = opened(make_raster, values)
    assert valid_of(pair)[120:130, 120:130].all()
    assert not valid_of(pair)[:40, :40].any()


def lake():
    values = texture(SIDE, SIDE, 3)
    values[:, 60:140, 60:140] = 0
    return values


def land_cover():
    """Zero where there is none: it reaches the edges and lies within as well."""
    values = texture(SIDE, SIDE, 1, seed=3).repeat(3, axis=0)
    return np.where(values < 110, 0, values)


def squares():
    values = np.zeros((3, SIDE, SIDE), np.uint8)
    for at in range(20, 180, 40):
        values[:, at : at + 20, at : at + 20] = 150
    return values


def slope():
    return np.broadcast_to(np.arange(SIDE, dtype=np.uint8), (3, SIDE, SIDE)).copy()


def plain():
    return np.zeros((3, SIDE, SIDE), np.uint8)


def other_value():
    return image(wedge(), 77)


@pytest.mark.parametrize("made", [lake, land_cover, squares, slope, plain, other_value])
def test_what_is_no_collar_stays(make_raster, made):
    pair = opened(make_raster, made(), made())
    assert told(pair) == []
    assert valid_of(pair).all()


@pytest.mark.parametrize("kind", ["nodata", "mask", "alpha"])
def test_an_image_that_tells_its_holes_has_no_collar(make_raster, kind):
    more = {"nodata": {"nodata": 0}, "mask": {"mask": ~wedge()}, "alpha": {"alpha": ~wedge()}}
    pair = opened(make_raster, image(wedge(), 0), **more[kind])
    assert told(pair) == []
    assert (valid_of(pair) == ~wedge()).all()


def test_a_collar_beside_another_nodata_value_is_found(make_raster):
    values = image(wedge(), 0)
    values[:, 150:160, 150:160] = 250
    pair = opened(make_raster, values, nodata=250)
    assert [each.value for each in pair.collars[1]] == [0]
    assert not valid_of(pair)[150:160, 150:160].any()


def test_a_collar_is_ground_where_its_user_says_so(make_raster):
    pair = opened(make_raster, image(wedge(), 0), options={"keep_collars": True})
    assert told(pair) == []
    assert valid_of(pair).all()


@pytest.mark.parametrize("tiled", [True, False])
def test_a_large_image_without_overviews_is_looked_at_here_and_there(
    make_raster, monkeypatch, tiled
):
    from geochg.tiling import coarse_view as coarse

    monkeypatch.setattr(coarse, "_READABLE_WHOLE_PX", 100)
    layout = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}
    pair = opened(make_raster, image(half(), 0), **layout)
    assert [each.value for each in pair.collars[1]] == [0]
    assert (valid_of(pair) == ~half()).mean() > 0.99
