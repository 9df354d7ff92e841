"""What is made of predictions: the split, the fit, the baselines, the file."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from geochg.errors import InputError, OptionError, RunError
from geochg.evaluation.options import EvaluateOptions
from geochg.evaluation.predictions import Prediction, Predictions, merged_by_item
from geochg.evaluation.presence import fit_groups, presence_report

FIT = EvaluateOptions(fit_threshold=True)


def row(group, changed, likely, answer=None, tile="", difference=1.0):
    answer = likely > 0.5 if answer is None else answer
    return Prediction(f"{group}{tile}", group, changed, answer, likely, difference)


def predictions(rows, model="vlm:x", opened=False, **model_options):
    identity = {"id": model, "checksum": "sha256:0", "adapter": ""}
    options = {"tile_size_px": 256, "overlap_px": 0, "changed_share": 0.0}
    return Predictions(model, model_options, opened, identity, options, tuple(rows))


def many(count=40):
    """Changed ones above .7, the others below .6; eight tiles a group."""
    random = np.random.default_rng(0)
    return [
        row(
            f"g{number:02d}",
            changed := bool(random.random() < 0.5),
            float(random.uniform(*((0.7, 0.9) if changed else (0.1, 0.6)))),
            tile=f"/{tile}",
        )
        for number in range(count)
        for tile in range(8)
    ]


# --- the split -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_tiles_of_one_group_never_straddle(seed):
    rows = many()
    groups = fit_groups(rows, 0.5, seed)
    assert len(groups) == pytest.approx(20, abs=1)
    fitted = {r.item for r in rows if r.group in groups}
    assert len(fitted) == 8 * len(groups)


def test_the_split_follows_the_seed_and_not_the_order():
    rows = many()
    assert fit_groups(rows, 0.5, 3) == fit_groups(rows[::-1], 0.5, 3)
    assert len({fit_groups(rows, 0.5, seed) for seed in range(5)}) == 5
    assert len(fit_groups(rows, 0.2, 0)) == pytest.approx(8, abs=1)


def test_both_sides_have_changed_and_unchanged_groups():
    rows = [row(f"g{n:02d}", n < 2, 0.3) for n in range(30)]
    for seed in range(10):
        groups = fit_groups(rows, 0.5, seed)
        assert len(groups & {"g00", "g01"}) == 1
        assert len(groups) == 15


@pytest.mark.parametrize(
    ("truths", "names"),
    [
        ([True], "there is no pair"),
        ([True] * 6, "there is no unchanged pair"),
        ([False] * 6, "there is no changed pair"),
        ([True, False, False, False], "there is no changed pair"),
    ],
)
def test_too_little_to_fit_on(truths, names):
    rows = [row(f"g{n}", changed, 0.1 * n) for n, changed in enumerate(truths)]
    with pytest.raises(InputError, match=names):
        fit_groups(rows, 0.5, 0)


# --- the fit -------------------------------------------------------------------------------------


def test_the_fit_is_scored_on_what_it_has_not_seen():
    rows = many()
    groups = fit_groups(rows, 0.5, 0)
    # Held-out answers turned round: a fit that had seen them would come out otherwise.
    spoilt = [
        r if r.group in groups else replace(r, answer=not r.answer, probability=1 - r.probability)
        for r in rows
    ]
    good, bad = (presence_report(predictions(part), FIT) for part in (rows, spoilt))
    assert good.fit == bad.fit
    assert 0.6 < good.fit.probability < 0.7
    # The option of the model that the predictions are of.
    assert good.fit.options == {"presence_threshold": good.fit.probability}
    assert good.fit.items == 8 * len(groups)
    assert good.changed + good.unchanged == len(rows) - good.fit.items
    assert good.scores["the model"].accuracy == good.scores["the model"].auroc == 1
    assert bad.scores["the model"].auroc == 0
    assert bad.scores["the model"].accuracy < 0.5


def test_without_a_fit_the_models_own_word_counts():
    rows = [row("a", True, 0.4, answer=True), row("b", False, 0.3), row("c", True, 0.35)]
    result = presence_report(predictions(rows), EvaluateOptions())
    assert result.fit is None
    assert (result.changed, result.unchanged) == (2, 1)
    model = result.scores["the model"]
    assert (model.recall, model.specificity, model.auroc) == (0.5, 1.0, 1.0)


def test_what_is_held_back_for_other_reasons_stays_so():
    rows = many()
    groups = fit_groups(rows, 0.5, 0)
    # Asked with the threshold as low as it goes; a model that sees nothing there says no still.
    opened = [
        replace(r, answer=not (r.item.endswith("/0") and not r.changed), probability=p)
        for r in rows
        for p in [0.99 if r.item.endswith("/0") and not r.changed else r.probability]
    ]
    result = presence_report(predictions(opened, opened=True), FIT)
    assert 0.6 < result.fit.probability < 0.7
    assert result.scores["the model"].accuracy == 1
    assert result.scores["the model"].auroc < 1
    assert result.fit.items == 8 * len(groups)
    with pytest.raises(OptionError, match="have a higher probability of change than others"):
        presence_report(predictions(opened), FIT)
    with pytest.raises(OptionError, match="made to fit"):
        presence_report(predictions(opened, opened=True), EvaluateOptions())


def test_a_fitted_option_is_in_the_models_own_terms():
    result = presence_report(predictions(many(), "clip:x", look="whole", threshold=0.4), FIT)
    likely = result.fit.probability
    assert result.fit.options == {"threshold": pytest.approx(0.4 + (2 * likely - 1) * 1.6)}
    # As it was asked: with a threshold of 0.
    rows = [replace(r, answer=True) for r in many()]
    opened = presence_report(
        predictions(rows, "clip:x", opened=True, look="whole", threshold=0.4), FIT
    )
    assert opened.fit.options == {"threshold": pytest.approx((2 * likely - 1) * 2)}


def test_no_probabilities_no_fit():
    rows = [replace(r, probability=None) for r in many()]
    assert presence_report(predictions(rows), EvaluateOptions()).scores["the model"].auroc is None
    with pytest.raises(OptionError, match="gives no probabilities"):
        presence_report(predictions(rows), FIT)


# --- baselines -----------------------------------------------------------------------------------


def test_baselines_by_hand():
    rows = [
        row("a", True, 0.9, difference=30.0),
        row("b", True, 0.9, difference=8.0),
        row("c", False, 0.1, difference=10.0),
        row("d", False, 0.1, difference=2.0),
        row("e", False, 0.1, difference=1.0),
    ]
    result = presence_report(predictions(rows), EvaluateOptions())
    every, none = result.scores["all changed"], result.scores["no change"]
    assert (every.accuracy, every.recall, every.f1) == (0.4, 1.0, pytest.approx(4 / 7))
    assert (every.balanced_accuracy, every.auroc) == (0.5, 0.5)
    assert (none.accuracy, none.recall, none.f1, none.precision) == (0.6, 0.0, 0.0, None)
    assert (none.balanced_accuracy, none.auroc) == (0.5, 0.5)
    plain = result.scores["differencing"]
    assert plain.auroc == pytest.approx(5 / 6)
    assert result.difference == pytest.approx(5)
    assert (plain.recall, plain.specificity) == (1.0, pytest.approx(2 / 3))


def test_differencing_is_fitted_on_the_same_pairs():
    rows = [replace(r, difference=40.0 if r.changed else 4.0) for r in many()]
    groups = fit_groups(rows, 0.5, 0)
    rows = [r if r.group in groups else replace(r, difference=44 - r.difference) for r in rows]
    result = presence_report(predictions(rows), FIT)
    assert result.difference == pytest.approx(22)
    assert result.scores["differencing"].accuracy == 0


def test_one_kind_alone_has_no_differencing():
    result = presence_report(predictions([row("a", True, 0.9)]), EvaluateOptions())
    assert "differencing" not in result.scores
    assert result.scores["the model"].balanced_accuracy is None
    assert all("-" in line for line in result.lines()[2:])


def test_what_is_not_answered_is_told_and_not_scored():
    rows = [row("a", True, 0.9), replace(row("b", False, 0.9), answer=None, probability=None)]
    result = presence_report(predictions(rows), EvaluateOptions())
    assert (result.changed, result.unchanged, result.unanswered) == (1, 0, 1)
    with pytest.raises(RunError, match="no answer about any of 1 pairs"):
        presence_report(predictions(rows[1:]), EvaluateOptions())


# --- the file ------------------------------------------------------------------------------------


def _with_option(head, value):
    """The first line of a file, with a number among the options of the model."""
    return re.sub(r'"model_options": {[^}]*}', f'"model_options": {{"a": {value}}}', head)


def test_predictions_round_trip(tmp_path):
    rows = [*many(2), replace(row("é", True, 0.1), answer=None, probability=None)]
    result = predictions(rows, opened=True, threshold=0.5)
    result.write(tmp_path / "p.jsonl")
    assert Predictions.read(tmp_path / "p.jsonl") == result


def test_predictions_of_earlier_versions_do_not_tell_how_many_they_are(tmp_path):
    path = tmp_path / "p.jsonl"
    predictions(many(2)).write(path)
    head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    former = json.loads(head)
    del former["items"]
    path.write_text("".join([f"{json.dumps(former)}\n", *rows]), encoding="utf-8")
    assert Predictions.read(path).rows == predictions(many(2)).rows


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda lines: [], "no file of predictions"),
        (lambda lines: ["{}", *lines[1:]], "no file of predictions"),
        (lambda lines: [lines[0].replace('"model":', '"modul":')], "line 1: there is no 'model'"),
        (lambda lines: lines[:1], "holds no answers"),
        (lambda lines: lines[:2], "holds 1 answers, where its first line names 16"),
        (lambda lines: lines[:-1], "holds 15 answers, where its first line names 16"),
        (lambda lines: [*lines, lines[1]], "holds 17 answers, where its first line names 16"),
        (
            lambda lines: [lines[0].replace('"items": 16', '"items": "all"'), *lines[1:]],
            "holds 16 answers, where its first line names all",
        ),
        (lambda lines: [_with_option(lines[0], "NaN"), *lines[1:]], "line 1 holds a number"),
        (lambda lines: [_with_option(lines[0], "-Infinity"), *lines[1:]], "line 1 holds a number"),
        (lambda lines: [_with_option(lines[0], "1e999"), *lines[1:]], "line 1 holds a number"),
        (lambda lines: [*lines, "none"], "line 18 is not JSON"),
        (lambda lines: [*lines, "[]"], "line 18 is no JSON object"),
        (lambda lines: [*lines, "{}"], "line 18 has other keys"),
        (lambda lines: [lines[0], lines[1].replace("true", "1")], "line 2 has a value"),
        (lambda lines: [lines[0], lines[1].replace("1.0", "NaN")], "line 2 has a value"),
        (lambda lines: [lines[0], lines[1].replace("1.0", "-1")], "line 2 has a value"),
    ],
)
def test_files_that_are_no_predictions(tmp_path, change, names):
    path = tmp_path / "p.jsonl"
    predictions([replace(r, changed=True, answer=True) for r in many(2)]).write(path)
    lines = change(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError, match=names) as caught:
        Predictions.read(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("value", ["1.5", "-0.1", "NaN", "1e400", "1" + "0" * 400, "true", '"0.5"'])
def test_a_probability_that_is_none_is_refused(tmp_path, value):
    path = tmp_path / "p.jsonl"
    predictions([row("a", True, 0.5), row("b", False, 0.25)]).write(path)
    text = path.read_text(encoding="utf-8")
    assert text.count('"probability": 0.25') == 1
    path.write_text(text.replace('"probability": 0.25', f'"probability": {value}'), "utf-8")
    with pytest.raises(InputError, match="line 3 has a value that makes no sense"):
        Predictions.read(path)


def test_a_whole_picture_has_changed_where_a_tile_has():
    tiles = [row("a", True, 0.2), row("a", True, 0.8), row("a", True, 0.3, difference=9.0)]
    assert merged_by_item([*tiles, row("b", False, 0.1)]) == [
        row("a", True, 0.8, difference=9.0),
        row("b", False, 0.1),
    ]
    lost = replace(row("a", True, 0.1), answer=None, probability=None)
    assert merged_by_item([tiles[0], lost])[0].answer is None
    assert merged_by_item([tiles[1], lost])[0].answer is True
    assert merged_by_item([tiles[1], lost])[0].probability is None
