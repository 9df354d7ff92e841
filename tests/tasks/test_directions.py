"""The further question about the direction of each change, and what its answers are taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochg.records import (
    Change,
    Counts,
    Direction,
    GridCell,
    Locations,
    Presence,
    Task,
    Unparsed,
)
from geochg.tasks import ask
from geochg.tasks.directions import (
    LocatedChange,
    list_question,
    read_choices,
    undirected_changes,
    with_directions,
)

LATER, EARLIER, BOTH = Change.APPEARED, Change.DISAPPEARED, Change.ALTERED
CORNER, MIDDLE = GridCell(0, 0), GridCell(1, 1)
QUESTIONS = [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.COUNT)]
ANSWERS = {
    "1. later\n2. earlier\n3. both": {0: LATER, 1: EARLIER, 2: BOTH},
    "1: Later, 2: both, 3: earlier": {0: LATER, 1: BOTH, 2: EARLIER},
    "1) **later**\n\n3) both but different": {0: LATER, 2: BOTH},
    '{"1": "later", "2": "earlier", "3": "both"}': {0: LATER, 1: EARLIER, 2: BOTH},
    "1. It is only in the later image.\n2. not in the earlier image": {0: LATER},
    "1. later or earlier\n2. later": {1: LATER},
    "1. later\n1. earlier\n2. both": {1: BOTH},
    "4. later\n0. both\n99. earlier": {},
    "later": {},
    "later, earlier, both": {},
    "": {},
}


@pytest.mark.parametrize("text", ANSWERS)
def test_lines_give_choices(text):
    choices = read_choices(text, 3)
    assert {choice.number: choice.change for choice in choices} == ANSWERS[text]
    for choice in choices:
        assert text[choice.position :].lower().startswith(("later", "earlier", "both"))


@pytest.mark.parametrize("text", ["Later.", "It is only in the later image.", "1. later"])
def test_of_one_thing_no_number_is_needed(text):
    (choice,) = read_choices(text, 1)
    assert choice.change is LATER


@given(st.text(), st.integers(1, 20))
def test_noise_gives_no_error_and_no_thing_that_was_not_asked_about(text, count):
    numbers = [choice.number for choice in read_choices(text, count)]
    assert numbers == sorted(set(numbers))
    assert all(0 <= number < count for number in numbers)


def test_what_is_told_is_not_asked_again():
    located = Locations(
        {"building": {MIDDLE: 0.9, CORNER: None}, "road": {CORNER: 0.8}, "water": {MIDDLE: 1.0}},
        {"water": BOTH},
        {"building": {MIDDLE: Direction(LATER, 0.7)}},
    )
    counts = Counts({"road": 2, "building": 1, "bare": 3, "vegetation": 0}, {"road": EARLIER})
    things = undirected_changes(QUESTIONS, [Presence(True), located, counts])
    assert [(thing.class_name, thing.cell) for thing in things] == [
        ("building", CORNER),
        ("road", CORNER),
        ("bare", None),
    ]
    assert "1. building, top left; 2. road, top left; 3. " in list_question(things)
    assert "top left part" in things[0].question
    assert undirected_changes(QUESTIONS[1:2], [Unparsed(Task.LOCATE, "?", "nonsense")]) == []


def test_counts_have_the_direction_of_what_was_located_where_it_is_one():
    located = Locations({"building": {CORNER: 0.9, MIDDLE: 0.8}, "road": {CORNER: 0.9}})
    counts = Counts({"building": 2, "road": 1, "water": 0})
    nouns = ("thing", "things")
    directions = {
        LocatedChange("building", CORNER, nouns): Direction(LATER, 0.9),
        LocatedChange("building", MIDDLE, nouns): Direction(EARLIER, 0.6),
        LocatedChange("road", CORNER, nouns): Direction(BOTH),
    }
    answers = with_directions([Presence(True), located, counts], directions)
    assert answers[0] == Presence(True)
    assert answers[1].directions == {
        "building": {CORNER: Direction(LATER, 0.9), MIDDLE: Direction(EARLIER, 0.6)},
        "road": {CORNER: Direction(BOTH)},
    }
    assert answers[2].changes == {"road": BOTH}
