"""Cuts and confidences, fitted on what a made-up detector says."""

import shutil

import numpy as np
import pytest
from deltavlm_factory import processor, tiny_config, tiny_model
from scipy.ndimage import binary_dilation

from geochg.datasets.ground.covers import ANY, Cover
from geochg.datasets.ground.labelled import LabelledGround
from geochg.models.deltavlm.calibration import Calibration
from geochg.models.deltavlm.detector import Detector
from geochg.models.deltavlm.postprocessing import TilePrediction
from geochg.models.deltavlm.runtime.onnx_vision import DETECTOR, ENCODER, int8_file
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.training.builtin import calibration as calibration_module
from geochg.training.builtin import pairs as pairs_module
from geochg.training.builtin import quantisation as quantisation_module
from geochg.training.builtin.calibration import (
    DetectedPair,
    color_weight_factor,
    detect_pair,
    fit_calibration,
    fit_to_samples,
)
from geochg.training.builtin.pairs import Pair, PairMaker
from geochg.training.builtin.quantisation import quantise_compact

SIDE_PX = 64


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pairs_module, "SIDE_PX", SIDE_PX)
    monkeypatch.setattr(calibration_module, "PAIRS_PER_KIND", 10)


def ground(kind, resolution_m, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (80, 80, 3)).astype(np.uint8)
    labels = np.full((80, 80), int(ANY - Cover.BUILDING), np.uint8)
    for row, col in rng.integers(0, 66, (5, 2)):
        labels[row : row + 13, col : col + 13] = Cover.BUILDING
    sides = (resolution_m, 1.01 * resolution_m)
    return LabelledGround(kind, [image], [labels], resolution_m, sides, 1.0)


GROUNDS = [
    ground(kind, resolution_m, 3 * place + number)
    for place, (kind, resolution_m) in enumerate((("fine", 0.5), ("middle", 2.0), ("coarse", 10.0)))
    for number in range(2)
]


def made_up(change=(0.5, 2.0), building=(-2.0, -0.5), typical=0.0, noise=0.1):
    """A detector whose logits lie around one value where nothing changed, and another where."""

    def finding(detector, pair):
        rng = np.random.default_rng(int(1e6 * pair.resolution_m))
        # Every other scene has changed much, and its logits lie lower.
        much = int(1e6 * pair.resolution_m) % 2
        move = -typical / 2 * much
        built = [cover == Cover.BUILDING for cover in (pair.cover_before, pair.cover_after)]

        def surface(truth, low, high):
            logits = np.where(truth, high, low) + move
            return (logits + rng.normal(0, noise, truth.shape)).astype(np.float32)

        nothing = np.zeros((7, SIDE_PX, SIDE_PX), np.float32)
        change_logits = surface(pair.change == 1, *change)
        building_logits = surface(built[0] != built[1], *building)
        return TilePrediction(change_logits, building_logits, nothing, nothing), typical * much

    return finding


@pytest.mark.parametrize("change", [(0.5, 2.0), (-3.0, -1.5), (-1.0, 3.0)])
def test_the_cut_separates_what_changed_from_what_did_not(change, monkeypatch):
    monkeypatch.setattr(calibration_module, "detect_pair", made_up(change))
    plain = fit_calibration(None, GROUNDS, seed=0)
    for side_m in (0.5, 2.0, 10.0):
        cuts = plain.cuts(0.0, side_m)
        # Above the cut begins what joins pixels down to the hysteresis.
        assert change[0] + 0.1 < cuts.change - plain.hysteresis <= cuts.change < change[1] + 0.2
        assert -1.9 < cuts.building - plain.hysteresis <= cuts.building < -0.3


def test_the_cut_follows_the_typical_logit_of_the_scene(monkeypatch):
    monkeypatch.setattr(
        calibration_module, "detect_pair", made_up((0.0, 0.5), typical=2.0, noise=0.03)
    )
    plain = fit_calibration(None, GROUNDS, seed=0)
    assert -0.05 < plain.cuts(0.0, 2.0).change < 0.55
    assert -1.05 < plain.cuts(2.0, 2.0).change < -0.45
    assert plain.of_typical < -0.2


def test_without_ground_the_cuts_are_still_numbers():
    plain = fit_calibration(None, [], seed=0)
    assert np.isfinite([plain.intercept, plain.of_typical, plain.of_resolution]).all()
    assert plain.confidence is None


def test_a_kind_whose_changes_are_not_all_told_does_not_move_the_cut(monkeypatch):
    def mixed(detector, pair):
        good, bad = made_up()(detector, pair), made_up((2.0, -2.0))(detector, pair)
        return good if pair.teaches_change else bad

    untold = [
        LabelledGround(**{**vars(one), "kind": "untold", "teaches_change": False})
        for one in GROUNDS[:2]
    ]
    monkeypatch.setattr(calibration_module, "detect_pair", mixed)
    plain = fit_calibration(None, [*GROUNDS[:2], *untold], seed=0)
    assert 0.6 < plain.cuts(0.0, 0.5).change - plain.hysteresis < 1.9


def test_confidence_rises_with_what_is_right(monkeypatch):
    def noisy(detector, pair):
        rng = np.random.default_rng(int(1e6 * pair.resolution_m))
        sure = rng.uniform(0.2, 3.5, (8, 8)).repeat(8, 0).repeat(8, 1)
        right = rng.random((8, 8)).repeat(8, 0).repeat(8, 1) < sure / 4
        logits = np.where((pair.change == 1) & right, sure, np.where(right, -3, sure * 0.6))
        nothing = np.zeros((7, SIDE_PX, SIDE_PX), np.float32)
        surface = logits.astype(np.float32)
        return TilePrediction(surface, surface, nothing, nothing), 0.0

    monkeypatch.setattr(calibration_module, "detect_pair", noisy)
    plain = fit_calibration(None, GROUNDS, seed=0)
    means, rights = plain.confidence
    assert len(means) == len(rights) > 3
    assert list(means) == sorted(means)
    assert list(rights) == sorted(rights)
    assert 0 <= rights[0] < rights[-1] <= 1
    assert Calibration.from_dict(plain.to_dict()) == plain


def test_too_few_pieces_have_no_confidence(monkeypatch):
    monkeypatch.setattr(calibration_module, "detect_pair", made_up((-9.0, -8.0)))
    assert fit_calibration(None, GROUNDS[:1], seed=0).confidence is None


def test_the_same_seed_gives_the_same_cuts(monkeypatch):
    monkeypatch.setattr(calibration_module, "detect_pair", made_up(noise=2.0))
    assert fit_calibration(None, GROUNDS[:2], seed=3) == fit_calibration(None, GROUNDS[:2], seed=3)


@pytest.mark.parametrize("bands", [3, 4])
def test_a_pair_is_shown_to_the_detector_as_it_is(bands):
    one = GROUNDS[0]
    image = np.concatenate([one.images[0], one.images[0][..., :1]], axis=2)[..., :bands]
    vision = TorchVision(tiny_model(), processor(tiny_config()))
    pair = PairMaker([LabelledGround(**{**vars(one), "images": [image]})]).pair(
        np.random.default_rng(0)
    )
    finding, typical_logit = detect_pair(Detector(vision, vision.head), pair)
    assert np.isfinite(typical_logit)
    assert finding.change.shape == finding.building.shape == (SIDE_PX, SIDE_PX)
    assert finding.before.shape == finding.after.shape == (7, SIDE_PX, SIDE_PX)
    assert np.allclose(finding.before.sum(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize("weak", [1.0, 0.5])
def test_pixels_that_join_others_may_be_less_sure_where_that_is_right(weak, monkeypatch):
    """Of a change the inside is sure, its rim is not, and far from it all is as sure as the rim."""

    def rimmed(detector, pair):
        changed = pair.change == 1
        inside = changed & np.roll(changed, 3, 0) & np.roll(changed, 3, 1)
        noise = ~binary_dilation(changed, iterations=3)
        logits = np.where(inside, 2.0, np.where(changed | noise, 2.0 - weak, -3.0))
        nothing = np.zeros((7, SIDE_PX, SIDE_PX), np.float32)
        return TilePrediction(
            logits.astype(np.float32), logits.astype(np.float32), nothing, nothing
        ), 0.0

    monkeypatch.setattr(calibration_module, "detect_pair", rimmed)
    plain = fit_calibration(None, GROUNDS, seed=0)
    assert plain.hysteresis >= weak
    assert 2.0 - weak < plain.cuts(0.0, 2.0).change <= 2.0


def test_the_colour_logits_get_the_spread_of_the_networks():
    vision = TorchVision(tiny_model(), processor(tiny_config()))
    detector = Detector(vision, vision.head)
    config = vision.model.config.dense_config
    config.color_weight *= color_weight_factor(detector, GROUNDS, seed=0)
    assert color_weight_factor(detector, GROUNDS, seed=0) == pytest.approx(1, rel=1e-3)
    assert color_weight_factor(detector, [], seed=0) == 1


@pytest.mark.parametrize("change", [(0.5, 2.0), (-3.0, -1.5), (-1.0, 3.0)])
def test_without_need_the_cut_does_not_follow_the_scene(change, monkeypatch):
    monkeypatch.setattr(calibration_module, "detect_pair", made_up(change))
    plain = fit_calibration(None, GROUNDS, seed=0)
    assert plain.of_typical == pytest.approx(0, abs=1e-9)
    assert plain.of_resolution == pytest.approx(0, abs=1e-9)


def built_sample(kind, changed, logit):
    """A pair in which a block was built or not, with a logit there and the opposite elsewhere."""
    before = np.full((SIDE_PX, SIDE_PX), int(ANY - Cover.BUILDING), np.uint8)
    after, truth = before.copy(), np.zeros((SIDE_PX, SIDE_PX), bool)
    truth[10:30, 10:30] = changed
    after[truth] = Cover.BUILDING
    image = np.zeros((SIDE_PX, SIDE_PX, 4), np.float32)
    pair = Pair(image, image, before, after, truth.astype(np.uint8), True, 1.0)
    logits = np.where(truth, logit + 1, logit - 1).astype(np.float32)
    nothing = np.zeros((7, SIDE_PX, SIDE_PX), np.float32)
    return DetectedPair(kind, pair, TilePrediction(logits, logits, nothing, nothing), 0.0)


@pytest.mark.parametrize("logit", [-2.0, 0.0, 2.0])
def test_ground_where_buildings_seldom_change_does_not_move_their_cut(logit):
    towns = [built_sample("town", True, logit) for _ in range(4)]
    fields = [built_sample("field", number == 0, logit - 4) for number in range(4)]
    alone, beside = (fit_to_samples(samples).building for samples in (towns, towns + fields))
    assert logit - 1 < alone <= logit + 1
    assert beside == pytest.approx(alone)


def test_int8_files_are_made_of_pairs_of_the_ground(exported_deltavlm, tmp_path, monkeypatch):
    monkeypatch.setattr(quantisation_module, "PAIRS_PER_KIND", 1)
    folder = tmp_path / "model"
    shutil.copytree(exported_deltavlm, folder)
    quantise_compact(folder, GROUNDS)
    assert all(int8_file(folder / name).is_file() for name in (ENCODER, DETECTOR))
