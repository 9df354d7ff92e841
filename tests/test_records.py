"""What passes between the stages."""

import numpy as np
import pytest

from geochg.records import Tile, TileWindow
from geochg.windows import PixelWindow

DATES = tuple(np.full((3, 4, 6), value, np.uint8) for value in (1, 2, 3))


def test_a_tile_holds_any_number_of_dates():
    series = Tile.of_dates(DATES, index=7)
    assert series.dates == DATES
    assert (series.before, series.after) == (DATES[0], DATES[2])
    assert series.window.index == 7
    assert series.valid.shape == (4, 6)
    assert series.valid.all()


def test_a_pair_has_a_before_and_an_after():
    pair = Tile.of_pair(*DATES[:2])
    assert (pair.before, pair.after) == DATES[:2]


def test_nothing_stands_after_a_single_image():
    image = Tile.of_image(DATES[0])
    assert image.before is DATES[0]
    with pytest.raises(ValueError, match="one date"):
        _ = image.after


@pytest.mark.parametrize("dates", [DATES[0], list(DATES), ()])
def test_dates_are_a_tuple(dates):
    window = PixelWindow(0, 4, 0, 6)
    with pytest.raises(TypeError, match="one tuple"):
        Tile(TileWindow(0, 0, 0, window, window), dates, np.ones((4, 6), bool))
