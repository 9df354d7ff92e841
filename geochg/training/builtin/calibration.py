"""Cuts and confidences of the dense head, fitted on ground that it did not learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label, maximum
from scipy.optimize import isotonic_regression
from scipy.special import expit

from geochg.datasets.ground.covers import NOTHING, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.labelled import LabelledGround
from geochg.geometry.hysteresis import hysteresis
from geochg.models.deltavlm.detector import Detector, Scene
from geochg.models.deltavlm.postprocessing import (
    Calibration,
    OutlineMaker,
    TilePrediction,
    with_water,
)
from geochg.records import PixelWindow, Tile, TileWindow
from geochg.training.builtin.pairs import SIDE_PX, Pair, PairMaker

PAIRS_PER_KIND = 24
"""Pairs of each kind of ground that the cuts are fitted on."""

PAIRS_TO_BALANCE = 6
"""Pairs of each kind on which the spread of the averaged logits is measured."""

_LOGITS = np.linspace(-6, 6, 121)
_INTERCEPTS = np.linspace(-6, 3, 37)
_OF_TYPICAL = np.linspace(-0.8, 0.2, 11)
_OF_RESOLUTION = np.linspace(-0.4, 0.4, 5)
_WATER = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_HYSTERESIS = (0.0, 0.5, 1.0, 1.5, 2.0)
_AS_GOOD = 0.005
"""Scores that differ by less are alike."""
_RAISED = np.linspace(-0.5, 1.5, 9)
"""What is added to a cut while it is fitted with hysteresis."""
_BINS = 8
_LEAST_PIECE_PX = 30
_RIGHT = 0.5
"""A piece is right when more than this share of its known pixels changed."""


class Sample(NamedTuple):
    """A pair with what was found in it.

    Attributes:
        kind: Of its ground.
        pair: The pair.
        finding: Of the detector.
        typical_logit: See `Scene`.
    """

    kind: str
    pair: Pair
    finding: TilePrediction
    typical_logit: float


def calibrated(detector: Detector, grounds: Sequence[LabelledGround], seed: int) -> Calibration:
    """Fits the cuts, and then the confidence of pieces.

    Args:
        detector: With the trained head.
        grounds: Held out, see `series.split_grounds`.
        seed: Of the pairs.
    """
    return fitted(list(held_out_samples(detector, grounds, seed)))


def color_weight_factor(detector: Detector, grounds: Sequence[LabelledGround], seed: int) -> float:
    """The factor that gives the colour logits the standard deviation of the networks' logits.

    Args:
        detector: With the trained head.
        grounds: Ground that the head did not learn from.
        seed: Seed of the pairs that are made of it.

    Returns:
        A factor for `DeltaVLMDenseConfig.color_weight`: the median over the pairs.
    """
    ratios = [1.0] if not grounds else []
    for _, pair in _pairs(grounds, PAIRS_TO_BALANCE, seed):
        tile, scene = surveyed(detector, pair)
        output = detector.detect([tile], scene).dense
        assert output is not None
        networks = [
            np.std(part[0, 0]) for part in (output.pyramid_logits, output.statistics_logits)
        ]
        ratios.append(float(np.mean(networks) / max(np.std(output.color_logits), 1e-6)))
    return float(np.median(ratios))


def fitted(samples: Sequence[Sample]) -> Calibration:
    """The cuts with the best F1 of pixels, as a mean over the kinds of ground.

    First the cuts without hysteresis, that for any change as a function of the scene; then how far
    below them pixels may lie that join others, and how much higher the cuts must then be: as far as
    costs nothing, because it makes features of specks.
    """
    plain = max((_of_scene(samples, water) for water in _WATER), key=lambda found: found[0])[1]
    samples = [_with_water(sample, plain.water) for sample in samples]
    built = [curve for sample in _of_buildings(samples) if (curve := _curve(sample, "building"))]
    outlined = [_score(built, Calibration(float(cut))) for cut in _LOGITS]
    plain = replace(plain, building=float(_LOGITS[int(np.argmax(outlined))]))
    tried = [_raised(samples, replace(plain, hysteresis=below)) for below in _HYSTERESIS]
    best = max(score for score, _ in tried)
    plain = [each for score, each in tried if score >= best - _AS_GOOD][-1]
    return replace(plain, confidence=_confidence(samples, plain))


class _Curve(NamedTuple):
    """What each cut of `_LOGITS` would find in one pair.

    Attributes:
        kind: Of its ground.
        typical_logit: Of its scene.
        shown_m: Side of a shown pixel, in metres.
        hits: Changed pixels found, `(len(_LOGITS),)`.
        found: All pixels found, likewise.
        changed: Pixels that changed.
    """

    kind: str
    typical_logit: float
    shown_m: float
    hits: NDArray[np.intp]
    found: NDArray[np.intp]
    changed: int


def _curve(sample: Sample, surface: str) -> _Curve | None:
    truth, known = _truth(sample.pair, surface)
    if not known.any():
        return None
    logits, changed = getattr(sample.finding, surface)[known], truth[known]
    edges = np.append(_LOGITS, np.inf)
    hits, found = (
        np.histogram(values, edges)[0][::-1].cumsum()[::-1] for values in (logits[changed], logits)
    )
    return _Curve(
        sample.kind,
        sample.typical_logit,
        sample.pair.resolution_m,
        hits,
        found,
        int(np.count_nonzero(changed)),
    )


def _score(curves: Sequence[_Curve], calibration: Calibration) -> float:
    """Mean over the kinds of the F1 of their pixels."""
    sums: dict[str, NDArray[np.intp]] = defaultdict(lambda: np.zeros(3, np.intp))
    for curve in curves:
        cut = calibration.cuts(curve.typical_logit, curve.shown_m).change
        place = min(int(np.searchsorted(_LOGITS, cut)), len(_LOGITS) - 1)
        sums[curve.kind] += (curve.hits[place], curve.found[place], curve.changed)
    return _mean_f1(sums)


def _of_scene(samples: Sequence[Sample], water: float) -> tuple[float, Calibration]:
    """The cut for any change that goes best with a weight of water, and its score.

    Of those that are as good, the one that depends least on the scene, and then the highest.
    """
    moved = (_with_water(sample, water) for sample in samples)
    curves = [curve for sample in moved if (curve := _curve(sample, "change"))]
    grid = product(_OF_TYPICAL, _OF_RESOLUTION, _INTERCEPTS)
    tried = [Calibration(float(c), float(a), float(b), water=water) for a, b, c in grid]
    scores = [_score(curves, each) for each in tried]
    good = [
        (abs(each.of_typical) + abs(each.of_resolution), -each.intercept, place)
        for place, (each, score) in enumerate(zip(tried, scores, strict=True))
        if score >= max(scores) - _AS_GOOD
    ]
    place = min(good)[-1]
    return scores[place], tried[place]


def _with_water(sample: Sample, water: float) -> Sample:
    """A sample of which the logits of any change are higher where water came or went."""
    finding = sample.finding
    change = with_water(finding.change, finding.before, finding.after, water)
    return sample._replace(finding=replace(finding, change=change))


def _of_buildings(samples: Sequence[Sample]) -> list[Sample]:
    """The samples of kinds of ground in half of whose pairs at least a building changed."""
    changed: dict[str, list[bool]] = defaultdict(list)
    for sample in samples:
        truth, known = _truth(sample.pair, "building")
        changed[sample.kind].append(bool((truth & known).any()))
    return [
        sample for sample in samples if 2 * sum(changed[sample.kind]) >= len(changed[sample.kind])
    ]


def _raised(samples: Sequence[Sample], plain: Calibration) -> tuple[float, Calibration]:
    """A calibration with the cuts that suit its hysteresis best, and the mean of their scores."""
    scores = []
    for name, surface in (("intercept", "change"), ("building", "building")):
        candidates = [
            replace(plain, **{name: getattr(plain, name) + float(more)}) for more in _RAISED
        ]
        asked = samples if surface == "change" else _of_buildings(samples)
        found = [_joined_score(asked, surface, each) for each in candidates]
        scores.append(max(found))
        plain = candidates[int(np.argmax(found))]
    return float(np.mean(scores)), plain


def _joined_score(samples: Sequence[Sample], surface: str, calibration: Calibration) -> float:
    """As `_score`, with hysteresis."""
    sums: dict[str, NDArray[np.intp]] = defaultdict(lambda: np.zeros(3, np.intp))
    for kind, pair, finding, typical_logit in samples:
        truth, known = _truth(pair, surface)
        cut = getattr(calibration.cuts(typical_logit, pair.resolution_m), surface)
        logits = getattr(finding, surface)
        covered = hysteresis(logits >= cut, logits >= cut - calibration.hysteresis) & known
        counts = [np.count_nonzero(mask) for mask in (covered & truth, covered, truth & known)]
        sums[kind] += np.array(counts)
    return _mean_f1(sums)


def _mean_f1(sums: Mapping[str, NDArray[np.intp]]) -> float:
    """Mean F1 over the kinds, of the hits, the found and the changed pixels of each."""
    scores = [2 * hit / (found + true) for hit, found, true in sums.values() if true]
    return float(np.mean(scores)) if scores else 0.0


def held_out_samples(
    detector: Detector, grounds: Sequence[LabelledGround], seed: int
) -> Iterator[Sample]:
    """`PAIRS_PER_KIND` pairs of each kind of ground, with what the detector finds in them."""
    for kind, pair in _pairs(grounds, PAIRS_PER_KIND, seed):
        yield Sample(kind, pair, *found(detector, pair))


def _pairs(
    grounds: Sequence[LabelledGround], per_kind: int, seed: int
) -> Iterator[tuple[str, Pair]]:
    """As many pairs of each kind of ground."""
    maker = PairMaker(grounds)
    rng = np.random.default_rng(seed)
    for kind in sorted({ground.kind for ground in grounds}):
        of_kind = [ground for ground in grounds if ground.kind == kind]
        for number in range(per_kind):
            yield kind, maker.pair_of(of_kind[number % len(of_kind)], rng)


def found(detector: Detector, pair: Pair) -> tuple[TilePrediction, float]:
    """What the detector finds in a pair that is shown as it is, and its typical logit."""
    tile, scene = surveyed(detector, pair)
    maker = OutlineMaker(detector.head, scene)
    (finding,) = maker.predictions(detector.detect([tile], scene), [tile])
    return finding, scene.typical_logit


def surveyed(detector: Detector, pair: Pair) -> tuple[Tile, Scene]:
    """A pair as a tile that is shown as it is, and what is measured on it."""
    window = PixelWindow(0, SIDE_PX, 0, SIDE_PX)
    before, after = (
        (255 * image.transpose(2, 0, 1)[: 4 if image[0, 0, 3] >= 0 else 3]).astype(np.uint8)
        for image in (pair.before, pair.after)
    )
    valid = np.ones((SIDE_PX, SIDE_PX), bool)
    tile = Tile(TileWindow(0, 0, 0, window, window), before, after, valid)
    return tile, detector.survey([tile], pair.resolution_m, zoom=1.0)


def _truth(pair: Pair, surface: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What changed, and where that is known."""
    if surface == "change":
        known = (pair.change != UNKNOWN_CHANGE) & pair.teaches_change
        return pair.change == 1, known
    built = [cover == Cover.BUILDING for cover in (pair.cover_before, pair.cover_after)]
    known = np.ones_like(built[0])
    for cover, building in zip((pair.cover_before, pair.cover_after), built, strict=True):
        known &= building | ((cover != NOTHING) & ((cover & Cover.BUILDING) == 0))
    return built[0] != built[1], known


def _confidence(
    samples: Sequence[Sample], plain: Calibration
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean probabilities of pieces, and the shares of such pieces that are right."""
    means, rights = [], []
    for _, pair, finding, typical_logit in samples:
        truth, known = _truth(pair, "change")
        if not known.any():
            continue
        cut = plain.cuts(typical_logit, pair.resolution_m).change
        labels, number = label(finding.change >= cut - plain.hysteresis)
        pieces = np.arange(1, number + 1)
        surest = np.asarray(maximum(finding.change, labels, pieces) if number else [])
        size = np.bincount(labels[known], minlength=number + 1)[1:]
        right = np.bincount(labels[known & truth], minlength=number + 1)[1:]
        total = np.bincount(labels[known], expit(finding.change[known]), number + 1)[1:]
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
