"""Thresholds and confidences of the dense head, fitted on ground that it did not learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label, maximum
from scipy.optimize import isotonic_regression
from scipy.special import expit

from geochg.datasets.ground.covers import NOTHING, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.labelled import LabelledGround
from geochg.geometry.hysteresis import hysteresis
from geochg.models.deltavlm.calibration import Calibration
from geochg.models.deltavlm.detector import Detector, Scene
from geochg.models.deltavlm.postprocessing import OutlineMaker, TilePrediction
from geochg.models.deltavlm.water import with_water
from geochg.records import Tile
from geochg.training.builtin.pairs import Pair, PairMaker

PAIRS_PER_KIND = 24
"""Pairs of each kind of ground that the cuts are fitted on."""

PAIRS_TO_BALANCE = 6
"""Pairs of each kind on which the spread of the averaged logits is measured."""

_LOGITS = np.linspace(-6, 6, 121)
_INTERCEPTS = np.linspace(-6, 3, 37)
_TYPICAL_SLOPES = np.linspace(-0.8, 0.2, 11)
_RESOLUTION_SLOPES = np.linspace(-0.4, 0.4, 5)
_WATER_WEIGHTS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_HYSTERESIS = (0.0, 0.5, 1.0, 1.5, 2.0)
_AS_GOOD = 0.005
"""Scores that differ by less are alike."""
_CUT_STEPS = np.linspace(-0.5, 1.5, 9)
"""What is added to a cut while it is fitted with hysteresis."""
_BINS = 8
_LEAST_PIECE_PX = 30
_RIGHT = 0.5
"""A piece is right when more than this share of its known pixels changed."""


class DetectedPair(NamedTuple):
    """A pair and the detector's output for it.

    Attributes:
        kind: Kind of its ground.
        pair: The pair.
        finding: Output of the detector.
        typical_logit: See `Scene`.
    """

    kind: str
    pair: Pair
    finding: TilePrediction
    typical_logit: float


def fit_calibration(
    detector: Detector, grounds: Sequence[LabelledGround], seed: int
) -> Calibration:
    """Fits the cuts, and then the confidence of pieces.

    Args:
        detector: Detector with the trained head.
        grounds: Held-out ground, see `series.split_grounds`.
        seed: Seed of the pairs.
    """
    return fit_to_samples(list(held_out_pairs(detector, grounds, seed)))


def color_weight_factor(detector: Detector, grounds: Sequence[LabelledGround], seed: int) -> float:
    """The factor that gives the colour logits the standard deviation of the networks' logits.

    Args:
        detector: Detector with the trained head.
        grounds: Ground that the head did not learn from.
        seed: Seed of the pairs that are made of it.

    Returns:
        A factor for `DeltaVLMDenseConfig.color_weight`: the median over the pairs.
    """
    ratios = [1.0] if not grounds else []
    for _, pair in pairs_of_kinds(grounds, PAIRS_TO_BALANCE, seed):
        tile, scene = survey_pair(detector, pair)
        output = detector.detect([tile], scene).dense
        assert output is not None
        networks = [
            np.std(part[0, 0]) for part in (output.pyramid_logits, output.statistics_logits)
        ]
        ratios.append(float(np.mean(networks) / max(np.std(output.color_logits), 1e-6)))
    return float(np.median(ratios))


def fit_to_samples(samples: Sequence[DetectedPair]) -> Calibration:
    """The cuts with the best F1 of pixels, as a mean over the kinds of ground.

    First the cuts without hysteresis, that for any change as a function of the scene; then how far
    below them pixels may lie that join others, and how much higher the cuts must then be: as far as
    costs nothing, because it makes features of specks.
    """
    plain = max((_fit_to_scene(samples, water) for water in _WATER_WEIGHTS), key=itemgetter(0))[1]
    samples = [_with_water(sample, plain.water) for sample in samples]
    buildings = [
        curve for sample in _with_building_changes(samples) if (curve := _curve(sample, "building"))
    ]
    cut_scores = [_score(buildings, Calibration(float(cut))) for cut in _LOGITS]
    plain = replace(plain, building=float(_LOGITS[int(np.argmax(cut_scores))]))
    trials = [_with_hysteresis(samples, replace(plain, hysteresis=below)) for below in _HYSTERESIS]
    best = max(score for score, _ in trials)
    plain = [calibration for score, calibration in trials if score >= best - _AS_GOOD][-1]
    return replace(plain, confidence=_confidence(samples, plain))


class _Curve(NamedTuple):
    """Changed pixels, and all, at or above each cut of `_LOGITS` in a pair, `(len(_LOGITS),)`."""

    kind: str
    typical_logit: float
    shown_m: float
    hits: NDArray[np.intp]
    above: NDArray[np.intp]
    changed: int


def _curve(sample: DetectedPair, surface: str) -> _Curve | None:
    truth, is_known = _truth(sample.pair, surface)
    if not is_known.any():
        return None
    logits, changed = getattr(sample.finding, surface)[is_known], truth[is_known]
    edges = np.append(_LOGITS, np.inf)
    hits, above = (
        np.histogram(values, edges)[0][::-1].cumsum()[::-1] for values in (logits[changed], logits)
    )
    return _Curve(
        sample.kind,
        sample.typical_logit,
        sample.pair.resolution_m,
        hits,
        above,
        int(np.count_nonzero(changed)),
    )


def _score(curves: Sequence[_Curve], calibration: Calibration) -> float:
    """Mean over the kinds of the F1 of their pixels."""
    sums: dict[str, NDArray[np.intp]] = defaultdict(lambda: np.zeros(3, np.intp))
    for curve in curves:
        cut = calibration.cuts(curve.typical_logit, curve.shown_m).change
        index = min(int(np.searchsorted(_LOGITS, cut)), len(_LOGITS) - 1)
        sums[curve.kind] += (curve.hits[index], curve.above[index], curve.changed)
    return _mean_f1(sums)


def _fit_to_scene(samples: Sequence[DetectedPair], water: float) -> tuple[float, Calibration]:
    """The cut for any change that goes best with a weight of water, and its score.

    Of those that are as good, the one that depends least on the scene, and then the highest.
    """
    moved_samples = (_with_water(sample, water) for sample in samples)
    curves = [curve for sample in moved_samples if (curve := _curve(sample, "change"))]
    grid = product(_TYPICAL_SLOPES, _RESOLUTION_SLOPES, _INTERCEPTS)
    trials = [Calibration(float(c), float(a), float(b), water=water) for a, b, c in grid]
    scores = [_score(curves, calibration) for calibration in trials]
    good = [
        (
            abs(trials[index].of_typical) + abs(trials[index].of_resolution),
            -trials[index].intercept,
            index,
        )
        for index, score in enumerate(scores)
        if score >= max(scores) - _AS_GOOD
    ]
    best = min(good)[-1]
    return scores[best], trials[best]


def _with_water(sample: DetectedPair, water: float) -> DetectedPair:
    """A sample of which the logits of any change are higher where water came or went."""
    finding = sample.finding
    change = with_water(finding.change, finding.before, finding.after, water)
    return sample._replace(finding=replace(finding, change=change))


def _with_building_changes(samples: Sequence[DetectedPair]) -> list[DetectedPair]:
    """The samples of kinds of ground in half of whose pairs at least a building changed."""
    changed: dict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        truth, is_known = _truth(sample.pair, "building")
        changed[sample.kind].append(bool((truth & is_known).any()))
    return [
        sample for sample in samples if 2 * sum(changed[sample.kind]) >= len(changed[sample.kind])
    ]


def _with_hysteresis(
    samples: Sequence[DetectedPair], plain: Calibration
) -> tuple[float, Calibration]:
    """A calibration with the cuts that suit its hysteresis best, and the mean of their scores."""
    scores = []
    for name, surface in (("intercept", "change"), ("building", "building")):
        candidates = [
            replace(plain, **{name: getattr(plain, name) + float(cut_step)})
            for cut_step in _CUT_STEPS
        ]
        scored = samples if surface == "change" else _with_building_changes(samples)
        values = [_joined_score(scored, surface, calibration) for calibration in candidates]
        scores.append(max(values))
        plain = candidates[int(np.argmax(values))]
    return float(np.mean(scores)), plain


def _joined_score(samples: Sequence[DetectedPair], surface: str, calibration: Calibration) -> float:
    """As `_score`, with hysteresis."""
    sums: dict[str, NDArray[np.intp]] = defaultdict(lambda: np.zeros(3, np.intp))
    for kind, pair, finding, typical_logit in samples:
        truth, is_known = _truth(pair, surface)
        cut = getattr(calibration.cuts(typical_logit, pair.resolution_m), surface)
        logits = getattr(finding, surface)
        is_covered = hysteresis(logits >= cut, logits >= cut - calibration.hysteresis) & is_known
        counts = [
            np.count_nonzero(mask) for mask in (is_covered & truth, is_covered, truth & is_known)
        ]
        sums[kind] += np.array(counts)
    return _mean_f1(sums)


def _mean_f1(sums: Mapping[str, NDArray[np.intp]]) -> float:
    """Mean F1 over the kinds, of the hits, the predicted and the changed pixels of each."""
    scores = [2 * hits / (predicted + true) for hits, predicted, true in sums.values() if true]
    return float(np.mean(scores)) if scores else 0.0


def held_out_pairs(
    detector: Detector, grounds: Sequence[LabelledGround], seed: int
) -> Iterator[DetectedPair]:
    """`PAIRS_PER_KIND` pairs of each kind of ground, with the detector's output."""
    for kind, pair in pairs_of_kinds(grounds, PAIRS_PER_KIND, seed):
        yield DetectedPair(kind, pair, *detect_pair(detector, pair))


def pairs_of_kinds(
    grounds: Sequence[LabelledGround], per_kind: int, seed: int
) -> Iterator[tuple[str, Pair]]:
    """As many pairs of each kind of ground."""
    maker = PairMaker(grounds)
    rng = np.random.default_rng(seed)
    for kind in sorted({ground.kind for ground in grounds}):
        of_kind = [ground for ground in grounds if ground.kind == kind]
        for number in range(per_kind):
            yield kind, maker.pair_of(of_kind[number % len(of_kind)], rng)


def detect_pair(detector: Detector, pair: Pair) -> tuple[TilePrediction, float]:
    """The detector's output for a pair that is shown as it is, and its typical logit."""
    tile, scene = survey_pair(detector, pair)
    maker = OutlineMaker(detector.head, scene)
    (finding,) = maker.predictions(detector.detect([tile], scene), [tile])
    return finding, scene.typical_logit


def survey_pair(detector: Detector, pair: Pair) -> tuple[Tile, Scene]:
    """A pair as a tile that is shown as it is, and the statistics of its scene."""
    before, after = (
        (255 * image.transpose(2, 0, 1)[: 4 if image[0, 0, 3] >= 0 else 3]).astype(np.uint8)
        for image in (pair.before, pair.after)
    )
    tile = Tile.of_pair(before, after)
    return tile, detector.survey([tile], pair.resolution_m, zoom=1.0)


def _truth(pair: Pair, surface: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What changed, and where that is known."""
    if surface == "change":
        is_known = (pair.change != UNKNOWN_CHANGE) & pair.teaches_change
        return pair.change == 1, is_known
    building_masks = [cover == Cover.BUILDING for cover in (pair.cover_before, pair.cover_after)]
    is_known = np.ones_like(building_masks[0])
    for cover, building in zip((pair.cover_before, pair.cover_after), building_masks, strict=True):
        is_known &= building | ((cover != NOTHING) & ((cover & Cover.BUILDING) == 0))
    return building_masks[0] != building_masks[1], is_known


def _confidence(
    samples: Sequence[DetectedPair], plain: Calibration
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean probabilities of pieces, and the shares of such pieces that are right."""
    means, rights = [], []
    for _, pair, finding, typical_logit in samples:
        truth, is_known = _truth(pair, "change")
        if not is_known.any():
            continue
        cut = plain.cuts(typical_logit, pair.resolution_m).change
        labels, number = label(finding.change >= cut - plain.hysteresis)
        pieces = np.arange(1, number + 1)
        surest = np.asarray(maximum(finding.change, labels, pieces) if number else [])
        size = np.bincount(labels[is_known], minlength=number + 1)[1:]
        right = np.bincount(labels[is_known & truth], minlength=number + 1)[1:]
        total = np.bincount(labels[is_known], expit(finding.change[is_known]), number + 1)[1:]
        large = (size >= _LEAST_PIECE_PX) & (surest >= cut)
        means += list(total[large] / size[large])
        rights += list(right[large] / size[large] > _RIGHT)
    if len(means) < 4 * _BINS:
        return None
    order = np.argsort(means)
    bins = np.array_split(order, _BINS)
    x = np.array([np.mean(np.array(means)[part]) for part in bins])
    y = isotonic_regression(np.array([np.mean(np.array(rights)[part]) for part in bins])).x
    return tuple(map(float, x.round(4))), tuple(map(float, y.round(4)))
