"""The options of the backends `deltavlm` and `builtin`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from geochg.options import Options


@dataclass(frozen=True)
class DeltaVLMOptions(Options):
    """The options of `deltavlm`; None takes the value that was calibrated with the model.

    Attributes:
        threshold: Least probability (0-1) of a changed pixel.
        beams: Beams of the language model's search.
        max_tokens: Most tokens of an answer.
        adapter: A PEFT folder to put on the model; empty for none.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "threshold": (0, 1),
        "beams": (1, 64),
        "max_tokens": (1, 100_000),
    }

    threshold: float | None = None
    beams: int | None = None
    max_tokens: int | None = None
    adapter: str = ""

    def generation(self) -> dict[str, int]:
        """Generation settings over the defaults saved with the model."""
        given = {"num_beams": self.beams, "max_new_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}
