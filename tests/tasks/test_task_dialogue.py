import pytest

from geochg.records import Change, Counts, Dialogue, Presence, Unparsed
from geochg.tasks.dialogue import PROMPTS, SPEC

BUILT = Dialogue(
    Presence(changed=True),
    Counts({"road": 1, "building": 2}, {"road": Change.APPEARED, "building": Change.APPEARED}),
    "two houses are built along a new road",
)
SAME = Dialogue(Presence(changed=False), Counts({"road": 0, "building": 0}), "nothing has changed")


def test_the_prompts_are_those_of_the_data():
    assert PROMPTS == (
        "Please judge whether these two images have changed. Please answer yes or no.",
        "If changes have occurred, count the number of road and building changes separately.",
        "Based on the above analysis, please describe the changes of these two images in detail.",
    )
    assert SPEC.turns(SPEC.ask().text) == list(PROMPTS)


@pytest.mark.parametrize(
    "answer", [BUILT, SAME, Dialogue(Presence(changed=True), None, "a lawn is greener")]
)
def test_round_trip_in_three_turns(answer):
    turns = SPEC.turns(SPEC.render(answer))
    assert len(turns) == 3
    assert SPEC.parse(SPEC.joined_turns(turns)) == answer


def test_each_turn_is_read_without_its_wrapping():
    turns = [
        "USER: q? ASSISTANT: Yes.</s>",
        f"{PROMPTS[1]} There is 1 new road\nand 2 new houses.</s>",
        "Answer: two houses are built along a new road</s>",
    ]
    assert SPEC.parse(SPEC.joined_turns(turns)) == BUILT


@pytest.mark.parametrize("counted", ["", "several houses", "If so, many.", "-3 roads"])
def test_counts_that_make_no_sense_are_none(counted):
    answer = SPEC.parse(SPEC.joined_turns(["Yes", counted, "a house is built"]))
    assert answer == Dialogue(Presence(changed=True), None, "a house is built")


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (["Yes"], "1 of 3"),
        (["Yes", "1 road"], "2 of 3"),
        (["maybe", "1 road", "a road is built"], "first turn"),
        (["", "1 road", "a road is built"], "first turn"),
        (["Yes", "1 road", ""], "third turn"),
        (["No", "1 road", "a road is built"], "says no, and counts"),
        (["Yes", "1 road", "nothing has changed"], "says yes, and describes no change"),
    ],
)
def test_a_broken_dialogue_is_unparsed(turns, reason):
    answer = SPEC.parse(SPEC.joined_turns(turns))
    assert isinstance(answer, Unparsed)
    assert reason in answer.reason


def test_no_description_has_no_text_form():
    with pytest.raises(ValueError, match="no text form"):
        SPEC.render(Dialogue(Presence(changed=True), None, "\n"))
