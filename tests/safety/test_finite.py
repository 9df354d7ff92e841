"""Numbers of models that are none."""

import math

import numpy as np
import pytest
from tile_factory import layout, make_tile

from geochg.errors import RunError
from geochg.records import (
    Box,
    Boxes,
    Caption,
    Change,
    Channel,
    Counts,
    Dialogue,
    GridCell,
    Locations,
    Outlines,
    PairFacts,
    PixelWindow,
    Presence,
    TileFailure,
)
from geochg.safety.finite import finite_answers

TILE = make_tile(next(layout(1, 1, 6)))
CELL = GridCell(0, 0)


def outlines(value, **more):
    layers = np.full((1, 6, 6), 0.2, np.float32)
    layers[0, 3, 3] = value
    return Outlines((Channel("road", Change.APPEARED),), layers, **more)


MADE = {
    "presence": lambda value: Presence(True, value),
    "dialogue": lambda value: Dialogue(Presence(False, value), None, "nothing"),
    "cells": lambda value: Locations({"road": {CELL: value}}),
    "boxes": lambda value: Boxes({"road": [Box(PixelWindow(0, 2, 0, 2), CELL, value)]}),
    "outlines": outlines,
    "the surface of outlines": lambda value: outlines(
        0.2, change=np.array([[0.1, value]], np.float32)
    ),
}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.5, 1.5, 1e38])
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_tile_fails_that_is_answered_with_no_probability(make, value):
    found = finite_answers(TILE, [Caption("a road", True), make(value)])
    assert isinstance(found, TileFailure)
    assert "finite" in found.reason or "between 0 and 1" in found.reason


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, np.float32(1) + np.finfo(np.float32).eps])
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_probabilities_pass(make, value):
    answers = [make(value), Counts({"road": 700})]
    assert finite_answers(TILE, answers) is answers


@pytest.mark.parametrize("value", [math.nan, math.inf, 2.0])
def test_a_talk_is_not_answered_from_numbers_that_are_none(monkeypatch, value):
    from geochg.models.chat.converse import converse
    from geochg.models.detectors.cva import CvaModel

    facts = PairFacts(("red", "green", "blue"), 1.0, "uint8")
    model = CvaModel.load("", CvaModel.options_type(), "cpu")
    monkeypatch.setattr(
        CvaModel,
        "answer",
        lambda self, tiles, questions: [[outlines(value) for _ in questions] for _ in tiles],
    )
    with pytest.raises(RunError, match="no answer: the model gave"):
        list(converse(model, TILE, facts, [], "What changed?"))


def test_what_has_no_numbers_passes():
    answers = [Presence(False), Caption("no change", False), Locations({"road": {}})]
    assert finite_answers(TILE, answers) is answers
    failed = TileFailure(TILE.window, "read error")
    assert finite_answers(TILE, failed) is failed


@pytest.mark.parametrize(
    "more",
    [
        {"threshold": math.nan},
        {"low_threshold": math.inf},
        {"margins": (0.0, -math.inf)},
        {"calibration": ((0.1, math.nan), (0.2, 0.4))},
        {"calibration": ((0.1,), (0.2, 0.4))},
        {"calibration": ((0.5, 0.1), (0.2, 0.4))},
        {"calibration": ((0.1, 0.5), (2, 9))},
        {"calibration": ((), ())},
    ],
)
def test_a_tile_fails_whose_outlines_are_read_by_no_numbers(more):
    found = finite_answers(TILE, [outlines(0.2, **more)])
    assert isinstance(found, TileFailure)
    assert "finite" in found.reason or "calibration" in found.reason


def test_thresholds_and_calibrations_that_make_sense_pass():
    answers = [
        outlines(0.2, threshold=1.5, low_threshold=0.1, margins=(-2.0,)),
        outlines(0.2, calibration=((0.1, 0.1, 1.0), (0.0, 0.5, 0.4))),
    ]
    assert finite_answers(TILE, answers) is answers
