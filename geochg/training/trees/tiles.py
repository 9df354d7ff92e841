"""Labelled pairs as features of tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.datasets.pairs import PairFiles, pair_files, read_pair
from geochg.errors import InputError, RunError
from geochg.evaluation.collect_presence import pair_tiles
from geochg.evaluation.options import EvaluateOptions
from geochg.evaluation.predictions import Prediction
from geochg.events import Listener, Progress, ignore
from geochg.models.trees.features import FeatureSource
from geochg.training.trees.options import TreeTrainingOptions
from geochg.training.trees.places import LEAST_PLACES, PairPlaces, places_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile

LEAST_TILES = 10
"""Fewest tiles of each kind, changed and unchanged, from which anything is learned."""

_LEAST_VALID = 0.5
"""Share of a tile, at the border of a picture, that must lie within it."""


@dataclass(frozen=True, eq=False)
class LabelledTiles:
    """Tiles with features and labels.

    Attributes:
        vectors: `(n, columns)` float32, the features.
        changed: `(n,)` bool.
        place: `(n,)` number of the place of each.
        difference: `(n,)` float64, mean absolute difference of the dates, in 8-bit steps.
        zero_shot: `(n,)` float64, change of the posteriors, 0-2.
        divided_by: How places were found, in words.
    """

    vectors: NDArray[np.float32]
    changed: NDArray[np.bool_]
    place: NDArray[np.int64]
    difference: NDArray[np.float64]
    zero_shot: NDArray[np.float64]
    divided_by: str


class _Row(NamedTuple):
    """A tile without its pixels."""

    vector: NDArray[np.float32]
    changed: bool
    place: str
    difference: float
    zero_shot: float


def labelled_tiles(
    source: Path,
    options: TreeTrainingOptions,
    place_file: Path | None = None,
    listener: Listener = ignore,
) -> tuple[LabelledTiles, FeatureSource]:
    """Reads labelled pairs, and has a model give the features of their tiles.

    Args:
        source: See `pair_files`.
        options: Model, tiles and places.
        place_file: A file with a column of places; None for none.
        listener: Receives the progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read, or there is too little to learn from.
        ModelError: If the model cannot be loaded, or gives no features of tiles.
        OptionError: If the column of places is not there.
        RunError: If the model gives features of no tile.
    """
    pairs = pair_files(source)
    places = places_of(pairs, options.place, place_file)
    _check_labels(pairs)
    features = FeatureSource.open(options.model, options.model_options, options.device)
    rows: list[_Row] = []
    for number, (files, place) in enumerate(zip(pairs, places.names, strict=True)):
        listener(Progress("features", number, len(pairs)))
        rows += _rows(files, place, features, options)
    listener(Progress("features", len(pairs), len(pairs)))
    if not rows:
        raise RunError("the model gives no finite features of any tile", "choose another model")
    tiles = _joined_tiles(rows, places)
    check_enough(tiles)
    return tiles, features


def check_enough(tiles: LabelledTiles) -> None:
    """Refuses to learn from too little.

    Raises:
        InputError: If tiles of a kind are missing, or places.
    """
    changed = int(tiles.changed.sum())
    unchanged = len(tiles.changed) - changed
    if min(changed, unchanged) < LEAST_TILES:
        raise InputError(
            f"{changed} changed and {unchanged} unchanged tiles are too few to learn from: "
            f"{LEAST_TILES} of each are needed",
            "label more tiles, or give a smaller --tile-size or another --changed-share",
        )
    if (places := len(np.unique(tiles.place))) < LEAST_PLACES:
        raise InputError(
            f"all tiles lie in {places} {'place' if places == 1 else 'places'}, and trees are "
            f"cross-validated between {LEAST_PLACES} at least",
            "label tiles of more places, or name their column with --place",
        )


def _check_labels(pairs: Sequence[PairFiles]) -> None:
    """Refuses pairs of one kind before their features are made."""
    labels = {pair.changed for pair in pairs if pair.label is None}
    if len(labels) == 1 and all(pair.label is None for pair in pairs):
        kind = "changed" if labels.pop() else "unchanged"
        raise InputError(
            f"all {len(pairs)} pairs are {kind}, so there is nothing to tell apart",
            "add pairs of the other kind",
        )


def _rows(
    files: PairFiles, place: str, features: FeatureSource, options: TreeTrainingOptions
) -> Iterator[_Row]:
    """The tiles of a pair that the model gives finite features of."""
    pair = read_pair(files)
    side = options.tile_size_px
    height, width = pair.mask.shape
    if min(height, width) < side:
        raise InputError(
            f"{files.before} has {width} x {height} px, and tiles {side} x {side}",
            f"give all pictures at least this size, or write --tile-size {min(height, width)}",
        )
    if files.label is None and (height, width) != (side, side):
        raise InputError(
            f"{files.before} has {width} x {height} px and one label, which does not say which of "
            f"its tiles of {side} px changed",
            "cut the pictures to one size, and give that by --tile-size",
        )
    cutting = EvaluateOptions(tile_size_px=side, changed_share=options.changed_share)
    for tiles in _batches(pair_tiles(files, pair, features.model, cutting)):
        tile_features = features.features([tile for tile, _ in tiles])
        for (_, row), item in zip(tiles, tile_features, strict=True):
            if item.is_finite:
                vector = item.vector(options.features)
                changed = bool(row.changed)
                yield _Row(vector, changed, place, row.difference, item.posterior_change)


def _batches(tiles: Iterator[tuple[Tile, Prediction]]) -> Iterator[list[tuple[Tile, Prediction]]]:
    batch: list[tuple[Tile, Prediction]] = []
    for tile, row in tiles:
        if tile.valid.mean() >= _LEAST_VALID:
            batch.append((tile, row))
        if len(batch) == 8:
            yield batch
            batch = []
    if batch:
        yield batch


def _joined_tiles(rows: Sequence[_Row], places: PairPlaces) -> LabelledTiles:
    _, place = np.unique([row.place for row in rows], return_inverse=True)
    return LabelledTiles(
        np.stack([row.vector for row in rows]),
        np.array([row.changed for row in rows]),
        place.astype(np.int64),
        np.array([row.difference for row in rows]),
        np.array([row.zero_shot for row in rows]),
        places.divided_by,
    )
