"""The options of `geochg train trees`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from geochg.errors import OptionError
from geochg.models.tile_features import FeatureKind
from geochg.options import Options, option
from geochg.tile_sizes import MOST_TILE_PX


class TreeClassifier(StrEnum):
    """Classifiers that are tried."""

    BEST = "best"
    BOOSTING = "boosting"
    FOREST = "forest"


@dataclass(frozen=True)
class TreeTrainingOptions(Options):
    """The options of `geochg train trees`; the help of each option stands with its field.

    Attributes:
        model: The model whose features are read: `name` or `name:source`.
        model_options: Its own options.
        device: The device it runs on.
    """

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    tile_size_px: int = option(
        256,
        "Side of the tiles, in pixels; larger pictures are cut. Maps then need the same.",
        unit="px",
        least=16,
        greatest=MOST_TILE_PX,
    )
    changed_share: float = option(
        0.0,
        "A tile is changed where more than this share of its pixels is.",
        least=0,
        greatest=1,
    )
    features: FeatureKind = option(
        FeatureKind.POOLED,
        "posteriors are the probabilities of classes at both dates and their difference; pooled "
        "adds means of what the encoder makes of each date.",
    )
    classifier: TreeClassifier = option(
        TreeClassifier.BEST,
        "Gradient boosting, a random forest, or the one of both that cross-validates better.",
    )
    place: str = option(
        "",
        "Column of PAIRS, or of --place-file, that tells the place of a pair; tiles of one place "
        "stay together in cross-validation.",
        metavar="COLUMN",
        usual="the column place, else the names of files before their last numbers",
    )
    seed: int = option(0, "Seed of the folds and of the trees.", least=0, greatest=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.changed_share == 1:
            raise OptionError("changed share 1", "it must be from 0 to below 1")
