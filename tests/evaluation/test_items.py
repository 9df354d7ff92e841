"""Which questions a test set asks, and what is true."""

from pathlib import Path

import pytest
from question_rows import (
    NO_CHANGE,
    caption_rows,
    instruction,
    some_rows,
    write_pictures,
    write_rows,
)

from geochg.datasets.examples import read_examples
from geochg.errors import InputError, OptionError
from geochg.evaluation.items import item_set
from geochg.evaluation.options import ExampleOptions
from geochg.evaluation.values import References
from geochg.records import Counts, Exchange, GridCell, Locations, Presence, Task

ALL = ExampleOptions()


def asked(*files, options=ALL):
    return item_set([example for file in files for example in read_examples(file)], options)


def rows(folder: Path, *result):
    write_pictures(folder)
    return write_rows(folder / "rows.json", list(result))


def test_every_task_has_its_truth(tmp_path):
    items = asked(some_rows(tmp_path)).items
    assert len(items) == 24
    truths = {i.question.task: i.truth for i in items if i.pair == "A/b.png | B/b.png"}
    assert truths[Task.PRESENCE] == Presence(True)
    assert isinstance(truths[Task.COUNT], Counts)
    assert truths[Task.COUNT].counts == {"road": 0, "building": 2}
    assert truths[Task.LOCATE] == Locations(
        {"road": {}, "building": {GridCell(0, 0): 1.0, GridCell(2, 2): 1.0}}
    )
    assert truths[Task.CAPTION] == References(("2 buildings appeared.",))
    assert truths[Task.DIALOGUE] == References(("2 buildings appeared.",))
    assert truths[Task.QUESTION] == References(("242 pixels changed",))
    assert {i.pair: i.changed for i in items} == {
        f"A/{n}.png | B/{n}.png": n in "ab" for n in "abcd"
    }


def test_captions_of_one_pair_become_references_of_one_question(tmp_path):
    items = asked(some_rows(tmp_path), caption_rows(tmp_path)).items
    captions = [i for i in items if i.question.task is Task.CAPTION]
    assert len(items) == 24
    assert len(captions) == 4
    texts = captions[0].truth.texts
    assert texts[:2] == ("1 buildings appeared.", "1 buildings appeared")
    assert len(texts) == 6
    # Said by both files: there once.
    assert [i.truth.texts.count(NO_CHANGE) for i in captions[2:]] == [1, 1]


def test_the_questions_of_a_pair_stand_together(tmp_path):
    pairs = [item.pair for item in asked(some_rows(tmp_path), caption_rows(tmp_path)).items]
    assert len([p for n, p in enumerate(pairs) if n == 0 or pairs[n - 1] != p]) == 4


def test_a_row_that_is_there_twice_is_asked_once(tmp_path):
    row = instruction(0, "a", Task.COUNT, ["There are no new roads and 1 new building."])
    other = instruction(1, "a", Task.COUNT, ["There are no new roads and 2 new buildings."])
    items = asked(rows(tmp_path, row, row, other)).items
    assert [item.truth.counts["building"] for item in items] == [1, 2]


def test_each_turn_of_a_free_talk_is_a_question(tmp_path):
    talk = instruction(0, "a", Task.QUESTION, ["a house", "at the top"], ["What?", "Where?"])
    first, second = asked(rows(tmp_path, talk)).items
    assert (first.question.text, first.before, first.truth.texts) == ("What?", (), ("a house",))
    assert second.before == (Exchange("What?", "a house"),)
    assert (second.question.text, second.truth.texts) == ("Where?", ("at the top",))


def test_an_answer_outside_the_grammar_is_named_or_left_out(tmp_path):
    good = instruction(4, "a", Task.LOCATE, ["roads: []. buildings: ['top-left']."])
    bad = instruction(7, "a", Task.LOCATE, ["roads: ['somewhere']. buildings: []."])
    worse = instruction(8, "b", Task.COUNT, ["many"])
    file = rows(tmp_path, good, bad, worse)
    with pytest.raises(InputError) as caught:
        asked(file)
    assert "row 2 (id '7'): its answer is outside the grammar of 'locate'" in caught.value.message
    assert "somewhere" in caught.value.message
    assert "(and 1 more rows)" in caught.value.message
    assert "--skip-unreadable" in caught.value.hint
    result = asked(file, options=ExampleOptions(skip_unreadable=True))
    assert (len(result.items), result.unreadable) == (1, 2)
    with pytest.raises(InputError, match="outside the grammar"):
        asked(rows(tmp_path, bad), options=ExampleOptions(skip_unreadable=True))


def test_splits_and_tasks_are_chosen_and_never_guessed(tmp_path):
    yes = ["Yes"]
    file = rows(
        tmp_path,
        instruction(0, "a", Task.PRESENCE, yes, split="train"),
        instruction(1, "b", Task.PRESENCE, yes, split="test"),
    )
    with pytest.raises(InputError, match="several splits: train, test"):
        asked(file)
    assert [i.pair for i in asked(file, options=ExampleOptions(split="test")).items] == [
        "A/b.png | B/b.png"
    ]
    with pytest.raises(InputError, match="no row of the split 'val'"):
        asked(file, options=ExampleOptions(split="val"))
    with pytest.raises(InputError, match="no row asks for count"):
        asked(file, options=ExampleOptions(split="test", tasks=(Task.COUNT,)))
    with pytest.raises(InputError, match="there are no rows"):
        item_set([], ALL)
    with pytest.raises(OptionError, match="batch size 0"):
        ExampleOptions(batch_size=0)


def test_the_digest_is_that_of_what_is_asked(tmp_path):
    file = some_rows(tmp_path)
    every = asked(file)
    assert asked(file).digest == every.digest
    assert asked(file, caption_rows(tmp_path)).digest != every.digest
    assert asked(file, options=ExampleOptions(tasks=(Task.COUNT,))).digest != every.digest
