"""Scores of sets of labels, by hand and beside the definitions of scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from geochg.errors import InputError
from geochg.evaluation.label_metrics import (
    average_precision,
    class_confusion,
    label_confusion,
    label_set_scores,
)

NAMES = ("road", "water", "trees", "snow")
TRUTH = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
ANSWERS = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)


def test_by_hand():
    scores = label_set_scores(NAMES, TRUTH, ANSWERS)
    road, water, trees, snow = scores.labels
    assert (road.precision, road.recall, road.f1, road.items) == (1, 1, 1, 2)
    assert (water.precision, water.recall, water.f1) == (0, 0, 0)
    assert (trees.precision, trees.recall, trees.f1) == (2 / 3, 1, 0.8)
    # Neither there nor answered: nothing can be said, and no average counts it.
    assert (snow.precision, snow.recall, snow.f1, snow.items) == (None, None, None, 0)
    assert scores.micro.precision == 4 / 6
    assert scores.micro.recall == 4 / 5
    assert scores.micro.f1 == pytest.approx(8 / 11)
    assert scores.macro.precision == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert scores.macro.f1 == pytest.approx(1.8 / 3)
    # The last item has no labels, and none is answered.
    assert scores.samples.precision == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert scores.samples.recall == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert scores.set_accuracy == 0.5
    assert scores.mean_average_precision is None
    assert scores.confusion[2].tolist() == [[1, 1], [0, 2]]
    assert scores.confusion.sum() == 16
    values = scores.to_dict()
    assert values["labels"][2]["f1"] == 0.8
    assert values["confusion"][0] == [[2, 0], [0, 2]]


def test_average_precision_by_hand():
    truth = np.array([1, 0, 1, 0], bool)
    assert average_precision(truth, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(
        1 / 2 + 1 / 2 * 2 / 3
    )
    # All alike: the share of items that have the label, in whatever order they stand.
    assert average_precision(truth, np.full(4, 0.5)) == 0.5
    assert average_precision(truth[::-1], np.full(4, 0.5)) == 0.5
    assert average_precision(np.zeros(4, bool), np.arange(4.0)) is None


def test_labels_that_do_not_occur_are_not_in_the_mean_average_precision():
    likely = np.where(TRUTH, 0.9, 0.1)
    scores = label_set_scores(NAMES, TRUTH, ANSWERS, likely)
    assert [label.average_precision for label in scores.labels] == [1, 1, 1, None]
    assert scores.mean_average_precision == 1


def drawn(seed, items=60, labels=7):
    random = np.random.default_rng(seed)
    truth = random.random((items, labels)) < random.random(labels)
    likely = np.round(random.random((items, labels)) * 0.5 + truth * 0.3, 1)  # with ties
    return truth, likely > 0.5, likely


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(seed):
    truth, answers, likely = drawn(seed)
    scores = label_set_scores([str(n) for n in range(truth.shape[1])], truth, answers, likely)
    for name in ("micro", "macro", "samples"):
        expected = metrics.precision_recall_fscore_support(
            truth, answers, average=name, zero_division=np.nan
        )[:3]
        average = getattr(scores, name)
        assert (average.precision, average.recall, average.f1) == pytest.approx(expected)
    assert scores.mean_average_precision == pytest.approx(
        metrics.average_precision_score(truth, likely, average="macro")
    )
    assert scores.set_accuracy == metrics.accuracy_score(truth, answers)
    expected = metrics.multilabel_confusion_matrix(truth, answers)
    assert np.array_equal(scores.confusion, expected)
    assert np.array_equal(label_confusion(truth, answers), expected)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_by_its_definition(seed):
    truth, _, likely = drawn(seed)
    for label in range(truth.shape[1]):
        total, recall, area = truth[:, label].sum(), 0.0, 0.0
        for threshold in sorted(set(likely[:, label]), reverse=True):
            called = likely[:, label] >= threshold
            hits = (called & truth[:, label]).sum()
            area += (hits / total - recall) * hits / called.sum()
            recall = hits / total
        assert average_precision(truth[:, label], likely[:, label]) == pytest.approx(area)


def test_a_confusion_of_classes():
    truth, answers = np.eye(3, dtype=bool)[[0, 0, 1, 2]], np.eye(3, dtype=bool)[[0, 1, 1, 0]]
    assert class_confusion(truth, answers).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    answers[3] = True
    with pytest.raises(InputError, match="item 4 has 3 labels in its answer"):
        class_confusion(truth, answers)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (((), TRUTH[:, :0], ANSWERS[:, :0]), "no item or no label"),
        ((NAMES, TRUTH[:0], ANSWERS[:0]), "no item or no label"),
        ((NAMES, TRUTH, ANSWERS[:2]), "the answers are of"),
        ((NAMES, TRUTH, ANSWERS, np.zeros((4, 3))), "the probabilities are of"),
        ((NAMES, TRUTH, ANSWERS, np.full((4, 4), np.nan)), "not a finite number"),
    ],
)
def test_what_cannot_be_scored(arguments, names):
    with pytest.raises(InputError, match=names):
        label_set_scores(*arguments)
