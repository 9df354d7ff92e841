"""The scores of each task, by hand, and how they are shown."""

import json

import pytest

from geochg.errors import RunError
from geochg.evaluation.answers import AnswerRow, AnswerSet, AnswerSetHead
from geochg.evaluation.caption_metrics import CiderD, words
from geochg.evaluation.reports import MODEL, task_scores
from geochg.evaluation.tables import COLUMNS, in_markdown, in_words, one_line, published_scores
from geochg.evaluation.text_scores import OptionalMetrics, bleu
from geochg.evaluation.values import FailedAnswer, References
from geochg.records import (
    GRID_CELLS,
    Counts,
    GridCell,
    Locations,
    Presence,
    Reply,
    Task,
    Unparsed,
)

HERE = OptionalMetrics(notes=("METEOR is left out: it needs Java",))
A, B, C = GridCell(0, 0), GridCell(1, 1), GridCell(2, 2)


def answers(task, *rows):
    """Rows of (truth, given) or (truth, given, changed)."""
    identity = {"id": "m", "checksum": "sha256:0", "adapter": ""}
    head = AnswerSetHead("m", {}, identity, "sha256:1", len(rows), 0, {})
    result = [
        AnswerRow(n, f"p{n}", task, "?", changed, truth, given, float(n))
        for n, (truth, given, *more) in enumerate(rows)
        for changed in (more or [None])
    ]
    return AnswerSet(head, tuple(result))


def scored(task, *rows, optional=HERE, beside=()):
    (result,) = task_scores(answers(task, *rows), optional, beside)
    return result


def line(result, name, group=""):
    (table,) = [t for t in result.tables if t.group == group]
    (values,) = [one.values for one in table.lines if one.name.startswith(name)]
    return values


def nonsense(task, text="colourless"):
    return Unparsed(task, text, "nonsense")


# --- presence ------------------------------------------------------------------------------------


def test_an_unparsed_presence_is_the_wrong_one():
    result = scored(
        Task.PRESENCE,
        (Presence(True), Presence(True, 0.9)),
        (Presence(True), nonsense(Task.PRESENCE)),
        (Presence(False), nonsense(Task.PRESENCE)),
        (Presence(False), Presence(False, 0.2)),
        (Presence(False), Presence(True, 0.6)),
        (Presence(True), FailedAnswer("no answer came")),
    )
    assert (result.items, result.unparsed, result.failed) == (5, 2, 1)
    model = line(result, MODEL)
    assert model["accuracy"] == pytest.approx(2 / 5)
    assert model["precision"] == pytest.approx(1 / 3)
    assert model["recall"] == pytest.approx(1 / 2)
    assert model["auroc"] == 1
    assert line(result, "all changed")["recall"] == 1
    assert line(result, "all changed")["accuracy"] == pytest.approx(2 / 5)
    assert line(result, "no change")["accuracy"] == pytest.approx(3 / 5)
    # The later pairs differ more and are the unchanged ones.
    assert line(result, "differencing")["auroc"] == 0
    assert "an unparsed answer counts as the wrong one" in result.notes[0]


def test_no_probability_no_auroc():
    rows = [(Presence(True), Presence(True, 0.9)), (Presence(False), Presence(False))]
    assert line(scored(Task.PRESENCE, *rows), MODEL)["auroc"] is None


# --- count ---------------------------------------------------------------------------------------


def test_counts_by_hand():
    result = scored(
        Task.COUNT,
        (Counts({"road": 0, "building": 4}), Counts({"building": 1})),
        (Counts({"road": 1, "building": 0}), Counts({"road": 1, "building": 1})),
        (Counts({"road": 2, "building": 5}), nonsense(Task.COUNT)),
    )
    model = line(result, MODEL, "building")
    assert model == pytest.approx({"mae": 2, "rmse": 5**0.5, "exact": 0})
    # A class that is not spoken of has not changed.
    assert line(result, MODEL, "road") == pytest.approx({"mae": 0, "rmse": 0, "exact": 2 / 3})
    # The baselines are measured where the model is.
    assert line(result, "always 0", "building") == pytest.approx(
        {"mae": 2, "rmse": 8**0.5, "exact": 1 / 3}
    )
    assert line(result, "always the mean", "building")["mae"] == pytest.approx((1 + 3) / 2)
    assert any("MAE and RMSE" in note for note in result.notes)


def test_only_nonsense_has_no_error():
    result = scored(Task.COUNT, (Counts({"road": 1}), nonsense(Task.COUNT)))
    assert line(result, MODEL, "road") == {"mae": None, "rmse": None, "exact": 0}
    assert result.tables[0].cells()[1] == [MODEL, "-", "-", "0.00"]


# --- locate --------------------------------------------------------------------------------------


def where(*cells):
    return Locations({"road": {}, "building": dict.fromkeys(cells, 1.0)})


def test_cells_by_hand():
    result = scored(
        Task.LOCATE,
        (where(A, B), where(A, C)),
        (where(), where()),
        (where(B), Locations({"water": {A: 1.0}})),
        (where(), nonsense(Task.LOCATE)),
    )
    assert line(result, MODEL, "building") == pytest.approx(
        {"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "exact": 1 / 4}
    )
    nothing, every = (line(result, name, "building") for name in ("nothing", "all nine cells"))
    assert nothing == {"precision": None, "recall": 0, "f1": 0, "exact": 1 / 2}
    assert every["precision"] == pytest.approx(3 / (4 * len(GRID_CELLS)))
    assert (every["recall"], every["exact"]) == (1, 0)
    roads = line(result, MODEL, "road")
    assert roads == {"precision": None, "recall": None, "f1": None, "exact": 3 / 4}
    assert [table.group for table in result.tables] == ["road", "building"]


# --- texts ---------------------------------------------------------------------------------------

NO_CHANGE = "no change has occurred"
CAPTIONS = (
    (References(("a house was built", "a new house")), Reply("a house appears"), True),
    (References(("roads were built",)), Reply("roads were built"), True),
    (References(("roads were built",)), nonsense(Task.CAPTION, "roads"), True),
    (References((NO_CHANGE, "the scene is the same as before")), Reply(NO_CHANGE), False),
    (References((NO_CHANGE,)), Reply("a house was built"), False),
)


def test_changed_and_unchanged_pairs_apart():
    result = scored(Task.CAPTION, *CAPTIONS)
    assert [(t.group, t.items) for t in result.tables] == [
        ("all pairs", 5),
        ("changed pairs", 3),
        ("unchanged pairs", 2),
    ]
    written = [[" ".join(words(t)) for t in truth.texts] for truth, *_ in CAPTIONS]
    said = [given.text for _, given, _ in CAPTIONS]
    for group, part in (("all pairs", slice(5)), ("changed pairs", slice(3))):
        values = line(result, MODEL, group)
        assert values["bleu_1"] == pytest.approx(bleu(said[part], written[part], 1))
        each = CiderD([[words(t) for t in ts] for ts in written]).scores([words(t) for t in said])
        assert values["cider_d"] == pytest.approx(sum(each[part]) / len(each[part]))
    assert line(result, MODEL, "changed pairs")["rouge_l"] != pytest.approx(
        line(result, MODEL, "unchanged pairs")["rouge_l"]
    )
    assert "meteor" not in result.tables[0].columns
    assert "an unparsed answer is scored by its words, as the papers do" in result.notes
    assert HERE.notes[0] in result.notes


def test_constant_captions_are_what_a_model_is_compared_with():
    result = scored(Task.CAPTION, *CAPTIONS)
    names = [one.name for one in result.tables[0].lines]
    assert names == [MODEL, f'no change: "{NO_CHANGE}"', 'commonest: "roads were built"']
    assert line(result, "no change", "unchanged pairs")["bleu_4"] == pytest.approx(1)
    assert line(result, "no change", "changed pairs")["rouge_1"] == 0
    assert line(result, "commonest", "changed pairs")["rouge_1"] == pytest.approx((2 / 7 + 2) / 3)


def test_without_changed_pairs_there_is_one_constant_caption():
    result = scored(Task.CAPTION, CAPTIONS[4], CAPTIONS[4])
    assert [t.group for t in result.tables] == ["all pairs", "unchanged pairs"]
    assert len(result.tables[0].lines) == 2


def test_answers_to_questions_are_one_group():
    result = scored(
        Task.QUESTION,
        (References(("two houses",)), Reply("two houses"), True),
        (References(("none",)), Reply("none"), False),
        (References(("none",)), FailedAnswer("no"), False),
    )
    assert [(t.group, t.items) for t in result.tables] == [("", 2)]
    assert line(result, MODEL)["rouge_1"] == 1
    assert line(result, 'commonest: "')["rouge_1"] == pytest.approx(1 / 2)
    assert result.failed == 1


def test_no_answer_at_all_is_an_error():
    with pytest.raises(RunError, match=r"answered none of 1 questions: no. way") as caught:
        scored(Task.QUESTION, (References(("a",)), FailedAnswer("no\x1b way")))
    assert "\x1b" not in caught.value.message


# --- shown ---------------------------------------------------------------------------------------


def test_published_scores_stand_beside_their_own_group_only():
    every = published_scores()
    result = scored(
        Task.COUNT, (Counts({"road": 1, "building": 2}), Counts({"road": 1})), beside=every
    )
    assert line(result, "DeltaVLM", "road") == {"mae": 0.24, "rmse": 0.70}
    assert line(result, "DeltaVLM", "building") == {"mae": 1.32, "rmse": 2.89}
    captions = scored(Task.CAPTION, *CAPTIONS, beside=every)
    assert line(captions, "DeltaVLM", "all pairs")["cider_d"] == pytest.approx(1.3672)
    assert len(captions.tables[1].lines) == 3
    shown = captions.tables[0].cells()
    assert ["DeltaVLM, ChangeChat-105k (published)", "85.78"] == [
        cell for row in shown for cell in row[:2] if row[0].startswith("DeltaVLM")
    ]
    assert all(one.values for one in every)
    assert {one.group for one in every} == {"", "all pairs", "road", "building"}


def test_tables_in_words_and_in_markdown():
    result = [
        scored(Task.COUNT, (Counts({"road": 1}), Counts({"road": 3}))),
        scored(Task.CAPTION, (References(("a | `b`",)), Reply("a"), True)),
    ]
    lines = in_words(result)
    assert "count: 1 scored, 0 of them unparsed" in lines
    (row,) = [each for each in lines if "the model" in each and "2.00" in each]
    assert row.split()[-3:] == ["2.00", "2.00", "0.00"]
    markdown = in_markdown(result)
    assert "## Count" in markdown
    assert "|  | MAE | RMSE | exact match |" in markdown
    assert "| the model | 2.00 | 2.00 | 0.00 |" in markdown
    assert any('commonest: "a \\| \\`b\\`"' in each for each in markdown)
    values = json.loads(json.dumps(result[0].to_dict(), allow_nan=False))
    assert values["groups"][0]["scores"][0] == {
        "name": MODEL, "mae": 2.0, "rmse": 2.0, "exact": 0.0
    }  # fmt: skip


def test_texts_of_others_are_made_harmless():
    assert one_line("a\x1b[31m\nb\u202ec") == "a bc"
    assert len(one_line("x" * 100)) == 48
    assert COLUMNS["cider_d"].scale == 100


def test_class_names_of_others_are_made_harmless():
    result = scored(Task.COUNT, (Counts({"x\x1b]0;y\x07**z\n# w": 1}), Counts({"road": 0})))
    shown = [*in_words([result]), *in_markdown([result])]
    assert all(each.isprintable() for each in shown)
    assert "  x**z # w (1)" in shown
    assert "**x\\*\\*z # w (1)**" in shown
