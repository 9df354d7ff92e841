"""Tiles for models that look at pictures tell which source values these show."""

import numpy as np
import pytest

import geochg


def pair_of(make_raster, dtype, scale, offset=0):
    random = np.random.default_rng(3)
    values = random.uniform(20, 200, (2, 4, 96, 96)) * scale + offset
    names = ("red", "green", "blue", "nir")
    return [
        make_raster(f"{date}.tif", image, names=names)
        for date, image in zip(("before", "after"), values.astype(dtype), strict=True)
    ]


def tiles_of(paths, pixels="display"):
    return list(geochg.read_tiles(geochg.open_pair(*paths, None, "rgb+nir"), pixels=pixels))


@pytest.mark.parametrize(("dtype", "scale"), [("uint16", 40), ("float32", 0.002)])
def test_a_tile_tells_the_shown_range_of_each_band(make_raster, dtype, scale):
    paths = pair_of(make_raster, dtype, scale)
    (tile,) = tiles_of(paths)
    assert len(tile.before) == 4
    for ranges in tile.display_ranges:
        assert len(ranges) == 4
        for low, high in ranges:
            assert 20 * scale <= low < 30 * scale
            assert 190 * scale < high <= 200 * scale
    assert tiles_of(paths, "values")[0].display_ranges is None


def test_eight_bits_are_shown_as_they_are_and_asked_about_likewise(make_raster):
    paths = pair_of(make_raster, "uint8", 1)
    told = [tiles_of(paths)[0].display_ranges, geochg.open_dialogue(*paths).tile.display_ranges]
    assert told == [(((0.0, 255.0),) * 4,) * 2] * 2


def test_values_of_which_something_is_taken_off_are_not_told(make_raster):
    """What is shown has another zero then, so that bands cannot be compared."""
    (tile,) = tiles_of(pair_of(make_raster, "int64", 1, 10**12))
    assert tile.display_ranges is None
