"""The options of the backends `deltavlm` and `builtin`."""

from dataclasses import dataclass

from geochg.option_fields import ModelOptions, option


@dataclass(frozen=True)
class DeltaVLMOptions(ModelOptions):
    """The options of `deltavlm`; None takes the value that was calibrated with the model."""

    threshold: float | None = option(
        None, "Least probability (0-1) of a changed pixel.", least=0, greatest=1
    )
    beams: int | None = option(None, "Beams of the language model's search.", least=1, greatest=64)
    max_tokens: int | None = option(None, "Most tokens of an answer.", least=1, greatest=100_000)
    adapter: str = option("", "A PEFT folder to put on the model; empty for none.", is_path=True)

    def generation(self) -> dict[str, int]:
        """Generation settings over the defaults saved with the model."""
        settings = {"num_beams": self.beams, "max_new_tokens": self.max_tokens}
        return {name: value for name, value in settings.items() if value is not None}
