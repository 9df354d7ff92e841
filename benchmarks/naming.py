"""How often changes on held-out ground are named right by the built-in model, and how often at all.

    python benchmarks/naming.py --real-dir FOLDER [--model FOLDER]

Of the changed pixels that the model finds and whose land covers are labelled at both dates, it
prints for several least shares (`postprocessing.NAMED_SHARE` is one) how many are named, and how
many of those have a class and direction that the labels allow; and likewise for land covers
(`CANNOT_TELL_SHARE`). Labelled pairs never tell a change whose cover stayed the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.ground.covers import ANY
from geochg.datasets.ground.series import all_grounds, split_grounds
from geochg.land_cover import class_and_direction
from geochg.models.builtin import FOLDER
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.calibration import Calibration
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.postprocessing import channel_shares
from geochg.records import LAND_COVER, Channel
from geochg.training.builtin.calibration import DetectedPair, held_out_pairs

MOST_PX = 400
"""Pixels of a pair that count."""

MOST_NAMES = 4
"""Pixels whose labels allow more classes and directions tell nothing."""

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

PAIRS_OF_COVERS = [(b, a) for b in range(len(LAND_COVER)) for a in range(len(LAND_COVER))]
NAMES = sorted(
    {Channel(*class_and_direction(LAND_COVER[b], LAND_COVER[a])) for b, a in PAIRS_OF_COVERS}
)


class Judged(NamedTuple):
    """Answers about pixels.

    Attributes:
        share: `(pixels,)` how likely the likeliest answer is, 0-1.
        right: `(pixels,)` bool, whether the labels allow it.
    """

    share: NDArray[np.float32]
    right: NDArray[np.bool_]


def judged(
    sample: DetectedPair, plain: Calibration, rng: np.random.Generator
) -> tuple[Judged, Judged]:
    """The names of a pair's changed pixels, and the land covers of all its pixels."""
    pair, finding = sample.pair, sample.finding
    cut = plain.cuts(sample.typical_logit, pair.resolution_m).change
    seen = len(LAND_COVER)
    old, new = pair.cover_before, pair.cover_after
    changed = (pair.change == 1) & _told(old) & _told(new) & (finding.change >= cut)
    rows, cols = _some(changed, rng)
    shares = channel_shares(NAMES, finding.before[:, rows, cols], finding.after[:, rows, cols])
    shares /= np.maximum(shares.sum(axis=0), 1e-6)
    allowed = np.zeros(shares.shape, bool)
    for first, second in PAIRS_OF_COVERS:
        name = NAMES.index(Channel(*class_and_direction(LAND_COVER[first], LAND_COVER[second])))
        if first != second:
            allowed[name] |= (old[rows, cols] >> first & 1 > 0) & (
                new[rows, cols] >> second & 1 > 0
            )
    tells = allowed.sum(axis=0) <= MOST_NAMES
    names = _best(shares[:, tells], allowed[:, tells])
    rows, cols = _some(_told(new), rng)
    covers = finding.after[:seen, rows, cols]
    may_be = np.stack([_may_be(new, cover)[rows, cols] for cover in range(seen)])
    return names, _best(covers, may_be)


def table(title: str, all_judged: Sequence[Judged]) -> str:
    """How many are told and right, from each least share on."""
    share = np.concatenate([each.share for each in all_judged])
    right = np.concatenate([each.right for each in all_judged])
    lines = [
        f"| {title} ({len(share):,} pixels): least share | told | of them right |",
        "|---" * 3 + "|",
    ]
    for least in SHARES:
        told = share >= least
        lines.append(f"| {least:.1f} | {told.mean():.2f} | {right[told].mean():.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-dir", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    model = DeltaVLMModel.load(str(arguments.model), DeltaVLMOptions(), "cpu")
    if model.detector is None:
        raise SystemExit(f"{arguments.model} tells no land cover")
    plain = Calibration.from_dict(model.detector.head.calibration)
    rng = np.random.default_rng(0)
    _, held_out = split_grounds(all_grounds(arguments.real_dir))
    both = [judged(each, plain, rng) for each in held_out_pairs(model.detector, held_out, 1)]
    print(table("class and direction of changed pixels", [names for names, _ in both]))
    print(table("land cover", [covers for _, covers in both]))


def _told(covers: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where labels tell something of ground that is seen."""
    found: NDArray[np.bool_] = (covers > 0) & (covers < ANY)
    return found


def _may_be(covers: NDArray[np.uint8], cover: int) -> NDArray[np.bool_]:
    """Where labels allow a cover, by its place in `LAND_COVER`."""
    allowed: NDArray[np.bool_] = (covers >> cover & 1) > 0
    return allowed


def _some(where: NDArray[np.bool_], rng: np.random.Generator) -> tuple[NDArray[np.intp], ...]:
    """Rows and columns of some of the pixels."""
    places = np.argwhere(where)
    chosen = rng.choice(len(places), min(MOST_PX, len(places)), replace=False)
    return tuple(places[chosen].T)


def _best(shares: NDArray[np.float32], allowed: NDArray[np.bool_]) -> Judged:
    best = shares.argmax(axis=0)
    places = np.arange(shares.shape[1])
    return Judged(shares[best, places], allowed[best, places])


if __name__ == "__main__":
    main()
