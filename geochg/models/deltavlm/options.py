"""The options of the backends `deltavlm` and `builtin`."""

from dataclasses import dataclass
from enum import StrEnum

from geochg.option_fields import ModelOptions, option


class Precision(StrEnum):
    """The numbers that vision encoder and dense head run in on a CPU."""

    AUTO = "auto"
    INT8 = "int8"
    FLOAT32 = "float32"


@dataclass(frozen=True)
class DeltaVLMOptions(ModelOptions):
    """The options of `deltavlm`; None takes the value that was calibrated with the model."""

    threshold: float | None = option(
        None, "Least probability (0-1) of a changed pixel.", least=0, greatest=1
    )
    beams: int | None = option(None, "Beams of the language model's search.", least=1, greatest=64)
    max_tokens: int | None = option(None, "Most tokens of an answer.", least=1, greatest=100_000)
    adapter: str = option("", "A PEFT folder to put on the model; empty for none.", is_path=True)
    precision: Precision = option(
        Precision.AUTO,
        "Numbers of the vision part on a CPU: auto takes int8 where the processor is fast with it;"
        " float32 gives the same on every processor.",
    )

    def generation(self) -> dict[str, int]:
        """Generation settings over the defaults saved with the model."""
        settings = {"num_beams": self.beams, "max_new_tokens": self.max_tokens}
        return {name: value for name, value in settings.items() if value is not None}
