"""Accuracy and areas of a sample, against the worked example of Olofsson et al. (2014)."""

import numpy as np
import pytest

from geochg.accuracy.estimates import Estimate, JudgedSample, estimate_accuracy

CLASSES = ("deforestation", "forest gain", "stable forest", "stable non-forest")
COUNTS = ((66, 0, 5, 4), (0, 55, 8, 12), (1, 0, 153, 11), (2, 1, 9, 313))
"""Table 8 of Olofsson et al. (2014): units by the map's class (row) and the reference's."""
PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)
HECTARE = 10_000


def sample_of(counts, areas, classes=CLASSES):
    mapped, reference = [], []
    for row, name in zip(counts, classes, strict=True):
        for count, truth in zip(row, classes, strict=True):
            mapped += [name] * count
            reference += [truth] * count
    return JudgedSample(mapped, mapped, reference, dict(zip(classes, areas, strict=True)))


@pytest.fixture(scope="module")
def example():
    return estimate_accuracy(sample_of(COUNTS, [pixels * 900.0 for pixels in PIXELS]), CLASSES)


def printed(estimate, digits):
    return round(estimate.value, digits), round(1.96 * estimate.standard_error, digits)


def test_the_worked_example_to_its_printed_digits(example):
    users = [printed(example.users[name], 2) for name in CLASSES]
    assert users == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    producers = [printed(example.producers[name], 2) for name in CLASSES]
    assert producers == [(0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02)]
    assert printed(example.overall, 2) == (0.95, 0.02)
    areas = [printed(example.area_m2[name].scaled(1 / HECTARE), 0) for name in CLASSES]
    assert areas == [(21158, 6158), (11686, 3756), (285770, 15510), (581386, 16282)]


def test_the_matrix_of_the_worked_example(example):
    # Table 9 of the paper, in its four digits.
    shares = [[round(cell.value, 4) for cell in row] for row in example.matrix]
    assert shares == [
        [0.0176, 0, 0.0013, 0.0011],
        [0, 0.0110, 0.0016, 0.0024],
        [0.0019, 0, 0.2967, 0.0213],
        [0.0040, 0.0020, 0.0179, 0.6212],
    ]
    assert example.counts.tolist() == [list(row) for row in COUNTS]
    assert example.mapped_m2["deforestation"] == pytest.approx(200_000 * 900)
    assert sum(cell.value for row in example.matrix for cell in row) == pytest.approx(1)


def test_two_strata_of_one_class():
    """Unchanged ground near changes and far from them: one row, weighted by the strata's areas."""
    strata = ["changed"] * 4 + ["near"] * 4 + ["far"] * 4
    mapped = ["changed"] * 4 + ["unchanged"] * 8
    reference = ["changed"] * 3 + ["unchanged"] + ["changed"] * 2 + ["unchanged"] * 6
    areas = {"changed": 10.0, "near": 20.0, "far": 70.0}
    result = estimate_accuracy(
        JudgedSample(strata, mapped, reference, areas), ("changed", "unchanged")
    )
    assert result.users["unchanged"].value == pytest.approx((0.5 * 20 + 70) / 90)
    assert result.producers["changed"].value == pytest.approx(7.5 / 17.5)
    assert result.area_m2["changed"].value == pytest.approx(17.5)
    # Of the strata only "near" is in doubt about what is mapped as unchanged.
    error = np.sqrt((20 / 90) ** 2 * (4 * 0.25 / 3) / 4)
    assert result.users["unchanged"].standard_error == pytest.approx(error)


def test_a_class_that_the_map_or_the_reference_lacks():
    strata = ["a"] * 3 + ["b"] * 3
    reference = ["a"] * 3 + ["b", "b", "c"]
    areas = {"a": 1.0, "b": 1.0}
    result = estimate_accuracy(JudgedSample(strata, strata, reference, areas), ("a", "b", "c", "d"))
    assert result.users["c"] == Estimate(None)
    assert result.producers["c"].value == 0
    assert result.producers["d"] == Estimate(None)
    assert result.area_m2["d"].value == 0


def test_a_stratum_of_one_unit_has_no_interval():
    result = estimate_accuracy(
        JudgedSample(["a", "b", "b"], ["a", "b", "b"], ["a", "b", "a"], {"a": 1.0, "b": 1.0}),
        ("a", "b"),
    )
    assert result.overall == Estimate(0.75)


def test_estimates_are_unbiased_and_intervals_cover():
    """2,000 samples of a drawn population: the mean is true, 93 to 97 % of intervals hold it."""
    rng = np.random.default_rng(5)
    names = ("changed", "near", "far")
    classes = ("changed", "unchanged")
    areas = dict(zip(names, (6.0, 24.0, 70.0), strict=True))
    truly_changed = dict(zip(names, (0.8, 0.15, 0.03), strict=True))
    units = dict(zip(names, (120, 150, 400), strict=True))
    changed_m2 = sum(areas[name] * truly_changed[name] for name in names)
    overall = (6 * 0.8 + 24 * 0.85 + 70 * 0.97) / 100
    strata = [name for name in names for _ in range(units[name])]
    mapped = ["changed" if name == "changed" else "unchanged" for name in strata]
    shares = np.array([truly_changed[name] for name in strata])
    truths = {
        "area": changed_m2,
        "overall": overall,
        "users": 0.8,
        "producers": 6 * 0.8 / changed_m2,
    }
    values, covered = {name: [] for name in truths}, dict.fromkeys(truths, 0)
    for _ in range(2000):
        reference = np.where(rng.random(len(strata)) < shares, "changed", "unchanged")
        result = estimate_accuracy(JudgedSample(strata, mapped, reference, areas), classes)
        found = {
            "area": result.area_m2["changed"],
            "overall": result.overall,
            "users": result.users["changed"],
            "producers": result.producers["changed"],
        }
        for name, estimate in found.items():
            values[name].append(estimate.value)
            covered[name] += estimate.low <= truths[name] <= estimate.high
    for name, truth in truths.items():
        assert np.mean(values[name]) == pytest.approx(truth, rel=0.01), name
        assert 0.93 <= covered[name] / 2000 <= 0.97, name
