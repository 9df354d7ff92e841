"""Patches of real ground: town is told from open land, and patches show what is asked for."""

import numpy as np
import pytest
from scipy import ndimage

from geochg.datasets.world.patches import OPEN, TOWN, covers, patch, reseasoned


def _shares(city_dates, rows, cols):
    """Share of a part of the first date that is town, and that is open land."""
    return (covers(str(city_dates[0]))[rows, cols] / 255).mean((0, 1))


@pytest.mark.parametrize(
    ("rows", "cols", "town", "smooth"),
    [
        (slice(10, 190), slice(10, 75), 1, 0),
        (slice(10, 190), slice(110, 135), 0, 1),
        (slice(10, 85), slice(165, 190), 0, 0),
        (slice(115, 190), slice(165, 190), 0, 0),
    ],
    ids=["town", "open land", "water", "woods"],
)
def test_towns_are_rough_and_bare_and_open_land_is_smooth_and_dry(
    city_dates, rows, cols, town, smooth
):
    found = _shares(city_dates, rows, cols)
    assert found[TOWN] == pytest.approx(town, abs=0.1)
    assert found[OPEN] == pytest.approx(smooth, abs=0.1)


def test_covers_are_bytes_of_the_size_of_the_files(city_dates):
    found = covers(str(city_dates[0]))
    assert found.shape == (200, 200, 2)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 255}


@pytest.mark.parametrize("kind", [TOWN, OPEN])
def test_a_patch_shows_what_is_asked_for(city_dates, kind):
    found = [patch(np.random.default_rng(seed), city_dates, 40, 10.0, kind) for seed in range(12)]
    for one in found:
        assert one.picture.shape == (40, 40, 3)
        assert one.cover.shape == (40, 40)
        for layer in (one.picture, one.cover):
            assert layer.dtype == np.float32
            assert 0 <= layer.min() <= layer.max() <= 1
    # Chance alone would give 0.45 of town and 0.3 of open land.
    assert np.median([one.cover.mean() for one in found]) > 0.9
    rough = np.median([one.picture.std((0, 1)).mean() for one in found])
    assert (rough > 0.1) == (kind == TOWN)


def test_the_cover_of_a_patch_lies_where_its_picture_does(city_dates):
    """The two are turned and mirrored alike."""
    for seed in range(12):
        found = patch(np.random.default_rng(seed), city_dates, 200, 10.0, TOWN)
        town, rough = found.cover > 0.5, _rough(found.picture[..., 0])
        assert 0.3 < town.mean() < 0.6
        # Woods are rough as well, but they are a quarter as large.
        assert rough[town].mean() > 0.8
        assert rough[~town].mean() < 0.4


def _rough(level):
    mean = ndimage.uniform_filter(level, 9)
    return ndimage.uniform_filter((level - mean) ** 2, 9) > 0.05**2


@pytest.mark.parametrize("kind", [TOWN, OPEN])
@pytest.mark.parametrize("gsd_m", [8.0, 12.5])
def test_pixels_are_as_large_as_asked_for(city_dates, kind, gsd_m):
    found = patch(np.random.default_rng(3), city_dates, 40, gsd_m, kind)
    assert found.gsd_m == pytest.approx(gsd_m)


def test_pixels_are_smaller_where_the_files_are(city_dates):
    found = patch(np.random.default_rng(3), city_dates, 100, 40.0, TOWN)
    assert found.gsd_m == pytest.approx(10.0 * 200 / 100)


def test_a_seed_gives_the_same_patch_and_another_one_another(city_dates):
    one, again, other = (
        patch(np.random.default_rng(seed), city_dates, 40, 10.0, TOWN) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.picture, again.picture)
    np.testing.assert_array_equal(one.cover, again.cover)
    assert (one.picture != other.picture).any()


def test_seasons_change_green_plants_alone():
    picture = np.full((8, 8, 3), 0.4, np.float32)
    picture[:4] = (0.2, 0.5, 0.2)
    found = [reseasoned(np.random.default_rng(seed), picture) for seed in range(8)]
    for one in found:
        assert one.dtype == np.float32
        assert one.shape == picture.shape
        np.testing.assert_array_equal(one[4:], picture[4:])
    assert max(np.abs(one[:4] - picture[:4]).max() for one in found) > 0.05
