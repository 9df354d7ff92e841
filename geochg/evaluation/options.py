"""Options of `geochg evaluate`, for labelled pairs and for rows of questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from geochg.errors import OptionError
from geochg.options import Options, option
from geochg.records import Task
from geochg.tile_sizes import MOST_TILE_PX, check_tiles


class FitMetric(StrEnum):
    """Metric that a fitted threshold maximises."""

    BALANCED_ACCURACY = "balanced_accuracy"
    F1 = "f1"


@dataclass(frozen=True)
class AskOptions(Options):
    """Options of the model that is asked; the help of each option stands with its field.

    Attributes:
        model: `name` or `name:source`, see `geochg models`.
        model_options: The backend's own options.
        clue: Whether the model describes each tile first, for a clue.
        clue_model: Model that gives the clue, if another.
        clue_options: Its own options.
        prompts: Prompts in the user's own words, by task; see `tasks.prompts`.
    """

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    clue: bool = False
    clue_model: str = ""
    clue_options: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    device: str = option("auto", "Device that the model runs on.", shapes_result=False, commands=())
    batch_size: int | None = option(
        None,
        "Tiles or pairs answered in one call.",
        least=1,
        greatest=65_536,
        usual="the model's choice",
        shapes_result=False,
    )
    exchange: bool = option(
        False,
        "Also exchange the after images among pairs of one size, and tell how many of these the "
        "model calls changed.",
    )
    seed: int = option(
        0,
        "Seed of the choice of the pairs to fit on, and of the exchange.",
        least=0,
        greatest=2**62,
    )

    def wording(self) -> dict[str, Any]:
        """The clues and prompts of the run, those that there are."""
        values = self.to_dict()
        names = ("clue", "clue_model", "clue_options", "prompts")
        return {name: values[name] for name in names if values[name]}


@dataclass(frozen=True)
class ExampleOptions(AskOptions):
    """Options for rows of questions and answers; those of `AskOptions` besides.

    Attributes:
        tasks: Tasks to ask; empty for all that the rows ask.
    """

    tasks: tuple[Task, ...] = ()
    split: str = option(
        "",
        "Rows: only those of this split: train, val, test, or as the rows call it.",
        metavar="NAME",
    )
    skip_unreadable: bool = option(
        False, "Rows: leave out those whose own answer is outside the grammar of its task."
    )


@dataclass(frozen=True)
class EvaluateOptions(AskOptions):
    """Options for labelled pairs; those of `AskOptions` besides."""

    tile_size_px: int = option(
        256,
        "Pairs, kinds: side of the square the model sees, in pixels; larger pictures are cut.",
        unit="px",
        least=1,
        greatest=MOST_TILE_PX,
    )
    overlap_px: int = option(
        0,
        "Pairs, kinds: overlap of neighbouring tiles, in pixels; for kinds as analyze has it.",
        unit="px",
        least=0,
        greatest=MOST_TILE_PX,
    )
    changed_share: float = option(
        0.0,
        "Pairs: a tile is changed where more than this share of its pixels is.",
        least=0,
        greatest=1,
    )
    fit_threshold: bool = option(
        False, "Pairs: find the model's presence threshold on a share of them; score the others."
    )
    fit_share: float = option(
        0.5, "Share of the pairs to fit the threshold on.", least=0, greatest=1
    )
    fit_metric: FitMetric = option(
        FitMetric.BALANCED_ACCURACY, "Metric that the fitted threshold maximises."
    )
    agreement: bool = option(
        False,
        "Pairs: also ask for counts, places and a caption, and tell on how many pairs the answers "
        "agree with each other.",
    )

    def __post_init__(self) -> None:
        check_tiles(self.tile_size_px, self.overlap_px)
        super().__post_init__()
        if self.changed_share == 1:
            raise OptionError("changed share 1", "it must be from 0 to below 1")
        if self.fit_share in (0, 1):
            raise OptionError(f"fit share {self.fit_share}", "it must lie between 0 and 1")
