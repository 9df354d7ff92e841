"""From labelled pairs to a folder of trees."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from geochg import __version__
from geochg.events import Listener, ignore
from geochg.extras import require_packages
from geochg.models.tile_features import VERSION
from geochg.models.trees.card import CARD_FILE, GRAPH_FILE, README_FILE, TreesCard, checksum_of
from geochg.models.trees.features import FeatureSource, check_has_features
from geochg.training.trees.fitting import NAMES, FittedTrees, fit_trees
from geochg.training.trees.graph import trees_graph
from geochg.training.trees.options import TreeTrainingOptions
from geochg.training.trees.scoring import (
    cross_validated_scores,
    four_digits,
    in_words,
    usual_threshold,
)
from geochg.training.trees.tiles import LabelledTiles, labelled_tiles

PACKAGES = ("sklearn", "onnx")
"""Packages of the extra `learn` that training needs; applying needs none of them."""


def train_trees(
    source: Path,
    folder: Path,
    options: TreeTrainingOptions,
    place_file: Path | None = None,
    listener: Listener = ignore,
) -> TreesCard:
    """Learns from labelled pairs, and writes trees that `--model trees:FOLDER` takes.

    Args:
        source: Labelled pairs, see `datasets.pairs.pair_files`.
        folder: Where to write; it is made.
        options: Model, tiles, places and classifier.
        place_file: A file with a column of places; None for none.
        listener: Receives the progress, on the calling thread.

    Returns:
        The card that was written.

    Raises:
        InputError: If a pair cannot be read, or there is too little to learn from.
        ModelError: If the model cannot be loaded, or gives no features of tiles.
        OptionError: If the column of places is not there.
        OSError: If the folder cannot be written.
    """
    require_packages("learn", *PACKAGES)
    check_has_features(options.model)
    tiles, features = labelled_tiles(source, options, place_file, listener)
    fitted = fit_trees(tiles.vectors, tiles.changed, tiles.place, options.classifier, options.seed)
    graph = trees_graph(fitted, tiles.vectors.shape[1])
    card = replace(_card(tiles, fitted, features, options), sha256=checksum_of(graph))
    folder.mkdir(exist_ok=True)
    (folder / GRAPH_FILE).write_bytes(graph)
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    (folder / README_FILE).write_text(readme(card), encoding="utf-8")
    return card


def _card(
    tiles: LabelledTiles,
    fitted: FittedTrees,
    features: FeatureSource,
    options: TreeTrainingOptions,
) -> TreesCard:
    identity = asdict(features.model.identity)
    threshold = usual_threshold(tiles.changed, fitted.held_out)
    changed = int(tiles.changed.sum())
    return TreesCard(
        geochg=__version__,
        features_version=VERSION,
        model=_found_again(options.model),
        model_options=dict(options.model_options),
        identity={name: identity[name] for name in ("id", "checksum", "adapter")},
        features=str(options.features),
        columns=tiles.vectors.shape[1],
        tile_size_px=options.tile_size_px,
        changed_share=options.changed_share,
        classifier=NAMES[fitted.classifier],
        tiles={"changed": changed, "unchanged": len(tiles.changed) - changed},
        places=len(np.unique(tiles.place)),
        divided_by=tiles.divided_by,
        scores=cross_validated_scores(tiles, fitted),
        threshold=0.5 if threshold is None else threshold,
        zero_shot_threshold=four_digits(usual_threshold(tiles.changed, tiles.zero_shot)),
    )


def _found_again(reference: str) -> str:
    """The model as `--model` names it, of a folder by its whole path."""
    name, _, source = reference.partition(":")
    folder = Path(source).expanduser()
    return f"{name}:{folder.resolve()}" if source and folder.is_dir() else reference


def readme(card: TreesCard) -> str:
    """The card in words."""
    lines = [
        "# Trees that learned from labelled tiles",
        "",
        "Made by `geochg train trees`; `geochg analyze BEFORE AFTER --model trees:FOLDER "
        f"--tile-size {card.tile_size_px}`",
        "applies them, tile by tile.",
        "",
        "| | |",
        "|---|---|",
        f"| Tiles | {card.tiles['changed']} changed, {card.tiles['unchanged']} unchanged, of "
        f"{card.tile_size_px} px; changed where more than {card.changed_share:g} of it is |",
        f"| Places | {card.places}, by {_plain(card.divided_by)} |",
        f"| TreeClassifier | {card.classifier} on {card.columns} {card.features} features of "
        f"`{card.identity['id']}` |",
        f"| Changed above | a probability of {card.threshold:.3f} |",
        f"| Made with | geochg {card.geochg}, features version {card.features_version} |",
        f"| Checksum of `{GRAPH_FILE}` | sha256:{card.sha256} |",
        "",
        "On held-out places, by cross-validation: trees and thresholds had not seen the place.",
        "In brackets 95 % of a bootstrap over places.",
        "",
        *_table(in_words(card.scores)),
        "",
        "`zero-shot threshold` is the sum of the absolute differences of the posteriors against",
        "its best threshold, `differencing` the same of the pixels. The trees were chosen of",
        f"{len(NAMES)} classifiers by these very places, which flatters them a little; their",
        "probabilities were calibrated on these, too. They hold for places like these.",
    ]
    return "\n".join(lines) + "\n"


def _table(rows: list[list[str]]) -> list[str]:
    head, *others = rows
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(row)} |" for row in (head, ruler, *others)]


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
