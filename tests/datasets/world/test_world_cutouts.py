"""Cut-outs: buildings pasted into a picture stand on free ground and throw shadows."""

import numpy as np
import pytest
from scipy import ndimage

from geochg.datasets.world.cutouts import inserted
from geochg.datasets.world.shapes import filled

SIZE = 96


def _square(left, top, side):
    return np.array((left, top)) + side * np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)


STANDING = [_square(10, 10, 24), _square(60, 50, 20)]
CHOSEN = [_square(8, 30, 12), _square(50, 60, 16), _square(70, 10, 9)]


def _inserted(seed, chosen=CHOSEN, scale=1.0, height_px=0.0, standing=STANDING):
    """Bright buildings from a dark donor, on a grey picture."""
    picture = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    donor = np.full((SIZE, SIZE, 3), 0.1, np.float32)
    donor[filled(chosen, SIZE, 1) > 0] = (0.9, 0.8, 0.7)
    kept = picture.copy()
    result = inserted(
        np.random.default_rng(seed), picture, standing, donor, chosen, scale, height_px
    )
    np.testing.assert_array_equal(picture, kept)
    return result


def _inside(rings):
    return filled(rings, SIZE, 1) > 0.5


@pytest.mark.parametrize("seed", range(6))
def test_outlines_are_where_buildings_were_put(seed):
    found, rings = _inserted(seed)
    assert rings
    assert found.shape == (SIZE, SIZE, 3)
    assert found.dtype == np.float32
    inside = _inside(rings)
    core = ndimage.binary_erosion(inside, iterations=2)
    assert core.any()
    np.testing.assert_allclose(found[core] - np.array((0.9, 0.8, 0.7)), 0, atol=0.02)
    far = ~ndimage.binary_dilation(inside, iterations=3)
    np.testing.assert_allclose(found[far], 0.4, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_none_is_put_on_another(seed):
    _, rings = _inserted(seed)
    sheets = [filled([ring], SIZE, 1) > 0 for ring in (*STANDING, *rings)]
    assert np.sum(sheets, 0).max() == 1


@pytest.mark.parametrize("scale", [0.7, 1.5])
def test_cut_outs_are_enlarged_with_their_outlines(scale):
    (ring,) = _inserted(1, CHOSEN[1:2], scale)[1]
    np.testing.assert_allclose(np.ptp(ring, axis=0), 16 * scale)
    found, _ = _inserted(1, CHOSEN[1:2], scale)
    bright = (found[..., 0] > 0.65).sum()
    assert bright == pytest.approx((16 * scale) ** 2, rel=0.25)


@pytest.mark.parametrize(
    ("ring", "scale"),
    [
        (_square(20, 20, 1), 0.7),
        (_square(20, 20, 4), 1.0),
        (_square(20, 20, 6), 0.7),
        (_square(5, 5, 80), 0.7),
    ],
)
def test_specks_and_giants_are_left_out(ring, scale):
    found, rings = _inserted(0, [ring], scale)
    assert rings == []
    np.testing.assert_array_equal(found, np.float32(0.4))


@pytest.mark.parametrize(
    "ring",
    [_square(-4, 40, 16), _square(40, -4, 16), _square(84, 40, 16), _square(40, 84, 16)],
    ids=("left", "top", "right", "bottom"),
)
def test_buildings_that_the_donor_shows_a_part_of_are_left_out(ring):
    found, rings = _inserted(0, [ring])
    assert rings == []
    np.testing.assert_array_equal(found, np.float32(0.4))


def test_without_buildings_the_picture_stays():
    found, rings = _inserted(0, [], height_px=6.0)
    assert rings == []
    np.testing.assert_array_equal(found, np.float32(0.4))


@pytest.mark.parametrize("seed", range(8))
def test_shadows_lie_beside_buildings_on_one_side(seed):
    found, rings = _inserted(seed, CHOSEN[1:2], height_px=6.0)
    inside = _inside(rings)
    dark = (found.max(2) < 0.35) & ~inside
    assert dark.sum() > 16
    away = ndimage.distance_transform_edt(~inside)
    assert away[dark].max() <= 6 * np.sqrt(2) + 1
    rows, cols = np.nonzero(dark)
    middle = np.array(ndimage.center_of_mass(inside))
    assert np.hypot(*(np.array((rows.mean(), cols.mean())) - middle)) > 3


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_shadows_end_at_the_edge_of_the_picture(side):
    """Buildings find room along one side alone; shadows that fall past it are gone."""
    columns = {"left": (40, SIZE), "right": (0, SIZE - 40)}.get(side, (0, SIZE))
    rows = {"top": (40, SIZE), "bottom": (0, SIZE - 40)}.get(side, (0, SIZE))
    (left, right), (top, low) = columns, rows
    wall = np.array([(left, top), (right, top), (right, low), (left, low)], float)
    put = 0
    for seed in range(8):
        found, rings = _inserted(seed, CHOSEN[1:2], height_px=30.0, standing=[wall])
        if not rings:
            continue
        put += 1
        inside = _inside(rings)
        dark = (found.max(2) < 0.35) & ~inside
        assert ndimage.distance_transform_edt(~inside)[dark].max(initial=0) <= 32
    assert put >= 5


def test_a_seed_gives_the_same_picture_and_another_one_another():
    (one, rings), (again, same), (other, _) = (_inserted(seed, height_px=6.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(rings, same)
    assert (one != other).any()
