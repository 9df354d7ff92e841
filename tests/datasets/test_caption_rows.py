"""Instruction rows: they parse back to what is true of the pair."""

import json

import pytest
from told_pairs import masks

from geochg.datasets.captions.facts import class_cells, class_counts, mask_facts
from geochg.datasets.captions.rows import answer, caption_row, instruction_rows
from geochg.datasets.captions.sentences import plural
from geochg.records import Caption, Presence, Task
from geochg.tasks import SPECS, TURN_BREAK
from geochg.tasks.statements import NO_CHANGE_SENTENCES

IMAGES = ("A/pair_0.png", "B/pair_0.png")
PAIRS = [masks(number, 96) for number in range(40)]


def _said(row):
    return TURN_BREAK.join(t["value"] for t in row["conversations"] if t["from"] == "gpt")


@pytest.mark.parametrize("task", list(Task))
def test_rows_parse_back_to_the_facts(task):
    for pair in PAIRS:
        row = instruction_rows(pair, IMAGES)[list(Task).index(task)]
        assert SPECS[task].parse(_said(row)) == answer(task, pair, mask_facts(pair))


def test_answers_are_the_facts_of_the_masks():
    for pair in PAIRS:
        assert answer(Task.PRESENCE, pair, mask_facts(pair)) == Presence(pair.changed)
        assert answer(Task.COUNT, pair, mask_facts(pair)) == class_counts(pair)
        assert answer(Task.LOCATE, pair, mask_facts(pair)) == class_cells(pair)
        assert sum(fact.share for fact in mask_facts(pair)) == pytest.approx(
            (pair.classes > 0).mean()
        )


def test_format_of_rows():
    pair = PAIRS[0]
    result = instruction_rows(pair, IMAGES, first_id=12)
    assert [row["id"] for row in result] == list(range(12, 18))
    assert json.loads(json.dumps(result)) == result
    for task, row in zip(Task, result, strict=True):
        asked = [turn["value"] for turn in row["conversations"] if turn["from"] == "human"]
        assert row["image"] == list(IMAGES)
        assert row["changeflag"] == int(pair.changed)
        assert asked[0].startswith("<image> <image> ")
        assert len(asked) == (3 if task is Task.DIALOGUE else 1)


def test_captions():
    wordings = set()
    for pair in PAIRS:
        row = caption_row(pair, IMAGES)
        assert len(row["captions"]) == 5
        for sentence in row["captions"]:
            assert SPECS[Task.CAPTION].parse(sentence) == Caption(sentence, pair.changed)
            assert pair.changed or sentence in NO_CHANGE_SENTENCES
            wordings.add(sentence)
    assert len(wordings) > 40


@pytest.mark.parametrize(
    ("noun", "several"),
    [
        ("house", "houses"),
        ("factory", "factories"),
        ("patch of bare land", "patches of bare land"),
        ("water body", "water bodies"),
        ("highway", "highways"),
    ],
)
def test_plurals(noun, several):
    assert plural(noun) == several
