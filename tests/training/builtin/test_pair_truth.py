"""What is told of a pair of labelled ground, and which pairs are not told at all."""

import numpy as np
import pytest

from geochg.datasets.captions.rows import instruction_rows
from geochg.datasets.ground.covers import ANY, UNKNOWN_CHANGE, Cover
from geochg.records import Change
from geochg.training.builtin.pair_truth import LEAST_PX, pair_truth
from geochg.training.builtin.pairs import Pair

SIDE_PX = 96
OPEN = ANY - Cover.BUILDING


def pair(before=OPEN, after=OPEN, change=None):
    """A pair of given covers; what is disjoint has changed unless a mask is given."""
    images = [np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)] * 2
    covers = [np.broadcast_to(np.uint8(c), (SIDE_PX, SIDE_PX)).copy() for c in (before, after)]
    if change is None:
        change = ((covers[0] & covers[1]) == 0).astype(np.uint8)
    return Pair(*images, *covers, change, True, 0.5)


def squares(cover, *places, size=10, under=OPEN):
    found = np.full((SIDE_PX, SIDE_PX), int(under), np.uint8)
    for row, col in places:
        found[row : row + size, col : col + size] = cover
    return found


def marked(value, size, row=40, col=40):
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    mask[row : row + size, col : col + size] = value
    return mask


def test_buildings_are_counted_each_way_and_located():
    before = squares(Cover.BUILDING, (40, 4))
    after = squares(Cover.BUILDING, (4, 4), (4, 40), (60, 80))
    truth = pair_truth(pair(before, after), 0)
    assert dict(truth.counts) == {
        ("building", Change.APPEARED): 3,
        ("building", Change.DISAPPEARED): 1,
    }
    assert truth.known == ("building", "road", "vegetation", "water", "bare")
    talks = [row["conversations"] for row in instruction_rows(truth, ("", ""))]
    texts = [talk[1]["value"] for talk in talks]
    assert any("top-left" in text and "center-left" in text for text in texts)
    assert any("no" in text.lower() and "road" in text and "4" in text for text in texts)


def test_ground_that_stayed_is_told_unchanged():
    truth = pair_truth(pair(squares(Cover.BUILDING, (8, 8)), squares(Cover.BUILDING, (8, 8))), 0)
    assert not truth.changed
    assert len(truth.known) == 5


@pytest.mark.parametrize("value", [1, UNKNOWN_CHANGE])
@pytest.mark.parametrize(("size", "is_told"), [(3, True), (30, False)])
def test_a_pair_is_left_out_where_much_may_have_changed_that_has_no_name(value, size, is_told):
    assert (pair_truth(pair(change=marked(value, size)), 0) is not None) == is_told
    # A building elsewhere does not make it true.
    after = squares(Cover.BUILDING, (4, 4))
    change = np.maximum(marked(value, size), (after == Cover.BUILDING).astype(np.uint8))
    assert (pair_truth(pair(after=after, change=change), 0) is not None) == is_told


def test_the_yard_of_a_new_building_goes_with_it_but_its_other_classes_are_not_known():
    after = squares(Cover.BUILDING, (40, 40), size=16)
    change = marked(1, 26, 35, 35)
    truth = pair_truth(pair(after=after, change=change), 0)
    assert dict(truth.counts) == {("building", Change.APPEARED): 1}
    assert np.count_nonzero(truth.classes) == 16 * 16
    assert truth.known == ("building",)


def test_seams_of_unknown_change_are_not_looked_at():
    change = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    change[20:60, 20:23] = change[20:23, 20:60] = UNKNOWN_CHANGE
    assert not pair_truth(pair(change=change), 0).changed


def test_clouds_are_not_told_as_unchanged():
    after = squares(Cover.NOT_SEEN, (20, 20), size=40)
    change = np.where(after == Cover.NOT_SEEN, UNKNOWN_CHANGE, 0).astype(np.uint8)
    assert pair_truth(pair(after=after, change=change), 0) is None


def test_what_water_covered_leaves_buildings_unknown():
    after = squares(Cover.WATER, (10, 10), size=50, under=ANY - Cover.WATER)
    truth = pair_truth(pair(ANY - Cover.WATER, after), 0)
    assert dict(truth.counts) == {("water", Change.APPEARED): 1}
    assert truth.known == ("road", "vegetation", "water", "bare")
    texts = " ".join(
        turn["value"]
        for row in instruction_rows(truth, ("", ""))
        for turn in row["conversations"]
        if turn["from"] == "gpt"
    )
    assert "building" not in texts


def test_specks_beside_a_building_are_not_counted_and_specks_alone_are_not_told():
    places = [(40, 40)]
    after = squares(Cover.BUILDING, *places, size=20)
    after[4:7, 4:7] = Cover.BUILDING
    assert 9 < LEAST_PX
    truth = pair_truth(pair(after=after), 0)
    assert dict(truth.counts) == {("building", Change.APPEARED): 1}
    assert not truth.classes[:20].any()
    many = squares(Cover.BUILDING, *[(row, 8) for row in range(0, 90, 9)], size=3)
    assert pair_truth(pair(after=many), 0) is None


def test_a_class_that_may_have_changed_elsewhere_too_is_not_told():
    # Unlike ground in a small yard beside water: whether a house went there is not known.
    before = squares(Cover.BUILDING, (10, 10), size=20, under=ANY - Cover.WATER)
    after = squares(Cover.ROAD, (10, 10), size=20, under=ANY - Cover.WATER)
    assert dict(pair_truth(pair(before, after), 0).counts) == {("building", Change.DISAPPEARED): 1}
    change = ((before & after) == 0).astype(np.uint8)
    change[31:36, 10:30] = 1
    assert pair_truth(pair(before, after, change), 0) is None
