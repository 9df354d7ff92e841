"""Near black and near white up to the frame is left out where it is a collar, and kept as water."""

import io

import numpy as np
import pytest
from collared import COLS, ROWS, SIDE, frame, half, opened, rotated, told, valid_of, wedge
from PIL import Image
from rasters import texture
from scipy import ndimage


def noise(most=6, seed=5):
    return np.random.default_rng(seed).integers(0, most + 1, (3, SIDE, SIDE)).astype(np.uint8)


def dark(collar, most=6):
    return np.where(collar, noise(most), np.maximum(texture(SIDE, SIDE, 3), 20))


def bright(collar):
    return np.where(collar, 255 - noise(), np.minimum(texture(SIDE, SIDE, 3), 235))


def compressed(values, quality):
    """What is left after JPEG."""
    data = io.BytesIO()
    Image.fromarray(values.transpose(1, 2, 0)).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data)).transpose(2, 0, 1).copy()


def misplaced(pair, collar):
    """Shares of the collar that is valid, and of the picture that is not."""
    valid = valid_of(pair)
    # At the collar's edge a few dark pixels go with it.
    picture = ~ndimage.binary_dilation(collar, iterations=3)
    return valid[collar].mean(), (~valid[picture]).mean()


@pytest.mark.parametrize("collar", [wedge, frame, rotated, half])
@pytest.mark.parametrize("made", [dark, bright])
def test_a_collar_of_noise_is_told_and_left_out(make_raster, collar, made):
    pair = opened(make_raster, made(collar()))
    (text,) = told(pair)
    assert "noise" in text
    assert "nearblack" in text
    assert pair.collars[0] == ()
    within, beside = misplaced(pair, collar())
    assert within < 0.01
    assert beside == 0


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("collar", [wedge, rotated])
def test_a_collar_that_jpeg_blurred_is_left_out(make_raster, collar, quality):
    pair = opened(make_raster, compressed(dark(collar(), most=0), quality))
    assert len(told(pair)) == 1
    within, beside = misplaced(pair, collar())
    assert within < 0.03
    assert beside < 0.001


def test_a_collar_of_noise_in_a_jpeg_is_left_out(make_raster):
    layout = {"compress": "jpeg", "photometric": "ycbcr", "tiled": True}
    pair = opened(make_raster, dark(rotated()), **layout)
    assert len(told(pair)) == 1
    assert misplaced(pair, rotated())[0] < 0.03


def test_a_collar_of_noise_of_the_earlier_date_is_left_out(make_raster):
    pair = opened(make_raster, texture(SIDE, SIDE, 3, seed=4), dark(wedge()))
    assert len(told(pair)) == 1
    assert misplaced(pair, wedge())[0] < 0.01


def shore():
    """Water whose shore bends."""
    return ROWS < 60 + 15 * np.sin(COLS / 12)


def bay():
    return (ROWS - 0) ** 2 + (COLS - 100) ** 2 < 60**2


def round_island():
    return (ROWS - 100) ** 2 + (COLS - 100) ** 2 > 80**2


def harbour():
    """Straight on all sides, and a notch in the land."""
    return (ROWS < 60) & (COLS > 70) & (COLS < 150)


@pytest.mark.parametrize("water", [shore, bay, round_island, harbour])
def test_dark_water_that_came_is_ground(make_raster, water):
    pair = opened(make_raster, dark(water()))
    assert told(pair) == []
    assert valid_of(pair).all()


def smooth():
    """Water in the sun: bright, without detail."""
    values = texture(SIDE, SIDE, 3, seed=4)
    values[:, half()] = 120 + noise(1)[:, half()]
    return values


def as_dark():
    return np.where(half(), noise(seed=9), texture(SIDE, SIDE, 3, seed=4))


@pytest.mark.parametrize("before", [smooth, as_dark])
def test_dark_water_at_a_straight_quay_is_ground(make_raster, before):
    pair = opened(make_raster, dark(half()), before())
    assert told(pair) == []
    assert valid_of(pair).all()


def test_a_picture_that_is_as_dark_elsewhere_has_no_collar(make_raster):
    values = dark(half())
    values[:, 150:190, 20:60] = noise()[:, 150:190, 20:60]
    pair = opened(make_raster, values)
    assert told(pair) == []


@pytest.mark.parametrize("made", [lambda: dark(half()).astype(np.uint16), lambda: dark(half(), 30)])
def test_other_types_and_more_than_noise_are_ground(make_raster, made):
    assert told(opened(make_raster, made())) == []


def test_a_collar_of_noise_is_ground_where_its_user_says_so(make_raster):
    pair = opened(make_raster, dark(half()), options={"keep_collars": True})
    assert told(pair) == []
    assert valid_of(pair).all()
