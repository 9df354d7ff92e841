"""How a compact model is made; without torch, so that the command can tell the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from geochg.options import Options


@dataclass(frozen=True)
class CompactOptions(Options):
    """How a compact model is made; for one like the one that ships unless told otherwise.

    Attributes:
        real_dir: Folder of labelled imagery, see docs/training.md.
        frozen_steps: Batches of the first pass of the vision stage, with the encoder as it came.
        opened_steps: Batches of the second pass, with the deep half of the encoder open.
        batch_size: Pairs in a batch of the vision stage.
        pairs: Pairs that the language stage learns from.
        language_steps: Batches of the language stage.
        vocabulary: Tokens of the tokenizer.
        start: A model folder whose vision part and dense head the first pass starts from.
        workers: How it runs: processes that make pairs.
    """

    real_dir: str = ""
    frozen_steps: int = 1000
    opened_steps: int = 300
    batch_size: int = 8
    pairs: int = 4000
    language_steps: int = 300
    vocabulary: int = 2000
    start: str | None = None
    workers: int = 1

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "frozen_steps": (1, 10**9),
        "opened_steps": (1, 10**9),
        "batch_size": (1, 65_536),
        "pairs": (1, 10**9),
        "language_steps": (1, 10**9),
        "vocabulary": (1, 10**6),
        "workers": (0, 1_024),
    }
    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("workers",)
