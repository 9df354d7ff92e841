"""The card of trees: what they were made of, for what, and how well they do."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.model_files import saved_json
from geochg.models.tile_features import VERSION, FeatureKind
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned
from geochg.tile_sizes import MOST_TILE_PX

GRAPH_FILE, CARD_FILE, README_FILE = "trees.onnx", "card.json", "README.md"
"""Files of the folder of trees."""

HINT = "make them again by `geochg train trees`"
_FORMAT = "geochg trees"
_MOST_COLUMNS = 100_000


@dataclass(frozen=True)
class TreesCard:
    """The card of trees.

    Attributes:
        geochg: Version of geochg that made them.
        features_version: Version of the features, see `tile_features.VERSION`.
        model: Value of `--model` of the model whose features they read.
        model_options: Its own options.
        identity: Its identity as plain values: `id`, `checksum`, `adapter`.
        features: The features, a `FeatureKind`.
        columns: Number of them.
        tile_size_px: Side of the tiles.
        changed_share: Share of its pixels above which a tile counted as changed.
        classifier: The classifier that cross-validated better.
        tiles: Numbers of `changed` and `unchanged` tiles.
        places: Number of places between which it was cross-validated.
        divided_by: How tiles were divided into places, in words.
        scores: Of each method by name its cross-validated `balanced_accuracy` and `auroc`, each
            with `low` and `high`.
        threshold: Probability above which a tile has changed.
        zero_shot_threshold: Change of the posteriors (0-2) above which a tile has changed by the
            zero-shot method; found on all tiles. None where all changed alike.
        sha256: Checksum of the graph.
    """

    geochg: str
    features_version: int
    model: str
    model_options: Mapping[str, Any]
    identity: Mapping[str, str]
    features: str
    columns: int
    tile_size_px: int
    changed_share: float
    classifier: str
    tiles: Mapping[str, int]
    places: int
    divided_by: str
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    threshold: float
    zero_shot_threshold: float | None
    sha256: str = ""

    def to_json(self) -> str:
        """The card as the text of `CARD_FILE`."""
        values = {"format": _FORMAT, **asdict(self)}
        return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> TreesCard:
        """Reads the card of a folder.

        Raises:
            ModelError: If there is none, it makes no sense, or is of features of another version.
        """
        file = folder / CARD_FILE
        if not file.is_file():
            raise ModelError(
                f"{folder} holds no trees: it has no {CARD_FILE}",
                "give the folder that `geochg train trees -o` wrote",
            )
        values = saved_json(file, HINT)
        if values.pop("format", None) != _FORMAT:
            raise ModelError(f"{file} is no card of trees", HINT)
        if values.get("features_version") != VERSION:
            version = cleaned(str(values.get("features_version")), 20)
            raise ModelError(
                f"{folder} learned from features of version {version}, and this geochg makes those "
                f"of version {VERSION}",
                HINT,
            )
        try:
            card = cls(**values)
            faults = [name for name, is_sound in _checks(card).items() if not is_sound]
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{file} makes no sense ({cleaned(error, 100)})", HINT) from error
        if faults:
            raise ModelError(f"{file} makes no sense: {faults[0]}", HINT)
        return card


def _checks(card: TreesCard) -> dict[str, bool]:
    """Whether each part of a card is what it must be."""
    texts = (card.geochg, card.model, card.classifier, card.divided_by, card.sha256)
    limit = card.zero_shot_threshold
    return {
        "a text is none": all(
            isinstance(text, str) and len(text) <= LONGEST_TEXT for text in texts
        ),
        "model_options": isinstance(card.model_options, dict),
        "identity": isinstance(card.identity, dict)
        and {"id", "checksum", "adapter"} <= card.identity.keys()
        and all(isinstance(value, str) for value in card.identity.values()),
        "features": card.features in list(FeatureKind),
        "columns": type(card.columns) is int and 0 < card.columns <= _MOST_COLUMNS,
        "tile_size_px": type(card.tile_size_px) is int and 0 < card.tile_size_px <= MOST_TILE_PX,
        "threshold": _is_number(card.threshold) and 0 <= card.threshold <= 1,
        "zero_shot_threshold": limit is None or (_is_number(limit) and 0 <= limit <= 2),
        "tiles": isinstance(card.tiles, dict)
        and all(type(count) is int and count >= 0 for count in card.tiles.values()),
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def checksum_of(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
