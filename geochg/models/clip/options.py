"""The options of the backend `clip`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from geochg.errors import OptionError
from geochg.models.clip.scoring import MAX_SCORE
from geochg.option_fields import ModelOptions, option
from geochg.options import Dtype

WHOLE_THRESHOLD = 0.5
"""Usual score above which a whole tile has changed."""


class Look(StrEnum):
    """What of a tile is classified."""

    DENSE = "dense"
    WHOLE = "whole"


@dataclass(frozen=True)
class ClipOptions(ModelOptions):
    """The options of `clip`."""

    class_list: Mapping[str, Any] = option(
        {}, "The classes of --classes or --classes-file, which set it."
    )
    classes: str = option(
        "",
        "As --classes-file, of a file that is `complete`: all kinds of ground that are told apart,"
        " or `thesis` for the 32 bare names of Kömürcü's thesis; empty for those of geochg.",
        is_path=True,
    )
    look: Look = option(
        Look.DENSE,
        "dense classifies patches of windows, which gives outlines; whole classifies each tile and"
        " its nine cells as pictures.",
    )
    threshold: float | None = option(
        None,
        "A place has changed when its probabilities differ by more than this in all, from 0 to"
        " below 2; None to find it in the pair, or 0.5 of whole tiles, where `geochg evaluate"
        " --fit-threshold` finds it.",
        least=0,
        greatest=MAX_SCORE,
    )
    presence_threshold: float = option(
        0.5,
        "Probability of change (0-1) that a changed pixel must reach; `geochg evaluate"
        " --fit-threshold` finds it. Not for whole tiles.",
        least=0,
        greatest=1,
    )
    window_px: int | None = option(
        None,
        "Side of the windows that the encoder is shown, in pixels of the grid; None for half of the"
        " encoder's own side. Not for whole tiles.",
        least=8,
        greatest=100_000,
    )
    templates: tuple[str, ...] = option(
        (
            "a satellite image of {}",
            "an aerial photograph that shows {}",
            "{} as seen from straight above",
        ),
        "Sentences with `{}` in the place of a kind of ground; their embeddings are averaged.",
    )
    revision: str = option("", "Branch, tag or commit of a hub id; empty for the newest.")
    dtype: Dtype = option(Dtype.AUTO, "Number type of the weights; `auto` for `float32`.")

    @property
    def whole_threshold(self) -> float:
        """The threshold of whole tiles."""
        return WHOLE_THRESHOLD if self.threshold is None else self.threshold

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.look is Look.WHOLE and (self.presence_threshold, self.window_px) != (0.5, None):
            raise OptionError(
                "presence_threshold and window_px are for look=dense",
                "leave them out, or look=whole; whole tiles have a threshold",
            )
        if self.threshold == MAX_SCORE:
            raise OptionError(f"threshold {self.threshold}", "it must lie from 0 to below 2")
        if not self.templates:
            raise OptionError("there are no templates", 'write templates = ["a photo of {}"]')
        for template in self.templates:
            if template.count("{}") != 1:
                raise OptionError(
                    f"the template {template!r} has no single place for a class",
                    "write {} there, once",
                )
