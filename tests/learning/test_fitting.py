"""Heads in memory, and as ONNX graphs."""

import numpy as np
import pytest

from geochg.learning.fitting import LEAST_FOR_TREES, fit_head, place_folds, platt, sigmoid
from geochg.learning.graph import CLASS_SHARES, INPUT, PROBABILITY, ClassHead, head_graph
from geochg.learning.scores import Share, precision_at_recall, review_order, roc_auc
from geochg.learning.training import place_numbers

NAMES = (*(f"surface_{n}_within" for n in range(6)), "encoding_0_before")


def linear_examples(count=50, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (count, len(NAMES))).astype(np.float32)
    accepted = values[:, 0] + 0.5 * values[:, 1] + random.normal(0, 0.3, count) > 0
    return values, accepted, np.arange(count) % 7


def checkered_examples(count=240):
    """Right where both of two numbers are high or both are low: no line tells these apart."""
    random = np.random.default_rng(1)
    values = random.normal(0, 1, (count, len(NAMES))).astype(np.float32)
    accepted = (values[:, 0] > 0) == (values[:, 1] > 0)
    return values, accepted, np.arange(count) % 10


def run_graph(content, values):
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    names = [part.name for part in session.get_outputs()]
    return dict(zip(names, session.run(None, {INPUT: values}), strict=True))


def test_a_line_is_learned_by_logistic_regression_and_others_by_trees():
    for make, classifier in (
        (linear_examples, "logistic regression"),
        (checkered_examples, "gradient boosting"),
    ):
        values, accepted, place = make()
        head = fit_head(NAMES, values, accepted, place)
        assert head.classifier == classifier
        assert roc_auc(head.held_out, accepted) > 0.8
        # Calibrated: as many are right as the probabilities say.
        assert head.held_out.mean() == pytest.approx(accepted.mean(), abs=0.05)


@pytest.mark.parametrize("make", [linear_examples, checkered_examples])
def test_the_graph_gives_what_the_head_in_memory_gives(make):
    values, accepted, place = make()
    assert (len(values) >= LEAST_FOR_TREES) == (make is checkered_examples)
    head = fit_head(NAMES, values, accepted, place)
    extremes = np.concatenate((values, 1e6 * values[:3], np.zeros_like(values[:1])))
    output = run_graph(head_graph(head, None, "facts"), extremes)
    assert list(output) == [PROBABILITY]
    np.testing.assert_allclose(output[PROBABILITY][:, 0], head.probability(extremes), atol=1e-5)


def test_a_graph_tells_classes_too():
    values, accepted, place = linear_examples()
    head = fit_head(NAMES, values, accepted, place)
    weights = np.zeros((len(NAMES), 2), np.float32)
    weights[0] = (-5, 5)
    classes = ClassHead(("road", "building"), weights, np.zeros(2, np.float32))
    shares = run_graph(head_graph(head, classes, "facts"), values)[CLASS_SHARES]
    assert shares.sum(axis=1) == pytest.approx(1)
    scaled = head.scaling.scaled(values)[:, 0]
    assert ((shares[:, 1] > 0.5) == (scaled > 0)).all()


def test_no_place_is_in_two_folds_and_folds_hold_both_kinds():
    _, accepted, place = linear_examples(200)
    fold = place_folds(accepted, place)
    assert all(len(np.unique(fold[place == number])) == 1 for number in np.unique(place))
    assert all(0 < accepted[fold == number].mean() < 1 for number in np.unique(fold))


def test_what_only_one_place_shows_scores_as_unknown():
    """A feature that tells the place is worth nothing in another one."""
    random = np.random.default_rng(2)
    place = np.repeat(np.arange(8), 10)
    values = np.zeros((80, len(NAMES)), np.float32)
    values[:, 0] = place % 2 * 2 - 1
    values[:, 1:] = np.eye(8)[place][:, :6]
    accepted = random.random(80) < 0.5
    head = fit_head(NAMES, values, accepted, place)
    assert 0.2 < roc_auc(head.held_out, accepted) < 0.7
    assert np.abs(head.held_out - 0.5).max() < 0.3


def test_places_are_compact_and_alike_in_size():
    random = np.random.default_rng(0)
    points = np.concatenate(
        (random.normal(0, 0.01, (30, 2)), random.normal(0, 0.01, (30, 2)) + np.array((5, 0)))
    )
    place = place_numbers(points)
    assert len(np.unique(place)) == 10
    assert not set(place[:30].tolist()) & set(place[30:].tolist())
    assert np.bincount(place).max() <= 15
    assert len(np.unique(place_numbers(np.zeros((9, 2))))) == 1


def test_calibration_draws_logits_to_what_came_true():
    random = np.random.default_rng(3)
    truth = random.normal(0, 1.5, 2_000)
    accepted = random.random(2_000) < sigmoid(truth)
    slope, intercept = platt(3 * truth + 1, accepted)
    assert slope == pytest.approx(1 / 3, abs=0.05)
    assert intercept == pytest.approx(-1 / 3, abs=0.15)
    assert platt(-truth, accepted)[0] == 0  # worse than nothing is taken for nothing


def test_shares_have_wilson_intervals():
    assert Share.of(9, 10) == (0.9, 0.596, 0.982)
    assert Share.of(0, 0) == (None, None, None)


def test_precision_at_recall_counts_ties_together():
    right = np.array([True, False, True, True, False])
    assert precision_at_recall(np.array([5.0, 4, 3, 2, 1]), right, 0.6) == pytest.approx(2 / 3)
    assert precision_at_recall(np.ones(5), right, 0.6) == pytest.approx(3 / 5)
    assert np.isnan(precision_at_recall(np.ones(2), np.zeros(2, bool), 0.6))


def test_the_least_certain_come_first():
    assert review_order(np.array([0.9, 0.52, np.nan, 0.1])).tolist() == [2, 1, 0, 3]
