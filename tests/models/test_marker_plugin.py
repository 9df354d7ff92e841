"""The tests' own model keeps the contract too."""

import time

import numpy as np
import pytest
from model_scenes import Scene, outlines, tiles

from geochg.models.registry import load_model
from geochg.records import (
    Change,
    GridCell,
    Locations,
    PairFacts,
    Question,
    Task,
    TileFailure,
    Unparsed,
)

EVERYTHING = [Question(task, "") for task in Task]
pytestmark = pytest.mark.usefixtures("marker_plugin")


@pytest.fixture
def pair() -> Scene:
    before = np.full((1, 96, 96), 50, np.float32)
    after = before.copy()
    after[:, 10:30, 10:30] = 200
    after[:, 70:80, 70:80] = 0
    return Scene(before, after, (before != after)[0], np.ones((96, 96), bool))


def answers(pair: Scene, **options: object):
    model = load_model("marker", options, "auto")
    model.survey(PairFacts(("band1",), 1.0, "uint8"), [])
    return model.answer(tiles(pair, size_px=96, overlap_px=0), EVERYTHING)[0]


def test_answers_all_six_tasks(pair):
    caption, presence, counts, located, dialogue, reply = answers(pair)
    assert caption.text == "2 buildings appeared."
    assert presence.changed
    assert counts.counts == {"building": 2}
    assert counts.changes == {"building": Change.APPEARED}
    assert dialogue.counts == counts
    assert reply.text == "500 pixels changed"
    changed = located.probability >= located.threshold
    assert np.array_equal(changed.any(axis=0), pair.truth)
    assert changed[0].sum() == 400


def test_answers_by_the_grid(pair):
    model = load_model("marker", {"location": "grid"}, "auto")
    assert model.capabilities.location == "grid"
    located = answers(pair, location="grid")[3]
    assert isinstance(located, Locations)
    assert set(located.cells["building"]) == {GridCell(0, 0), GridCell(2, 2)}
    assert located.cells["building"][GridCell(0, 0)] == pytest.approx(400 / 1024)


def test_fails_and_talks_nonsense_when_told(pair):
    assert isinstance(answers(pair, fail_tiles=[0]), TileFailure)
    assert all(isinstance(answer, Unparsed) for answer in answers(pair, nonsense=True))


def test_takes_its_time_when_told(pair):
    start = time.monotonic()
    answers(pair, delay_s=0.05)
    assert time.monotonic() - start >= 0.05


def test_no_change(pair):
    same = answers(pair.where(after=pair.before))
    assert not same[0].changed
    assert not same[1].changed
    assert not outlines([same[3]]).probability.any()
