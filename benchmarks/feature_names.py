"""How often the features of the built-in model are named and counted right on held-out ground.

    python benchmarks/feature_names.py --real-dir FOLDER [--model FOLDER]

Looks at the pieces of ground that the model outlines, and that did change, in pairs made of
held-out labelled ground. For each class and direction, and several least shares of a piece's ground
whose land covers at both dates bear these out (`land_cover.PROVEN_KINDS` has those that ship),
it prints how many pieces there are and how many of those that labels can judge are right; then how
many of the pieces of buildings have the right number of buildings.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage

from geochg.datasets.ground.covers import ANY, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.series import all_grounds, split_grounds
from geochg.features.cells import CellSettings, tile_result
from geochg.features.tile_results import Cell
from geochg.geometry.hysteresis import least_size_px
from geochg.geometry.objects import objects_within
from geochg.land_cover import COVERS, agrees, share_borne_out
from geochg.models.builtin import FOLDER
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.detector import ColorRange, Detector, Scene
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.postprocessing import OutlineMaker
from geochg.records import LAND_COVER, Change, Tile
from geochg.training.builtin.calibration import DetectedPair, held_out_pairs
from geochg.training.builtin.pairs import Pair

SHARES = (0.0, 0.1, 0.3, 0.5, 0.7)

LEAST_BUILDING_SHARE = 0.25
"""Of a labelled building, this much must lie in a piece for it to count there."""


class Judged(NamedTuple):
    """A piece of ground that changed.

    Attributes:
        kind: Class and direction, in words.
        share: Share of its ground on which the told land covers bear these out, 0-1.
        right: Whether the labels of most of its ground allow them; None where they cannot tell.
        counts: Number of buildings as counted and as labelled; None for what is no building.
    """

    kind: str
    share: float
    right: bool | None
    counts: tuple[int, int] | None


def judged(detector: Detector, sample: DetectedPair) -> Iterator[Judged]:
    """The pieces of a pair that changed and that have a class of land cover."""
    pair, side_px = sample.pair, sample.pair.change.shape[0]
    # Of the scene, only its typical logit and resolution matter to the outlines.
    colors = ColorRange(*(np.zeros(3, np.float32) for _ in range(3)))
    scene = Scene(
        (colors, colors), 1.0, None, pair.resolution_m, typical_logit=sample.typical_logit
    )
    blank = np.zeros((3, side_px, side_px), np.uint8)
    tile = Tile.of_pair(blank, blank)
    outlines = OutlineMaker(detector.head, scene).outlines(sample.finding, tile)
    area_m2 = pair.resolution_m**2
    settings = CellSettings(least_px=least_size_px(area_m2), pixel_area_m2=area_m2)
    for cell in tile_result(tile, [outlines], settings).cells:
        inside = rasterize([cell.polygon], pair.change.shape, dtype="uint8").astype(bool)
        known = pair.change[inside & (pair.change != UNKNOWN_CHANGE)]
        if cell.class_name in COVERS and known.any() and known.mean() > 1 / 2:
            assert cell.ground is not None
            yield Judged(
                f"{cell.class_name} {cell.change}",
                share_borne_out(
                    cell.class_name, cell.change, cell.ground.before, cell.ground.after
                ),
                _right(cell, pair.cover_before[inside], pair.cover_after[inside]),
                _counts(cell, pair, inside),
            )


def _right(cell: Cell, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool | None:
    """Whether the labels of most of the pixels allow class and direction."""
    told = (before > 0) & (before < ANY) & (after > 0) & (after < ANY)
    pairs, sizes = np.unique(np.stack([before, after])[:, told], axis=1, return_counts=True)
    allowed = denied = 0
    for (old, new), size in zip(pairs.T.tolist(), sizes.tolist(), strict=True):
        answers = {
            agrees(cell.class_name, cell.change, LAND_COVER[first], LAND_COVER[second])
            for first, second in product(range(len(LAND_COVER)), repeat=2)
            if old >> first & 1 and new >> second & 1
        }
        allowed += size * (answers == {True})
        denied += size * (answers == {False})
    return allowed > denied if 2 * (allowed + denied) > len(before) else None


def _counts(cell: Cell, pair: Pair, inside: NDArray[np.bool_]) -> tuple[int, int] | None:
    if cell.class_name != "building" or cell.change == Change.ALTERED:
        return None
    cover = pair.cover_after if cell.change == Change.APPEARED else pair.cover_before
    labels, count = ndimage.label(cover == Cover.BUILDING)
    whole = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    part = np.bincount(labels[inside], minlength=count + 1)[1:]
    return len(objects_within(np.array([cell.polygon]))[0]), int(
        (part > LEAST_BUILDING_SHARE * whole).sum()
    )


def table(pieces: list[Judged]) -> str:
    """How many pieces there are from each least share on, and how many are right."""
    by_kind = defaultdict(list)
    for piece in pieces:
        by_kind[piece.kind].append(piece)
    heads = " | ".join(f"share from {least}" for least in SHARES)
    lines = [f"| Class and direction | {heads} |", "|---" * (len(SHARES) + 1) + "|"]
    for kind, own in sorted(by_kind.items()):
        cells = []
        for least in SHARES:
            rights = [each.right for each in own if each.share >= least and each.right is not None]
            number = sum(each.share >= least for each in own)
            cells.append(f"{number}: {sum(rights)} of {len(rights)} right")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    counts = [each.counts for each in pieces if each.counts and each.counts[1]]
    several = [each for each in counts if each[1] > 1]
    for name, own_counts in (("with buildings", counts), ("with several", several)):
        exact = sum(counted == labelled for counted, labelled in own_counts)
        lines.append(f"\nPieces {name}: {len(own_counts)}, counted right {exact}.")
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-dir", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    detector = DeltaVLMModel.load(str(arguments.model), DeltaVLMOptions(), "cpu").detector
    if detector is None:
        raise SystemExit(f"{arguments.model} tells no land cover")
    _, held_out = split_grounds(all_grounds(arguments.real_dir))
    samples = held_out_pairs(detector, held_out, 1)
    print(table([piece for each in samples for piece in judged(detector, each)]))


if __name__ == "__main__":
    main()
