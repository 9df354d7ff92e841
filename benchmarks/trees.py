"""Trees on a hundred labelled tiles against the zero-shot threshold, on held-out places.

Each pair of a kind is a place. One place is held out; of the others, a number of tiles is drawn, of
which alone trees learn and all thresholds are found; the tiles of the held-out place are then
called changed or not. In small pairs, tiles to learn from overlap by half; those that are judged
never do.

    python benchmarks/trees.py VALIDATION CACHE_FOLDER > trees.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio

from geochg.datasets.kinds import Kind, MaskedPair, kinds_of
from geochg.evaluation.intervals import bootstrap_intervals
from geochg.evaluation.scores import auroc
from geochg.models.registry import load_model
from geochg.models.tile_features import FeatureKind, TileFeatureModel
from geochg.records import Tile
from geochg.tiling.layout import Layout
from geochg.training.trees.fitting import fit_trees
from geochg.training.trees.scoring import balanced_accuracy, usual_threshold

TILE_PX, STEP_PX = 64, 32
"""Side of the tiles, and how far those to learn from follow each other."""

COARSE_PX = 128
"""The same for pairs of more than `LARGE_PX` a side, whose things are larger."""
LARGE_PX = 700

CHANGED_SHARE = 0.05
LABELLED = 100
SEEDS = 2
STRETCH = (1, 99)


class Tiles(NamedTuple):
    """The tiles of a kind.

    Attributes:
        place: `(n,)` number of the pair.
        changed: `(n,)` bool.
        judged: `(n,)` bool, those that do not overlap.
        difference: `(n,)` mean absolute difference of the dates.
        zero_shot: `(n,)` sum of the absolute differences of the posteriors.
        own: `(n,)` the model's own highest logit of change.
        posteriors: `(n, columns)`.
        pooled: `(n, columns)`.
    """

    place: np.ndarray
    changed: np.ndarray
    judged: np.ndarray
    difference: np.ndarray
    zero_shot: np.ndarray
    own: np.ndarray
    posteriors: np.ndarray
    pooled: np.ndarray

    def part(self, rows: np.ndarray) -> Tiles:
        """Some of the tiles."""
        return Tiles(*(values[rows] for values in self))


def picture(path: Path) -> np.ndarray:
    """`(3, height, width)` uint8, stretched unless it is 8 bit already."""
    with rasterio.open(path) as file:
        values = file.read(range(1, min(file.count, 3) + 1))
    if values.dtype != np.uint8:
        floats = values.astype(np.float32)
        low, high = np.percentile(floats, STRETCH, axis=(1, 2), keepdims=True)
        values = (np.clip((floats - low) / np.maximum(high - low, 1e-6), 0, 1) * 255).astype("u1")
    return values if len(values) == 3 else np.repeat(values[:1], 3, axis=0)


def pair_rows(pair: MaskedPair, number: int, model: TileFeatureModel) -> Iterator[tuple]:
    """The values of `Tiles` of each tile of a pair."""
    before, after = picture(pair.before), picture(pair.after)
    height, width = (min(a, b) for a, b in zip(before.shape[1:], after.shape[1:], strict=True))
    before, after = before[:, :height, :width], after[:, :height, :width]
    with rasterio.open(pair.mask) as file:
        mask = file.read(1)[:height, :width]
    side = COARSE_PX if max(height, width) > LARGE_PX else TILE_PX
    step = side // 2 if height * width < 2 * 256 * 256 else side
    window = next(iter(Layout(side, side, side, 0)))
    for row in range(0, height - side + 1, step):
        for col in range(0, width - side + 1, step):
            part = slice(row, row + side), slice(col, col + side)
            known = mask[part] != 255
            if known.mean() < 0.5:
                continue
            dates = before[:, *part], after[:, *part]
            tile = Tile(window, dates, np.ones((side, side), bool))
            (features,) = model.tile_features([tile])
            yield (
                number,
                (mask[part][known] == 1).mean() > CHANGED_SHARE,
                row % side == 0 and col % side == 0,
                np.abs(dates[0].astype(float) - dates[1]).mean(),
                features.posterior_change,
                features.relation[3],
                features.vector(FeatureKind.POSTERIORS),
                features.vector(FeatureKind.POOLED),
            )


def tiles_of(kind: Kind, cache: Path) -> Tiles:
    """The tiles of a kind; made once."""
    file = cache / f"{kind.name}.npz"
    if not file.exists():
        model = load_model("builtin")
        assert isinstance(model, TileFeatureModel)
        rows = [row for n, pair in enumerate(kind.pairs) for row in pair_rows(pair, n, model)]
        columns = map(np.array, zip(*rows, strict=True))
        np.savez(file, **dict(zip(Tiles._fields, columns, strict=True)))
        print(kind.name, len(rows), file=sys.stderr)
    with np.load(file) as arrays:
        return Tiles(*(arrays[name] for name in Tiles._fields))


METHODS = {
    "trees, pooled": "pooled",
    "trees, posteriors": "posteriors",
    "zero-shot threshold": "zero_shot",
    "the model's own threshold": "own",
    "differencing": "difference",
}
"""What is scored, and the part of `Tiles` it goes by; trees learn from theirs."""


class Judged(NamedTuple):
    """The judged tiles of all held-out places, for one seed.

    Attributes:
        place: `(n,)`.
        changed: `(n,)` bool.
        calls: Of each method, `(n,)` bool.
        likely: Of each method, `(n,)`.
    """

    place: np.ndarray
    changed: np.ndarray
    calls: dict[str, np.ndarray]
    likely: dict[str, np.ndarray]


def judged_tiles(tiles: Tiles, seed: int) -> Judged:
    """Holds out each place in turn; the others give `LABELLED` tiles to learn from."""
    random = np.random.default_rng(seed)
    rows = np.flatnonzero(tiles.judged)
    held = tiles.part(rows)
    calls = {name: np.zeros(len(rows), bool) for name in METHODS}
    likely = {name: np.zeros(len(rows)) for name in METHODS}
    for place in np.unique(tiles.place):
        others = np.flatnonzero(tiles.place != place)
        labelled = tiles.part(random.choice(others, min(LABELLED, len(others)), replace=False))
        here = held.place == place
        for name, field in METHODS.items():
            seen, values = getattr(labelled, field), getattr(held, field)[here]
            if name.startswith("trees"):
                fitted = fit_trees(seen, labelled.changed, labelled.place, seed=seed)
                # The threshold is that of the card: of held-out places among the labelled.
                seen, values = fitted.held_out, fitted.probability(values)
            threshold = usual_threshold(labelled.changed, seen)
            likely[name][here] = values
            calls[name][here] = values > (0.5 if threshold is None else threshold)
    return Judged(held.place, held.changed, calls, likely)


def table_rows(name: str, tiles: Tiles) -> Iterator[str]:
    """The rows of a kind: means over seeds, intervals of a bootstrap over places."""
    runs = [judged_tiles(tiles, seed) for seed in range(SEEDS)]
    # Held-out places have trees of their own, so likelihoods are ranked within a place.
    areas_of = {method: [place_aurocs(run, method) for run in runs] for method in METHODS}

    def scores_of(rows: np.ndarray) -> dict[str, float | None]:
        means: dict[str, float | None] = {}
        for method in METHODS:
            outcomes = [(run.changed[rows], run.calls[method][rows]) for run in runs]
            accuracy = [balanced_accuracy(*outcome) for outcome in outcomes]
            areas = [
                weighted_mean(of_run, run.place[rows])
                for of_run, run in zip(areas_of[method], runs, strict=True)
            ]
            for score, values in (("accuracy", accuracy), ("auroc", areas)):
                known = [value for value in values if value is not None]
                means[f"{method}\n{score}"] = float(np.mean(known)) if known else None
        gain = means["trees, pooled\naccuracy"], means["zero-shot threshold\naccuracy"]
        means["gain"] = None if None in gain else gain[0] - gain[1]
        return means

    everything = scores_of(np.arange(len(runs[0].changed)))
    spread = bootstrap_intervals(scores_of, [str(place) for place in runs[0].place])

    def cell(key: str) -> str:
        value = everything[key]
        if value is None:
            return "-"
        ends = spread.get(key)
        return f"{value:.3f}" + ("" if ends is None else f" ({ends.low:.2f} to {ends.high:.2f})")

    changed = runs[0].changed
    yield f"| **{name}**: {len(changed)} tiles, {changed.mean():.0%} changed | | |"
    for method in METHODS:
        cells = [cell(f"{method}\n{score}") for score in ("accuracy", "auroc")]
        yield f"| {method} | {' | '.join(cells)} |"
    yield "| all changed | 0.500 | 0.500 |"
    yield f"| *trees, pooled, above the zero-shot threshold by* | {cell('gain')} | |"


def place_aurocs(run: Judged, method: str) -> dict[int, float]:
    """The AUROC within each place that has both kinds."""
    areas = {}
    for place in np.unique(run.place).tolist():
        here = run.place == place
        area = auroc(run.changed[here], run.likely[method][here])
        if area is not None:
            areas[place] = area
    return areas


def weighted_mean(areas: dict[int, float], places: np.ndarray) -> float | None:
    """The mean of the AUROC of the places of some tiles, by their numbers of tiles."""
    weights = {place: int((places == place).sum()) for place in areas}
    total = sum(weights.values())
    return sum(areas[place] * weights[place] for place in areas) / total if total else None


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="Folder of kinds.")
    parser.add_argument("cache", type=Path, help="Folder in which features are kept.")
    parser.add_argument("--kinds", nargs="*", help="Only these kinds.")
    given = parser.parse_args()
    given.cache.mkdir(exist_ok=True)
    print("| | balanced accuracy | AUROC within places |\n|---|---:|---:|")
    for kind in kinds_of(given.data):
        if given.kinds and kind.name not in given.kinds:
            continue
        for line in table_rows(kind.name, tiles_of(kind, given.cache)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
