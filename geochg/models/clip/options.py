"""The options of the backend `clip`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from geochg.errors import OptionError
from geochg.models.clip.scoring import MAX_SCORE
from geochg.options import Dtype, Options


@dataclass(frozen=True)
class ClipOptions(Options):
    """The options of `clip`.

    Attributes:
        classes: A TOML file of the kinds of ground; empty for the classes of geochg.
        threshold: A place has changed when its probabilities differ by more than this in all, from
            0 to below 2; `geochg evaluate --fit-threshold` finds it.
        templates: Sentences with `{}` in the place of a kind of ground; their embeddings are
            averaged.
        revision: Branch, tag or commit of a hub id; empty for the newest.
        dtype: Number type of the weights; `auto` for `float32`.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "threshold": (0, MAX_SCORE),
    }

    classes: str = ""
    threshold: float = 0.5
    templates: tuple[str, ...] = (
        "a satellite image of {}",
        "an aerial photograph that shows {}",
        "{} as seen from straight above",
    )
    revision: str = ""
    dtype: Dtype = Dtype.AUTO

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < MAX_SCORE:
            raise OptionError(f"threshold {self.threshold}", "it must lie from 0 to below 2")
        if not self.templates:
            raise OptionError("there are no templates", 'write templates = ["a photo of {}"]')
        for template in self.templates:
            if template.count("{}") != 1:
                raise OptionError(
                    f"the template {template!r} has no single place for a class",
                    "write {} there, once",
                )
        super().__post_init__()
