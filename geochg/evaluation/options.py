"""Options of `geochg evaluate`, for labelled pairs and for rows of questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from geochg.errors import OptionError
from geochg.options import MOST_TILE_PX, Options, check_tiles
from geochg.records import Task


class FitMetric(StrEnum):
    """Metric that a fitted threshold maximises."""

    BALANCED_ACCURACY = "balanced_accuracy"
    F1 = "f1"


@dataclass(frozen=True)
class AskOptions(Options):
    """Options of the model that is asked.

    Attributes:
        model: `name` or `name:source`, see `geochg models`.
        model_options: The backend's own options.
        device: How it runs: see `AnalyzeOptions`.
        batch_size: How it runs: tiles or pairs answered in one call; None for the model's choice.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {"batch_size": (1, 65_536)}
    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("device", "batch_size")

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"batch size {self.batch_size}", "it must be above zero")
        super().__post_init__()


@dataclass(frozen=True)
class ExampleOptions(AskOptions):
    """Options for rows of questions and answers; those of `AskOptions` besides.

    Attributes:
        tasks: Tasks to ask; empty for all that the rows ask.
        split: `train`, `val`, `test` or as the rows call it; empty for all rows, where they are of
            one.
        skip_unreadable: Whether rows whose own answer is outside the grammar are left out.
    """

    tasks: tuple[Task, ...] = ()
    split: str = ""
    skip_unreadable: bool = False


@dataclass(frozen=True)
class EvaluateOptions(AskOptions):
    """Options for labelled pairs; those of `AskOptions` besides.

    Attributes:
        tile_size_px: Side of the square the model sees; larger pictures are cut.
        overlap_px: Overlap of neighbouring tiles.
        changed_share: A tile is changed where more than this share (0 to below 1) of its pixels is.
        fit_threshold: Whether to fit the presence threshold.
        fit_share: Share (0-1) of the pairs on which it is fitted; the scores are those of the
            others.
        fit_metric: Metric that the threshold maximises.
        seed: Seed of the choice of those pairs.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        **AskOptions.BOUNDS,
        "tile_size_px": (1, MOST_TILE_PX),
        "overlap_px": (0, MOST_TILE_PX),
        "changed_share": (0, 1),
        "fit_share": (0, 1),
        "seed": (0, 2**62),
    }

    tile_size_px: int = 256
    overlap_px: int = 0
    changed_share: float = 0.0
    fit_threshold: bool = False
    fit_share: float = 0.5
    fit_metric: FitMetric = FitMetric.BALANCED_ACCURACY
    seed: int = 0

    def __post_init__(self) -> None:
        check_tiles(self.tile_size_px, self.overlap_px)
        super().__post_init__()
        if self.changed_share == 1:
            raise OptionError("changed share 1", "it must be from 0 to below 1")
        if self.fit_share in (0, 1):
            raise OptionError(f"fit share {self.fit_share}", "it must lie between 0 and 1")
