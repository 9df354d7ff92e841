"""Histograms of scores by label."""

import numpy as np
import pytest

from geochg.evaluation.histogram import BINS, HistogramSection, ScoreHistogram
from geochg.evaluation.tables import in_markdown, in_words

SCORES = np.array([0.0, 0.04, 0.5, 0.62, np.float32(0.9), 1.0])
LABELS = [False, False, False, True, True, True]


def test_scores_fall_into_bins_by_label():
    histogram = ScoreHistogram.of(SCORES, LABELS, "heat")
    values = histogram.to_dict()
    assert values["edges"][:2] == [0.0, 0.05]
    assert len(values["edges"]) == BINS + 1
    assert [n for n in values["unchanged"] if n] == [2, 1]
    assert values["unchanged"][10] == 1
    assert {number: n for number, n in enumerate(values["changed"]) if n} == {12: 1, 18: 1, 19: 1}
    assert "unlabelled" not in values
    assert histogram.items == 6


def test_a_threshold_can_be_read():
    thresholds = {t["threshold"]: t for t in ScoreHistogram.of(SCORES, LABELS, "").thresholds}
    assert (thresholds[0.0]["recall"], thresholds[0.0]["specificity"]) == (1, 0)
    assert (thresholds[0.6]["recall"], thresholds[0.6]["specificity"]) == (1, 1)
    assert thresholds[0.65]["recall"] == pytest.approx(2 / 3)
    # Each is what counting gives.
    for edge, at_edge in thresholds.items():
        called = np.round(SCORES, 6) >= edge
        assert at_edge["recall"] == pytest.approx(called[3:].mean())
        assert at_edge["specificity"] == pytest.approx((~called[:3]).mean())


def test_without_labels_there_are_only_numbers():
    histogram = ScoreHistogram.of(SCORES, [None] * 6, "heat")
    assert list(histogram.counts) == ["unlabelled"]
    assert histogram.thresholds[3] == {"threshold": 0.15, "recall": None, "specificity": None}
    assert histogram.cells()[1][:4] == ["0.00-0.05", "2", "-", "-"]


def test_a_report_shows_the_bins_that_hold_something():
    section = HistogramSection([ScoreHistogram.of(SCORES, LABELS, "heat")])
    lines = in_words([section])
    assert any(line.split()[:5] == ["0.60-0.65", "1", "0", "1.000", "1.000"] for line in lines)
    assert not any("0.10-0.15" in line for line in lines)
    assert any(line.endswith("--------------") for line in lines)
    assert any(line.startswith("| 0.60-0.65 | 1 | 0 | 1.000 |") for line in in_markdown([section]))
