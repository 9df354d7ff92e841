"""What an evaluation can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from geochg.errors import OptionError
from geochg.options import MOST_TILE_PX, Options, check_tiles


class FitMetric(StrEnum):
    """What a fitted threshold makes as high as it can be."""

    BALANCED_ACCURACY = "balanced_accuracy"
    F1 = "f1"


@dataclass(frozen=True)
class EvaluateOptions(Options):
    """What `evaluate` can be told.

    Attributes:
        model: `name` or `name:source`, see `geochg models`.
        model_options: The backend's own options.
        tile_size_px: Side of the square the model sees; larger pictures are cut.
        overlap_px: Overlap of neighbouring tiles.
        changed_share: A tile is changed where more than this share (0 to below 1) of its pixels is.
        fit_threshold: Whether to look for the presence threshold.
        fit_share: Share (0-1) of the pairs on which it is looked for; the scores are those of the
            others.
        fit_metric: What it makes as high as it can be.
        seed: Of the choice of those pairs.
        device: How it runs: see `AnalyzeOptions`.
        batch_size: How it runs: tiles answered in one call; None for the model's choice.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "tile_size_px": (1, MOST_TILE_PX),
        "overlap_px": (0, MOST_TILE_PX),
        "changed_share": (0, 1),
        "fit_share": (0, 1),
        "seed": (0, 2**62),
        "batch_size": (1, 65_536),
    }

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("device", "batch_size")

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    tile_size_px: int = 256
    overlap_px: int = 0
    changed_share: float = 0.0
    fit_threshold: bool = False
    fit_share: float = 0.5
    fit_metric: FitMetric = FitMetric.BALANCED_ACCURACY
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_tiles(self.tile_size_px, self.overlap_px)
        if not 0 <= self.changed_share < 1:
            raise OptionError(f"changed share {self.changed_share}", "it must be from 0 to below 1")
        if not 0 < self.fit_share < 1:
            raise OptionError(f"fit share {self.fit_share}", "it must lie between 0 and 1")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}", "it must not be negative")
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"batch size {self.batch_size}", "it must be above zero")
        super().__post_init__()
