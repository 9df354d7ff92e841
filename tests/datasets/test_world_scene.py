"""Scenes: reproducible, with masks that say what was drawn."""

import dataclasses

import numpy as np
import pytest
from world_scenes import PLAIN, SMALL, plain_pairs, small_pairs

from geochg.datasets.world import CLASS_NAMES, DIRECTIONS, WorldOptions, generate, scene
from geochg.datasets.world.kinds import GROUPS, NO_MARK, transition
from geochg.datasets.world.marks import count
from geochg.errors import OptionError


def _same(first, second):
    for field in dataclasses.fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other


def test_a_seed_gives_the_same_pair_again():
    for pair in small_pairs()[:6]:
        _same(pair, scene(pair.seed, SMALL))


def test_seeds_give_different_pairs():
    pictures = {pair.before.tobytes() for pair in small_pairs()}
    assert len(pictures) == len(small_pairs())


def test_shapes_and_types():
    for pair in small_pairs():
        for picture in (pair.before, pair.after):
            assert picture.shape == (3, 96, 96)
            assert picture.dtype == np.uint8
            assert picture.std() > 1
        for mask, names in ((pair.classes, CLASS_NAMES), (pair.directions, DIRECTIONS)):
            assert mask.shape == (96, 96)
            assert mask.dtype == np.uint8
            assert mask.max() < len(names)
        np.testing.assert_array_equal(pair.classes > 0, pair.directions > 0)


def test_near_infrared_is_drawn_when_asked_for_and_leaves_the_rest_alone():
    pair = scene(3, dataclasses.replace(PLAIN, nir=True))
    assert pair.nir_before is not None
    assert pair.nir_before.shape == (96, 96)
    np.testing.assert_array_equal(pair.before, plain_pairs()[3].before)
    assert plain_pairs()[3].nir_before is None


def test_share_of_unchanged_pairs():
    unchanged = np.mean([not pair.changed for pair in small_pairs()])
    assert 0.25 <= unchanged <= 0.7
    none = WorldOptions(size_px=64, unchanged_share=1.0)
    assert not any(scene(seed, none).changed for seed in range(6))


def test_all_families_and_classes_come_up():
    assert {pair.family for pair in small_pairs()} == {"fine", "coarse"}
    seen = set()
    for pair in (*plain_pairs(), *small_pairs()):
        seen |= set(np.unique(pair.classes).tolist())
    assert seen == set(range(len(CLASS_NAMES)))


def test_without_nuisances_pictures_differ_where_the_mask_says():
    inside, outside = [], []
    for pair in plain_pairs():
        difference = np.abs(pair.after.astype(int) - pair.before).max(0)
        if pair.classes.any() and not pair.classes.all():
            inside.append(difference[pair.classes > 0].mean())
            outside.append(difference[pair.classes == 0].mean())
    assert np.median(inside) > 20
    assert np.median(outside) < 4


def test_without_nuisances_an_unchanged_place_is_the_same_but_for_what_moves():
    calm = dataclasses.replace(PLAIN, unchanged_share=1.0)
    for seed in range(5):
        pair = scene(seed, calm)
        assert np.abs(pair.after.astype(int) - pair.before).mean() < 1


def test_counts_are_the_contours_of_the_masks():
    for pair in small_pairs():
        for (name, change), number in pair.counts.items():
            mask = (pair.classes == CLASS_NAMES.index(name)) & (
                pair.directions == DIRECTIONS.index(change)
            )
            assert number == count(mask) > 0
        assert bool(pair.counts) == pair.changed


def test_a_contour_inside_a_hole_is_not_counted():
    mask = np.zeros((20, 20), bool)
    mask[2:18, 2:18] = True
    mask[5:15, 5:15] = False
    mask[8:12, 8:12] = True
    assert count(mask) == 1
    mask[2:5, 9:11] = False
    assert count(mask) == 2
    mask[:] = False
    mask[0, 0] = True
    assert count(mask) == 0


def test_processes_give_the_same_as_one():
    serial = list(generate(range(5), SMALL))
    spread = list(generate(range(5), SMALL, workers=2))
    assert [pair.seed for pair in spread] == list(range(5))
    for one, other in zip(serial, spread, strict=True):
        _same(one, other)


def test_low_plants_among_themselves_never_change():
    low = [kind for kind, group in GROUPS.items() if group == "low"]
    assert {"crop", "grass", "paddy"} <= set(low)
    for before in low:
        for after in low:
            assert transition(before, after) == NO_MARK


@pytest.mark.parametrize(
    ("before", "after", "class_name", "direction"),
    [
        ("crop", "town", "building", "appeared"),
        ("crop", "groundwork", "bare", "appeared"),
        ("forest", "clearing", "vegetation", "disappeared"),
        ("forest", "groundwork", "vegetation", "disappeared"),
        ("grass", "forest", "vegetation", "appeared"),
        ("grass", "burnt", "vegetation", "altered"),
        ("soil", "water", "water", "appeared"),
        ("water", "grass", "water", "disappeared"),
        ("grass", "paved", "road", "appeared"),
        ("town", "grass", "building", "disappeared"),
    ],
)
def test_transitions(before, after, class_name, direction):
    mark = transition(before, after)
    assert CLASS_NAMES[mark.class_index] == class_name
    assert DIRECTIONS[mark.direction_index] == direction


@pytest.mark.parametrize(
    "values", [{"size_px": 20}, {"size_px": 4000}, {"gsd_min_m": 3.0}, {"real_share": 1.2}]
)
def test_options_out_of_range_are_refused(values):
    with pytest.raises(OptionError):
        WorldOptions(**values)


def test_options_round_trip():
    options = WorldOptions(size_px=64, event_weights={"infill": 2.0}, real_dir="data")
    assert WorldOptions.from_dict(options.to_dict()) == options
