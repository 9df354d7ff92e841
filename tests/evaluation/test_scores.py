import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochg.errors import RunError
from geochg.evaluation.options import FitMetric
from geochg.evaluation.scores import auroc, best_threshold, scores

BALANCED, F1 = FitMetric.BALANCED_ACCURACY, FitMetric.F1
some_items = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=30).filter(
    lambda rows: len({kind for kind, _ in rows}) == 2
)


def columns(rows):
    truth, likely = zip(*rows, strict=True)
    return np.array(truth), np.array(likely, float) / 6


def test_scores_by_hand():
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    said = np.array([1, 1, 0, 1, 0, 0, 0, 0], bool)
    result = scores(truth, said, None)
    assert result.to_dict() == pytest.approx(
        {
            "accuracy": 6 / 8,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "specificity": 4 / 5,
            "f1": 2 / 3,
            "balanced_accuracy": (2 / 3 + 4 / 5) / 2,
            "auroc": None,
            "true_positives": 2,
            "false_positives": 1,
            "true_negatives": 4,
            "false_negatives": 1,
        }
    )


def test_what_divides_by_nothing_is_none():
    none = np.zeros(3, bool)
    result = scores(none, none, none.astype(float))
    assert result.accuracy == 1
    assert (result.precision, result.recall, result.f1) == (None, None, None)
    assert (result.balanced_accuracy, result.auroc) == (None, None)


def test_auroc_by_hand():
    truth = np.array([1, 1, 0, 0, 0], bool)
    # Of six comparisons .8 wins three; .4 wins one, ties one and loses one.
    likely = np.array([0.8, 0.4, 0.4, 0.6, 0.1])
    assert auroc(truth, likely) == pytest.approx(4.5 / 6)


@given(some_items)
def test_auroc_is_how_often_the_changed_one_is_likelier(rows):
    truth, likely = columns(rows)
    wins = [(a > b) + (a == b) / 2 for a in likely[truth] for b in likely[~truth]]
    assert auroc(truth, likely) == pytest.approx(np.mean(wins))


@given(some_items, st.sampled_from(FitMetric))
def test_no_threshold_is_better_than_the_best(rows, metric):
    truth, likely = columns(rows)
    if len(set(likely)) == 1:
        with pytest.raises(RunError, match="same probability"):
            best_threshold(truth, likely, metric)
        return
    threshold = best_threshold(truth, likely, metric)
    values = np.unique(likely)
    assert threshold not in values
    assert values[0] < threshold < values[-1]
    reached = getattr(scores(truth, likely > threshold, None), metric.value)
    for other in (values[:-1] + values[1:]) / 2:
        assert reached >= getattr(scores(truth, likely > other, None), metric.value) - 1e-9


def test_a_known_optimum_lies_in_the_middle_of_its_gap():
    truth = np.array([0, 0, 0, 1, 1, 1], bool)
    likely = np.array([0.05, 0.1, 0.2, 0.8, 0.9, 0.95])
    assert best_threshold(truth, likely, BALANCED) == pytest.approx(0.5)


def test_of_equally_good_thresholds_the_widest_gap_is_taken():
    truth = np.array([0, 1, 0, 1], bool)
    likely = np.array([0.1, 0.2, 0.3, 0.9])
    # Both 1 | 3 and 3 | 1 get three of four right.
    assert best_threshold(truth, likely, BALANCED) == pytest.approx(0.6)
    assert best_threshold(truth, 1 - likely[::-1], BALANCED) == pytest.approx(0.4)


def test_the_metrics_want_different_thresholds():
    truth = np.array([1, 1, 1, 0, 1, 0, 1, 1, 1, 1], bool)
    likely = np.linspace(0.9, 0.0, 10)
    assert best_threshold(truth, likely, F1) < best_threshold(truth, likely, BALANCED)


def test_neighbouring_numbers_are_told_apart():
    low = 0.3
    high = np.nextafter(low, 1)
    threshold = best_threshold(np.array([False, True]), np.array([low, high]), BALANCED)
    assert low <= threshold < high
