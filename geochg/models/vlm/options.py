"""The options of the backend `vlm`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from geochg.errors import OptionError
from geochg.options import Dtype, Options, Quantize


class AnswerForm(StrEnum):
    """In which form a model answers."""

    PROBABILITIES = "probabilities"
    LISTS = "lists"
    WORDS = "words"


@dataclass(frozen=True)
class VlmOptions(Options):
    """The options of `vlm`.

    Attributes:
        revision: Branch, tag or commit of a hub id; empty for the newest.
        adapter: A PEFT folder to put on the model; empty for none.
        quantize: Bits of a quantised weight; None for full weights.
        dtype: Number type of the weights; `auto` for half precision on GPUs.
        max_tokens: Most tokens of an answer.
        answers: `probabilities` of change for presence and each of the nine cells, and counts as
            numbers; `lists` like that, but the cells as one list that can hold nothing but cells;
            `words` for all in the model's own words, as models tuned on ChangeChat give them.
        presence_threshold: A tile has changed when "yes" is likelier than this (0-1); of no matter
            to `words`.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "max_tokens": (1, 100_000),
        "presence_threshold": (0, 1),
    }

    revision: str = ""
    adapter: str = ""
    quantize: Quantize | None = None
    dtype: Dtype = Dtype.AUTO
    max_tokens: int = 128
    answers: AnswerForm = AnswerForm.PROBABILITIES
    presence_threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise OptionError(f"max_tokens {self.max_tokens}", "it must be above zero")
        if not 0 <= self.presence_threshold <= 1:
            raise OptionError(
                f"presence_threshold {self.presence_threshold}", "it must lie between 0 and 1"
            )
        super().__post_init__()
