"""The options of the backend `clip`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geochg.errors import OptionError
from geochg.models.clip.scoring import MAX_SCORE
from geochg.option_fields import ModelOptions, option
from geochg.options import Dtype


@dataclass(frozen=True)
class ClipOptions(ModelOptions):
    """The options of `clip`."""

    class_list: Mapping[str, Any] = option(
        {}, "The classes of --classes or --classes-file, which set it."
    )
    classes: str = option(
        "",
        "As --classes-file, of a file that is `complete`: all kinds of ground that are told apart; "
        "empty for those of geochg.",
        is_path=True,
    )
    threshold: float = option(
        0.5,
        "A place has changed when its probabilities differ by more than this in all, from 0 to"
        " below 2; `geochg evaluate --fit-threshold` finds it.",
        least=0,
        greatest=MAX_SCORE,
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

    def __post_init__(self) -> None:
        super().__post_init__()
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
