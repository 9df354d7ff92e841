"""Models that look at pictures are told which source values these show."""

import numpy as np
import pytest

import geochg


@pytest.fixture
def told(monkeypatch):
    """A built-in model, and the facts of each survey."""
    model = geochg.load_model("builtin")
    facts = []
    survey = type(model).survey

    def note(self, given, sample):
        facts.append(given)
        survey(self, given, sample)

    monkeypatch.setattr(type(model), "survey", note)
    return model, facts


def pair_of(make_raster, dtype, scale):
    random = np.random.default_rng(3)
    dates = [(random.uniform(20, 200, (4, 96, 96)) * scale).astype(dtype) for _ in range(2)]
    names = ("red", "green", "blue", "nir")
    return [
        make_raster(f"{date}.tif", values, names=names)
        for date, values in zip(("before", "after"), dates, strict=True)
    ]


@pytest.mark.parametrize(("dtype", "scale"), [("uint16", 40), ("float32", 0.002)])
def test_the_survey_of_a_run_tells_the_shown_range_of_each_band(make_raster, told, dtype, scale):
    model, facts = told
    geochg.analyze(*pair_of(make_raster, dtype, scale), model=model)
    (fact,) = facts
    assert fact.bands[3] == "nir"
    for ranges in fact.display_ranges:
        assert len(ranges) == 4
        for low, high in ranges:
            assert 20 * scale <= low < 30 * scale
            assert 190 * scale < high <= 200 * scale


def test_eight_bits_are_shown_as_they_are_and_asked_about_likewise(make_raster, told, monkeypatch):
    model, facts = told
    paths = pair_of(make_raster, "uint8", 1)
    geochg.analyze(*paths, model=model)
    monkeypatch.setattr("geochg.pipeline.dialogue.load_configured_model", lambda options: model)
    list(geochg.open_dialogue(*paths).ask("What changed?"))
    assert [fact.display_ranges for fact in facts] == [(((0.0, 255.0),) * 4,) * 2] * 2
