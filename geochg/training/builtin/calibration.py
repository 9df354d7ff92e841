"""Cuts and confidences of the dense head, fitted on ground that it did not learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.optimize import isotonic_regression
from scipy.special import expit

from geochg.models.deltavlm.detector import Detector
from geochg.models.deltavlm.postprocessing import Calibration, Cut, Finding, OutlineMaker
from geochg.records import PixelWindow, Tile, TileWindow
from geochg.training.builtin.covers import NOTHING, UNKNOWN_CHANGE, Cover
from geochg.training.builtin.grounds import Ground
from geochg.training.builtin.pairs import SIDE_PX, Pair, PairMaker

PAIRS_PER_KIND = 24

BANDS_M = (0.9, 3.3, float("inf"))
"""Greatest sides, in metres, of the shown pixels that share a cut."""

LOW = 1.0
"""By how much, in logits, the pixels may lie lower that join a piece of change."""

_LOGITS = np.linspace(-4, 4, 81)
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
    """

    kind: str
    pair: Pair
    finding: Finding


def calibrated(detector: Detector, grounds: Sequence[Ground], seed: int) -> Calibration:
    """Fits the cuts of each band of resolutions, and then the confidence of pieces.

    Args:
        detector: With the trained head.
        grounds: Held out, see `series.split_grounds`.
        seed: Of the pairs.
    """
    samples = list(_samples(detector, grounds, seed))
    cuts = tuple(
        Cut(
            band,
            _best_cut(part, "change"),
            _best_cut(part, "building"),
            LOW,
        )
        for band, part in _by_band(samples)
    )
    plain = Calibration(cuts)
    return Calibration(cuts, _confidence(samples, plain))


def _samples(detector: Detector, grounds: Sequence[Ground], seed: int) -> Iterator[Sample]:
    maker = PairMaker(grounds)
    rng = np.random.default_rng(seed)
    for kind in sorted({ground.kind for ground in grounds}):
        of_kind = [ground for ground in grounds if ground.kind == kind]
        for number in range(PAIRS_PER_KIND):
            pair = maker.pair_of(of_kind[number % len(of_kind)], rng)
            yield Sample(kind, pair, found(detector, pair))


def found(detector: Detector, pair: Pair) -> Finding:
    """What the detector finds in a pair that is shown as it is."""
    window = PixelWindow(0, SIDE_PX, 0, SIDE_PX)
    before, after = (
        (255 * image.transpose(2, 0, 1)[: 4 if image[0, 0, 3] >= 0 else 3]).astype(np.uint8)
        for image in (pair.before, pair.after)
    )
    valid = np.ones((SIDE_PX, SIDE_PX), bool)
    tile = Tile(TileWindow(0, 0, 0, window, window), before, after, valid)
    scene = detector.survey([tile], pair.resolution_m, zoom=1.0)
    maker = OutlineMaker(detector.head, scene)
    (finding,) = maker.findings(detector.detect([tile], scene), [tile])
    return finding


def _by_band(samples: Sequence[Sample]) -> Iterator[tuple[float, list[Sample]]]:
    least = 0.0
    for most in BANDS_M:
        yield most, [s for s in samples if least < s.pair.resolution_m <= most]
        least = most


def _best_cut(samples: Sequence[Sample], surface: str) -> float:
    """The logit with the best F1 of pixels, as a mean over the kinds of ground."""
    hits: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((3, len(_LOGITS))))
    for kind, pair, finding in samples:
        truth, known = _truth(pair, surface)
        if not known.any():
            continue
        logits = getattr(finding, surface)[known]
        changed = truth[known]
        hits[kind] += [
            [np.count_nonzero(changed & (logits >= cut)) for cut in _LOGITS],
            [np.count_nonzero(logits >= cut) for cut in _LOGITS],
            [np.count_nonzero(changed)] * len(_LOGITS),
        ]
    scores = [2 * hit / np.maximum(said + true, 1) for hit, said, true in hits.values() if true[0]]
    return float(_LOGITS[np.mean(scores, axis=0).argmax()]) if scores else 0.0


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
    for _, pair, finding in samples:
        truth, known = _truth(pair, "change")
        if not known.any():
            continue
        cut = plain.cut_at(pair.resolution_m)
        labels, number = label(finding.change >= cut.change)
        size = np.bincount(labels[known], minlength=number + 1)[1:]
        right = np.bincount(labels[known & truth], minlength=number + 1)[1:]
        total = np.bincount(labels[known], expit(finding.change[known]), number + 1)[1:]
        large = size >= _LEAST_PIECE_PX
        means += list(total[large] / size[large])
        rights += list(right[large] / size[large] > _RIGHT)
    if len(means) < 4 * _BINS:
        return None
    order = np.argsort(means)
    bins = np.array_split(order, _BINS)
    x = np.array([np.mean(np.array(means)[part]) for part in bins])
    y = isotonic_regression(np.array([np.mean(np.array(rights)[part]) for part in bins])).x
    return tuple(map(float, x.round(4))), tuple(map(float, y.round(4)))
