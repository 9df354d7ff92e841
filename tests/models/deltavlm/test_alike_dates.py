"""Tiles that both dates show alike are told from others, and no network is asked about them."""

from dataclasses import replace

import numpy as np
import pytest
from deltavlm_factory import tile

from geochg.models.deltavlm.alike_dates import dates_are_alike, needs_no_network
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.detector import ColorRange, Detector, Scene
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.records import CANNOT_TELL, PairFacts, Task, Tile
from geochg.tasks import ask

FACTS = PairFacts(("red", "green", "blue"), 0.25, "uint8")


def one_image(seed=0, size_px=64, noise=2, bands=3):
    """A tile whose dates are one image with noise."""
    random = np.random.default_rng(seed)
    before = random.integers(20, 220, (bands, size_px, size_px)).astype(np.uint8)
    noise = random.integers(-noise, noise + 1, before.shape)
    return Tile.of_pair(before, (before + noise).astype(np.uint8), index=seed)


def ranges_of(*tiles):
    return ColorRange.of(tiles, "before"), ColorRange.of(tiles, "after")


@pytest.mark.parametrize("size_px", [1, 3, 50, 64, 255])
@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("noise", [0, 2])
def test_one_image_with_noise_is_alike(size_px, bands, noise):
    scene = ranges_of(one_image(9, 64, bands=bands))
    assert dates_are_alike(one_image(1, size_px, noise, bands), scene)


@pytest.mark.parametrize("side_px", [2, 4, 16])
@pytest.mark.parametrize(("row", "col"), [(0, 0), (61, 61), (30, 7)])
@pytest.mark.parametrize("band", [0, 2])
def test_a_small_change_is_seen(side_px, row, col, band):
    alike = one_image()
    scene = ranges_of(alike)
    place = (band, slice(row, row + side_px), slice(col, col + side_px))
    alike.before[place], alike.after[place] = 60, 160
    assert not dates_are_alike(alike, scene)


def test_changes_elsewhere_do_not_matter():
    alike, others = one_image(), [tile(seed) for seed in range(3)]
    assert dates_are_alike(alike, ranges_of(alike, *others))


def test_another_light_of_the_whole_scene_is_for_the_network():
    alike = one_image()
    dimmed = replace(alike, dates=(alike.before, (alike.before * 0.7 + 5).astype(np.uint8)))
    assert not dates_are_alike(dimmed, ranges_of(dimmed))


def test_what_is_not_valid_does_not_count():
    alike = one_image()
    alike.after[:, :32] = 0
    valid = np.ones((64, 64), bool)
    assert not dates_are_alike(alike, ranges_of(one_image(1)))
    valid[:32] = False
    assert dates_are_alike(replace(alike, valid=valid), ranges_of(one_image(1)))


def scene_of(*tiles, **facts):
    return Scene(ranges_of(*tiles), 1.0, None, 0.25, **facts)


@pytest.mark.parametrize(("hidden_share", "expected"), [(0.0, True), (0.005, True), (0.02, False)])
def test_where_clouds_were_surveyed_all_tiles_are_looked_at(hidden_share, expected):
    scene = scene_of(one_image(1), hidden_share=hidden_share)
    assert needs_no_network(one_image(2), scene) is expected


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize(("side_px", "expected"), [(4, True), (16, False), (64, False)])
def test_what_is_brighter_or_darker_than_the_scene_may_be_hidden(value, side_px, expected):
    alike = one_image(2)
    for date in (alike.before, alike.after):
        date[:, :side_px, :side_px] = value
    assert needs_no_network(alike, scene_of(one_image(1))) is expected
    # Where that is not valid ground, it is no cloud.
    valid = np.ones((64, 64), bool)
    valid[:side_px, :side_px] = False
    assert needs_no_network(replace(alike, valid=valid), scene_of(one_image(1)))


# --- in the backend ------------------------------------------------------------------------------


def model_of(folder, **options):
    model = DeltaVLMModel.load(str(folder), DeltaVLMOptions(**options), "cpu")
    model.survey(FACTS, [tile(seed) for seed in range(3)])
    return model


@pytest.fixture
def detected(monkeypatch):
    """Indexes of the tiles that the networks saw."""
    indexes = []
    detect = Detector.detect

    def noted(self, tiles, *args, **kwargs):
        indexes.extend(t.window.index for t in tiles)
        return detect(self, tiles, *args, **kwargs)

    monkeypatch.setattr(Detector, "detect", noted)
    return indexes


MIXED = [tile(4), one_image(5), tile(6), one_image(7)]


@pytest.mark.parametrize("tasks", [(Task.LOCATE,), (Task.PRESENCE, Task.LOCATE)])
def test_no_network_sees_them(exported_deltavlm, detected, tasks):
    model = model_of(exported_deltavlm)
    questions = [ask(task) for task in tasks]
    answers = model.answer(MIXED, questions)
    assert sorted(detected) == [4, 6]
    for index in (1, 3):
        outlines = answers[index][-1]
        assert not outlines.layers_at().any()
        assert outlines.layers_at().shape == (len(outlines.channels), 64, 64)
        assert not outlines.change.any()
        assert not outlines.not_seen.any()
        assert (outlines.covers().before == CANNOT_TELL).all()
    # The others are answered as without them.
    alone = model.answer([MIXED[2]], questions)[0][-1]
    assert np.array_equal(answers[2][-1].change, alone.change)


@pytest.mark.parametrize("tasks", [(Task.LOCATE, Task.COUNT), (Task.CAPTION,)])
def test_words_are_of_what_the_networks_saw(exported_deltavlm, detected, tasks):
    model_of(exported_deltavlm).answer(MIXED, [ask(task) for task in tasks])
    assert sorted(detected) == [4, 5, 6, 7]


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
def test_a_threshold_that_is_given_decides_alone(exported_deltavlm, detected, threshold):
    model_of(exported_deltavlm, threshold=threshold).answer(MIXED, [ask(Task.LOCATE)])
    assert sorted(detected) == [4, 5, 6, 7]


def test_pairs_that_are_scenes_of_their_own_are_seen(exported_deltavlm, detected):
    model = DeltaVLMModel.load(str(exported_deltavlm), DeltaVLMOptions(), "cpu")
    model.answer(MIXED, [ask(Task.LOCATE)])
    assert sorted(detected) == [4, 5, 6, 7]


class CloudyRunner:
    """A vision runner whose land cover is hidden at one date over the left of each tile."""

    def __init__(self, runner, date, share):
        self.runner, self.date, self.share = runner, date, share

    def __getattr__(self, name):
        return getattr(self.runner, name)

    def detect(self, *inputs):
        dense = self.runner.detect(*inputs)
        for part in (dense.before_logits, dense.after_logits):
            part[:, -1] = -100
        logits = getattr(dense, self.date).copy()
        logits[:, -1, :, : round(self.share * logits.shape[-1])] = 100
        return dense._replace(**{self.date: logits})


@pytest.mark.parametrize("date", ["before_logits", "after_logits"])
@pytest.mark.parametrize(("share", "looked_at"), [(0.5, [4, 5, 6, 7]), (0.0, [4, 6])])
def test_alike_clouds_are_told_as_not_seen(exported_deltavlm, detected, date, share, looked_at):
    model = DeltaVLMModel.load(str(exported_deltavlm), DeltaVLMOptions(), "cpu")
    runner = CloudyRunner(model.detector.runner, date, share)
    model.detector = replace(model.detector, runner=runner)
    model.survey(FACTS, [tile(seed) for seed in range(3)])
    assert model.scene.hidden_share == pytest.approx(share, abs=0.05)
    answers = model.answer(MIXED, [ask(Task.LOCATE)])
    assert sorted(detected) == looked_at
    assert all(answer[0].not_seen.any() == (share > 0) for answer in answers)
