"""The options of the backend `vlm`."""

from dataclasses import dataclass
from enum import StrEnum

from geochg.option_fields import ModelOptions, option
from geochg.options import Dtype, Quantize


class AnswerForm(StrEnum):
    """In which form a model answers."""

    PROBABILITIES = "probabilities"
    LISTS = "lists"
    WORDS = "words"


@dataclass(frozen=True)
class VlmOptions(ModelOptions):
    """The options of `vlm`."""

    revision: str = option("", "Branch, tag or commit of a hub id; empty for the newest.")
    adapter: str = option("", "A PEFT folder to put on the model; empty for none.", is_path=True)
    quantize: Quantize | None = option(None, "Bits of a quantised weight; None for full weights.")
    dtype: Dtype = option(
        Dtype.AUTO, "Number type of the weights; `auto` for half precision on GPUs."
    )
    max_tokens: int = option(128, "Most tokens of an answer.", least=1, greatest=100_000)
    answers: AnswerForm = option(
        AnswerForm.PROBABILITIES,
        "`probabilities` of change for presence and each of the nine cells, and counts as numbers;"
        " `lists` like that, but the cells as one list that can hold nothing but cells; `words` for"
        " all in the model's own words, as models tuned on ChangeChat give them.",
    )
    directions: bool = option(
        True,
        "Whether a further question asks of each change in which of the two images it is; else all"
        " whose direction the answers do not tell are `altered`.",
    )
    presence_threshold: float = option(
        0.5,
        'A tile has changed when "yes" is likelier than this (0-1); of no matter to `words`.',
        least=0,
        greatest=1,
    )
