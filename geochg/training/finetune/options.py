"""Options of a fine-tuning run, and the published recipes as presets."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Self

from geochg.errors import OptionError
from geochg.option_fields import Options, option

PRESETS_FILE = "presets.toml"
QUANTIZED = {"": None, "4bit": 4, "8bit": 8}
NOT_QUANTIZED = "none"


class Schedule(StrEnum):
    """The learning rate after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


class Metric(StrEnum):
    """The metric of early stopping, measured on the validation rows; see `metrics`."""

    LOSS = "loss"
    PRESENCE = "presence"
    COUNT = "count"
    LOCATE = "locate"
    EXACT = "exact"
    CIDER_D = "cider_d"
    ROUGE_L_COCO = "rouge_l_coco"
    BLEU_4 = "bleu_4"


@dataclass(frozen=True)
class TuneOptions(Options):
    """Options of a fine-tuning run; the help of each stands with its field.

    A module group is a name that the model's kind knows (`adapters.MODULE_GROUPS`) or a regular
    expression of module names. A batch is what a process computes at once.
    """

    lora: tuple[str, ...] = option(
        ("language",),
        "Module groups that get low-rank adapters: names or regular expressions, with commas.",
    )
    full: tuple[str, ...] = option(
        (),
        "Module groups whose own weights are trained, and no adapters unless they are named too; "
        "a whole model comes out.",
    )
    rank: int = option(16, "Rank of the adapters.", least=1, greatest=65_536)
    alpha: float = option(
        32.0, "Scale of the adapters; their weight is alpha / rank.", least=0, greatest=1e6
    )
    dropout: float = option(
        0.05, "Share of the adapters' inputs that is dropped, 0-1.", least=0, greatest=1
    )
    quantize: str = option(
        "", "Hold frozen weights in 4 bits (NF4) or 8; `none` overrides a preset that does."
    )
    prune: float = option(
        0.0,
        "Share of the language model's weights to cut, 0-1; a whole model comes out.",
        least=0,
        greatest=1,
    )
    epochs: float = option(1.0, "Passes over the rows.", least=0, greatest=1e6)
    steps: int | None = option(None, "Steps, instead of --epochs.", least=1, greatest=10**9)
    batch_size: int = option(8, "Rows at once, in each process.", least=1, greatest=65_536)
    accumulate: int = option(1, "Batches a step.", least=1, greatest=65_536)
    learning_rate: float = option(
        2e-4, "Highest learning rate, after the warm-up.", least=0, greatest=1000
    )
    weight_decay: float = option(0.0, "Weight decay of AdamW.", least=0, greatest=1000)
    warmup: float = option(
        0.03,
        "Steps of the warm-up: a share of all below 1, else their number.",
        least=0,
        greatest=1e9,
    )
    schedule: Schedule = option(Schedule.COSINE, "Learning rate after the warm-up.")
    clip: float = option(1.0, "Largest norm of a gradient; 0 for no limit.", least=0, greatest=1e12)
    samples: int | None = option(
        None,
        "Rows to learn from, evenly from all tasks and from changed and unchanged pairs.",
        least=1,
        greatest=10**12,
        usual="all",
    )
    validation_share: float = option(
        0.1, "Share of the pairs that is held out, 0-1.", least=0, greatest=1
    )
    evaluate_steps: int = option(
        0,
        "Steps between evaluations; 0 for none. The best weights are kept.",
        least=0,
        greatest=10**9,
    )
    metric: Metric = option(Metric.LOSS, "Metric that tells the best weights.")
    patience: int = option(
        0,
        "Evaluations without a better one after which to stop; 0 for never.",
        least=0,
        greatest=10**9,
    )
    save_steps: int = option(200, "Steps between checkpoints.", least=1, greatest=10**9)
    keep: int = option(2, "Checkpoints to keep.", least=1, greatest=10**6, shapes_result=False)
    crop: float = option(
        1.0, "Least share of the side that random crops keep; 1 for no crops.", least=0, greatest=1
    )
    rotate_deg: float = option(
        0.0, "Greatest angle of random rotations, in degrees.", unit="°", least=0, greatest=45
    )
    seeing: float = option(
        1.0,
        "Weight of the dense head's loss, where masks lie beside the pictures.",
        least=0,
        greatest=1e6,
    )
    bf16: bool | None = option(None, "Compute in bfloat16; by default where that is fast.")
    checkpointing: bool = option(False, "Compute activations again to save memory.")
    max_tokens: int = option(
        1024, "Most tokens of a row's text; longer rows lose their end.", least=1, greatest=10**6
    )
    merge: bool = option(False, "Write a whole model, not an adapter.")
    seed: int = option(0, "Seed of all random choices.", least=0, greatest=2**32 - 1)
    processes: int | None = option(
        None,
        "Number of processes that torchrun starts; a dry run reckons with it.",
        least=1,
        greatest=100_000,
        shapes_result=False,
    )
    device: str = option("auto", "auto, cpu, cuda or mps.", shapes_result=False)
    resume: bool = option(
        False, "Go on with a run that was stopped.", shapes_result=False, is_saved=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "learning_rate", "alpha", "crop"):
            self._require(name, getattr(self, name) > 0, "must be above zero")
        for name in ("dropout", "prune", "validation_share"):
            self._require(name, getattr(self, name) < 1, "must be below 1")
        self._require("quantize", self.quantize in QUANTIZED, "must be 4bit, 8bit or empty")
        if not (self.lora or self.full):
            raise OptionError(
                "there is nothing to train", "name module groups with --lora or --full"
            )
        if self.bits and self.full:
            raise OptionError(
                "quantised weights cannot be trained themselves",
                "use --lora instead of --full, or leave out --quantize",
            )
        if self.patience and not self.evaluate_steps:
            raise OptionError("patience is given, but nothing is evaluated", "add --evaluate-steps")

    def _require(self, name: str, is_met: bool, rule: str) -> None:
        if not is_met:
            raise OptionError(f"{name.replace('_', ' ')} {getattr(self, name)}", f"it {rule}")

    @classmethod
    def from_user(cls, values: Mapping[str, Any]) -> Self:
        """As `from_dict`, from values that a user wrote on a command line or in a file.

        With `full` there are no adapters unless `lora` is named too, and `none` stands for no
        quantisation.
        """
        values = dict(values)
        if values.get("full"):
            values.setdefault("lora", ())
        if values.get("quantize") == NOT_QUANTIZED:
            values["quantize"] = ""
        return cls.from_dict(values)

    @property
    def bits(self) -> int | None:
        """Bits of a frozen weight; None where it is not quantised."""
        return QUANTIZED[self.quantize]

    @property
    def gives_adapter(self) -> bool:
        """Whether an adapter comes out; else a whole model, whose own weights changed."""
        return not (self.merge or self.full or self.prune)


def preset(name: str) -> dict[str, Any]:
    """The options of a published recipe, as `TuneOptions.from_dict` takes them.

    Raises:
        OptionError: If there is none of that name.
    """
    known_presets = presets()
    if name not in known_presets:
        raise OptionError(f"there is no preset {name!r}", f"known: {', '.join(known_presets)}")
    return dict(known_presets[name])


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """All presets by name; the file says where their numbers are from."""
    text = files(__package__).joinpath(PRESETS_FILE).read_text(encoding="utf-8")
    return tomllib.loads(text)
