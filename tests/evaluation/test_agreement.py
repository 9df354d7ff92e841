"""Whether the answers about a pair agree with each other."""

import numpy as np
import pytest

from geochg.evaluation.agreement import StatedPair, agreement_scores, tells_change
from geochg.evaluation.values import FailedAnswer
from geochg.records import (
    Caption,
    Change,
    Channel,
    Counts,
    GridCell,
    Locations,
    Missing,
    Outlines,
    Presence,
    Reply,
    Task,
    Tile,
    Unparsed,
)

P, N, L, C = Task.PRESENCE, Task.COUNT, Task.LOCATE, Task.CAPTION


def stated(*views, changed=None, group=None):
    return StatedPair(group or str(id(views)), changed, [dict(of_look) for of_look in views])


def looks(presence, count, cells, caption):
    return {P: presence, N: count, L: cells, C: caption}


@pytest.mark.parametrize(
    ("answer", "tells"),
    [
        (Presence(True, 0.1), True),
        (Presence(False), False),
        (Counts({"road": 0, "building": 0}), False),
        (Counts({}), False),
        (Counts({"road": 0, "building": 2}), True),
        (Locations({"road": {}}), False),
        (Locations({"road": {GridCell(0, 0): 1.0}}), True),
        (Caption("a house was built", True), True),
        (Caption("nothing", False), False),
        (Reply("the scene is the same as before"), False),
        (Reply("A house appeared at the top."), True),
        (Reply("I cannot help with that."), None),
        (Unparsed(C, "?", "nonsense"), None),
        (Missing(C, "gave up"), None),
        (FailedAnswer("gave up"), None),
    ],
)
def test_what_an_answer_tells(answer, tells):
    assert tells_change(answer) is tells


def test_outlines_tell_by_any_pixel():
    tile = Tile.of_pair(np.zeros((3, 30, 30), np.uint8), np.zeros((3, 30, 30), np.uint8))
    layer = np.zeros((1, 30, 30), np.float32)
    channels = (Channel("building", Change.APPEARED),)
    assert tells_change(Outlines(channels, layer.copy()), tile) is False
    layer[0, 3, 3] = 0.9  # far less than 5 % of a cell
    assert tells_change(Outlines(channels, layer), tile) is True


def test_the_share_that_agrees_and_why_others_do_not():
    pairs = [
        stated(looks(True, True, True, True), changed=True),
        stated(looks(False, False, False, False), changed=False),
        stated(looks(False, True, True, False), changed=True),
        stated(looks(True, False, True, False), changed=True),
        stated(looks(False, False, False, True), changed=False),
    ]
    scores = agreement_scores(pairs)
    values = scores.to_dict()
    assert values["agreement"] == pytest.approx(2 / 5)
    assert values["items"] == 5
    assert values["disagreements"] == {
        "no, but a count above 0": 1,
        "no, but a named cell": 1,
        "yes, but counts of 0": 1,
        "yes, but a caption of no change": 1,
        "no, but a caption of a change": 1,
    }
    low, high = values["interval"]
    assert 0 < low < 0.4 < high < 1
    groups = {group["group"]: group["agreement"] for group in values["groups"]}
    assert groups == {"changed pairs": pytest.approx(1 / 3), "unchanged pairs": 0.5}
    # Shares of yes: presence 2/5, count 2/5, cells 3/5, caption 2/5.
    yes, no = 0.4 * 0.4 * 0.6 * 0.4, 0.6 * 0.6 * 0.4 * 0.6
    assert values["by_chance"] == pytest.approx(yes + no)
    assert any("no, but a named cell: 1 of 5 items" in note for note in scores.notes)


def test_answers_without_sense_are_left_out():
    pairs = [
        stated(looks(None, True, False, None)),
        stated(looks(None, None, None, True)),
        stated({P: True, N: None}, {P: True, N: True}),
    ]
    scores = agreement_scores(pairs)
    assert scores.incomparable == 1
    assert scores.groups[0].disagreements == {"a count above 0, but no cell": 1}
    assert scores.groups[0].agreement == 0.5
    assert len(scores.groups) == 1  # nothing is labelled
    assert "1 left out" in scores.summary


def test_a_pair_that_was_cut_agrees_where_every_tile_does():
    whole = stated({P: True, N: True}, {P: False, N: False})
    torn = stated({P: True, N: True}, {P: False, N: True})
    assert agreement_scores([whole, torn]).groups[0].agreement == 0.5


def test_nothing_to_compare():
    assert agreement_scores([]) is None
    assert agreement_scores([stated({P: True, N: None})]) is None
