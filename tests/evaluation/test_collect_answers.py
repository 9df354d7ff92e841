"""Asking a model about a test set: looks, sizes, failures, and going on after an interruption."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from question_rows import caption_rows, instruction, some_rows, write_pictures, write_rows

from geochg.datasets.examples import read_examples
from geochg.errors import InputError, ModelError, OptionError, RunError
from geochg.evaluation.answers import AnswerSet
from geochg.evaluation.collect_answers import collect_answers
from geochg.evaluation.collect_presence import refuse_surveys
from geochg.evaluation.items import item_set
from geochg.evaluation.options import ExampleOptions
from geochg.evaluation.partial_answers import partial_path
from geochg.evaluation.values import FailedAnswer
from geochg.models.registry import find_backend
from geochg.records import (
    GridCell,
    Locations,
    Presence,
    Reply,
    Task,
    Unparsed,
)

pytestmark = pytest.mark.usefixtures("marker_plugin")

MARKER = ExampleOptions(model="marker")
ROWS = 24


@pytest.fixture
def looks(marker_plugin, monkeypatch):
    """What the marker was asked: a list of (indexes of tiles, tasks), one a call."""
    backend, _ = find_backend("marker")
    calls, answer = [], backend.answer

    def counted(self, tiles, questions):
        calls.append(([t.window.index for t in tiles], [q.task for q in questions]))
        return answer(self, tiles, questions)

    monkeypatch.setattr(backend, "answer", counted)
    return calls


@pytest.fixture
def asked(tmp_path):
    return item_set(read_examples(some_rows(tmp_path)), MARKER)


def with_options(**options):
    return ExampleOptions(model="marker", model_options=options)


def only(result, task, pair):
    (row,) = [r for r in result.rows if r.task is task and r.pair.startswith(f"A/{pair}")]
    return row.answer


def test_each_pair_is_looked_at_once_with_all_its_questions(asked, looks):
    result = collect_answers(asked, MARKER)
    # The first batch is small.
    assert [indexes for indexes, _ in looks] == [[0, 1], [2, 3]]
    assert all(tasks == list(Counter(tasks)) and set(tasks) == set(Task) for _, tasks in looks)
    assert [row.item for row in result.rows] == list(range(ROWS))
    presence = only(result, Task.PRESENCE, "a")
    assert (presence.changed, presence.probability) == (True, pytest.approx(0.9))
    assert only(result, Task.COUNT, "b").counts == {"building": 2}
    assert only(result, Task.CAPTION, "b") == Reply("2 buildings appeared.")
    assert only(result, Task.DIALOGUE, "c") == Reply("there is no difference")
    assert only(result, Task.QUESTION, "b") == Reply("242 pixels changed")


def test_outlines_become_cells(asked):
    result = collect_answers(asked, MARKER)
    cells = only(result, Task.LOCATE, "b")
    assert isinstance(cells, Locations)
    assert cells.cells == {"building": {GridCell(0, 0): 1.0, GridCell(2, 2): 1.0}}
    grid = collect_answers(asked, with_options(location="grid"))
    assert set(only(grid, Task.LOCATE, "b").cells["building"]) == {GridCell(0, 0), GridCell(2, 2)}


@pytest.mark.parametrize("task", [Task.LOCATE, Task.PRESENCE])
def test_outlines_tell_what_changed_whatever_the_presence_answer(asked, looks, monkeypatch, task):
    options = ExampleOptions(model="marker", tasks=(task,))
    alone = item_set([item.example for item in asked.items], options)
    usual = only(collect_answers(alone, options), task, "b")
    assert Task.LOCATE in looks[0][1]
    backend, _ = find_backend("marker")
    answer = backend.answer

    def denying(self, tiles, questions):
        return [
            [Presence(False) if isinstance(a, Presence) else a for a in row]
            for row in answer(self, tiles, questions)
        ]

    monkeypatch.setattr(backend, "answer", denying)
    assert only(collect_answers(alone, options), task, "b") == usual
    assert usual != Locations({})
    assert usual != Presence(False)


def test_pictures_of_other_sizes_and_other_questions_are_asked_apart(tmp_path, looks):
    write_pictures(tmp_path)
    for side in "AB":
        Image.fromarray(np.zeros((40, 90, 3), np.uint8)).save(tmp_path / side / "c.png")
    rows = [instruction(n, name, Task.PRESENCE, ["No"]) for n, name in enumerate("abcd")]
    rows.append(instruction(9, "d", Task.QUESTION, ["none"], ["How many?"]))
    asked = item_set(read_examples(write_rows(tmp_path / "r.json", rows)), MARKER)
    result = collect_answers(asked, MARKER)
    assert [len(tiles) for tiles, _ in looks] == [2, 1, 1]
    assert [len(tasks) for _, tasks in looks] == [2, 2, 3]
    assert len(result.rows) == 5
    looks.clear()
    collect_answers(asked, ExampleOptions(model="marker", batch_size=1))
    assert [len(tiles) for tiles, _ in looks] == [1, 1, 1, 1]


def test_a_talk_goes_on_with_the_answers_of_the_data(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    talk = instruction(0, "a", Task.QUESTION, ["a house", "at the top"], ["What?", "Where?"])
    asked = item_set(read_examples(write_rows(tmp_path / "r.json", [talk])), MARKER)
    backend, _ = find_backend("marker")
    heard = []

    def talking(self, tile, facts, exchanges, question):
        heard.append((tile.window.index, list(exchanges), question))
        yield from ("in the ", "corner")

    monkeypatch.setattr(backend, "converse", talking)
    result = collect_answers(asked, MARKER)
    assert [row.answer for row in result.rows] == [
        Reply("121 pixels changed"),
        Reply("in the corner"),
    ]
    assert heard == [(0, [("What?", "a house")], "Where?")]

    def refusing(self, tile, facts, exchanges, question):
        raise RunError("no answer: tired")
        yield

    monkeypatch.setattr(backend, "converse", refusing)
    assert collect_answers(asked, MARKER).rows[1].answer == FailedAnswer("no answer: tired")


def test_failures_and_nonsense_are_kept_apart(asked):
    result = collect_answers(asked, with_options(fail_tiles=[1]))
    failed = [row for row in result.rows if isinstance(row.answer, FailedAnswer)]
    assert {row.pair for row in failed} == {"A/b.png | B/b.png"}
    assert len(failed) == len(Task)
    assert failed[0].answer.reason == "told to fail"
    odd = collect_answers(asked, with_options(nonsense=True))
    assert all(isinstance(row.answer, Unparsed) for row in odd.rows)


def test_tasks_that_a_model_does_not_take_are_told(asked, monkeypatch):
    from dataclasses import replace

    backend, _ = find_backend("marker")
    few = replace(backend.backend_capabilities, tasks=frozenset({Task.PRESENCE, Task.COUNT}))
    monkeypatch.setattr(backend, "backend_capabilities", few)
    result = collect_answers(asked, MARKER)
    assert {row.task for row in result.rows} == {Task.PRESENCE, Task.COUNT}
    assert result.head.items == 8
    assert result.head.unasked == {"caption": 4, "locate": 4, "dialogue": 4, "question": 4}
    monkeypatch.setattr(backend, "backend_capabilities", replace(few, tasks=frozenset()))
    with pytest.raises(ModelError, match="does not take what the rows ask: presence, caption"):
        collect_answers(asked, MARKER)


def test_models_that_survey_are_refused(asked):
    with pytest.raises(ModelError, match="irmad learns from the pair"):
        collect_answers(asked, ExampleOptions(model="irmad"))


def test_only_models_that_need_a_survey_are_refused():
    result = {name: find_backend(name)[0].backend_capabilities for name in ("builtin", "irmad")}
    assert all(each.surveys for each in result.values())
    assert result["irmad"].needs_survey
    assert not result["builtin"].needs_survey
    refuse_surveys("builtin", find_backend("builtin")[0].backend_capabilities)
    with pytest.raises(ModelError, match="learns from the pair"):
        refuse_surveys("irmad", find_backend("irmad")[0].backend_capabilities)


def test_pictures_of_two_sizes_are_no_pair(tmp_path):
    file = some_rows(tmp_path)
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "B" / "c.png")
    with pytest.raises(InputError, match=r"row 13 \(id '12'\): c.png has 9 x 8 px"):
        collect_answers(item_set(read_examples(file), MARKER), MARKER)


# --- interruptions -------------------------------------------------------------------------------


class _StopError(Exception):
    pass


@pytest.fixture
def stopped(asked, tmp_path, monkeypatch):
    """A run that ended after two of four pairs, and where it keeps its answers."""
    backend, _ = find_backend("marker")
    keep, answer = tmp_path / "said.jsonl", backend.answer
    with monkeypatch.context() as patch:

        def failing(self, tiles, questions):
            if any(tile.window.index >= 2 for tile in tiles):
                raise RunError("the power went")
            return answer(self, tiles, questions)

        patch.setattr(backend, "answer", failing)
        with pytest.raises(RunError, match="the power went"):
            collect_answers(asked, ExampleOptions(model="marker", batch_size=1), keep)
    return keep


def test_answers_are_kept_as_they_come_and_never_doubled(asked, stopped, looks):
    left = partial_path(stopped)
    assert not stopped.exists()
    assert len(AnswerSet.read(left).rows) == 12
    result = collect_answers(asked, MARKER, stopped, resume=True)
    assert [tiles for tiles, _ in looks] == [[0, 1]]
    assert not left.exists()
    assert Counter(row.item for row in result.rows) == Counter(range(ROWS))
    looks.clear()
    whole = collect_answers(asked, MARKER)
    assert sorted(result.rows, key=lambda row: row.item) == list(whole.rows)
    assert list(AnswerSet.read(stopped).lines()) == list(whole.lines())


def test_a_run_that_came_to_its_end_is_not_asked_again(asked, tmp_path, looks):
    keep = tmp_path / "said.jsonl"
    whole = collect_answers(asked, MARKER, keep)
    text = keep.read_text(encoding="utf-8")
    looks.clear()
    assert collect_answers(asked, MARKER, keep, resume=True) == whole
    assert looks == []
    assert keep.read_text(encoding="utf-8") == text
    with pytest.raises(OptionError, match=r"the run in .*said\.jsonl differs in model, model opt"):
        collect_answers(asked, with_options(difference=3.0), keep, resume=True)
    assert keep.read_text(encoding="utf-8") == text
    # Without its last lines it is a run that was interrupted.
    keep.write_text("".join(text.splitlines(keepends=True)[:-2]), encoding="utf-8")
    result = collect_answers(asked, MARKER, keep, resume=True)
    assert len(looks) == 1
    assert Counter(row.item for row in result.rows) == Counter(range(ROWS))
    assert not partial_path(keep).exists()


def test_a_torn_line_is_asked_again(asked, stopped, looks):
    left = partial_path(stopped)
    with left.open("a") as file:
        file.write('{"item": 12, "pair": "A/c')
    result = collect_answers(asked, MARKER, stopped, resume=True)
    assert Counter(row.item for row in result.rows) == Counter(range(ROWS))
    assert AnswerSet.read(stopped).rows == result.rows


def test_half_a_pair_is_asked_only_for_the_rest(asked, stopped, looks):
    left = partial_path(stopped)
    lines = left.read_text().splitlines(keepends=True)
    left.write_text("".join(lines[:-2]))
    result = collect_answers(asked, MARKER, stopped, resume=True)
    assert len(looks[0][1]) == 2
    assert Counter(row.item for row in result.rows) == Counter(range(ROWS))


def test_a_head_that_was_torn_begins_again(asked, tmp_path):
    keep = tmp_path / "said.jsonl"
    partial_path(keep).write_text('{"kind": "geo')
    collect_answers(asked, MARKER, keep)
    assert len(AnswerSet.read(keep).rows) == ROWS


def test_an_unfinished_run_is_not_overwritten_nor_mixed(asked, stopped, tmp_path):
    with pytest.raises(InputError, match=r"an unfinished run \(12 of 24 answers\)"):
        collect_answers(asked, MARKER, stopped)
    with pytest.raises(OptionError, match="differs in model, model options"):
        collect_answers(asked, with_options(difference=3.0), stopped, resume=True)
    captions = item_set(read_examples(caption_rows(tmp_path)), MARKER)
    with pytest.raises(OptionError, match="differs in rows"):
        collect_answers(captions, MARKER, stopped, resume=True)
    assert len(AnswerSet.read(partial_path(stopped)).rows) == 12


def test_a_run_without_an_answer_leaves_nothing(asked, tmp_path, monkeypatch):
    backend, _ = find_backend("marker")

    def broken(self, tiles, questions):
        raise ValueError("no")

    monkeypatch.setattr(backend, "answer", broken)
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="the model marker failed: ValueError"):
        collect_answers(asked, MARKER, tmp_path / "said.jsonl")
    assert sorted(tmp_path.rglob("*")) == there


# --- the file ------------------------------------------------------------------------------------


def test_answers_round_trip(asked, tmp_path):
    for number, options in enumerate(
        (MARKER, with_options(nonsense=True), with_options(fail_tiles=[0]))
    ):
        keep = tmp_path / f"{number}.jsonl"
        result = collect_answers(asked, options, keep)
        again = AnswerSet.read(keep)
        assert list(again.lines()) == list(result.lines())
        assert again.head == result.head
        assert {type(r.answer) for r in again.rows} == {type(r.answer) for r in result.rows}


def changed_row(lines, number, **values):
    row = json.loads(lines[number]) | values
    return [*lines[:number], json.dumps(row), *lines[number + 1 :]]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda lines: [], "no file of predictions"),
        (lambda lines: changed_row(lines, 0, format=5, geochg_version="9.1"), "is of format 5"),
        (lambda lines: changed_row(lines, 0, format=True), "is of format True"),
        (lambda lines: changed_row(lines, 0, identity={}), "line 1 does not name the model"),
        (lambda lines: changed_row(lines, 0, items=-1), "line 1 has a number"),
        (lambda lines: changed_row(lines, 0, asked=None), "line 1: there is no 'asked'"),
        (lambda lines: [*lines, lines[3]], "line 26: item 2 stands there twice"),
        (lambda lines: changed_row(lines, 2, item=99), "line 3: item 99 is not among those of"),
        (lambda lines: [*lines, "{"], "line 26 is not JSON"),
        (lambda lines: changed_row(lines, 2, task="guess"), "line 3: 'guess'"),
        (lambda lines: changed_row(lines, 2, item=True), "line 3: there is no item"),
        (lambda lines: changed_row(lines, 2, pair=None), "line 3: there is no pair"),
        (lambda lines: changed_row(lines, 2, changed=1), "line 3: changed is neither"),
        (lambda lines: changed_row(lines, 2, difference=-1), "line 3: the difference"),
        (lambda lines: changed_row(lines, 2, answer=None), "line 3: there is no answer"),
        (lambda lines: changed_row(lines, 2, truth={}), "line 3: there are no references"),
        (lambda lines: changed_row(lines, 1, answer={"changed": 1}), "line 2: changed is neither"),
        (lambda lines: changed_row(lines, 3, answer={"counts": {"road": -1}}), "whole number"),
        (lambda lines: changed_row(lines, 3, answer={"counts": {"road": 10**400}}), "above 10000"),
        (lambda lines: changed_row(lines, 3, truth={"counts": {"road": 10**400}}), "above 10000"),
        (
            lambda lines: changed_row(lines, 4, answer={"cells": {"road": ["mid"]}}),
            "a name is of no cell",
        ),
        (
            lambda lines: changed_row(lines, 1, answer={"changed": True, "probability": 2}),
            "line 2: the probability is no number",
        ),
        (
            lambda lines: changed_row(lines, 1, answer={"changed": True, "probability": 10**400}),
            "line 2: the probability is no number",
        ),
        (
            lambda lines: changed_row(
                lines, 1, answer={"changed": True, "probability": float("nan")}
            ),
            "line 2: the probability is no number",
        ),
    ],
)
def test_files_that_are_no_answers(asked, tmp_path, change, names):
    keep = tmp_path / "said.jsonl"
    collect_answers(asked, MARKER, keep)
    lines = change(keep.read_text().splitlines())
    keep.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError, match=names) as caught:
        AnswerSet.read(keep)
    assert str(keep) in caught.value.message
    assert caught.value.hint
