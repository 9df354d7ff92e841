"""Options of a fine-tuning run, and the published recipes as presets."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Self

from geochg.errors import OptionError
from geochg.options import Options

PRESETS_FILE = "presets.toml"
QUANTIZED = {"": None, "8bit": 8, "4bit": 4}
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
    """Options of a fine-tuning run.

    A module group is a name that the model's kind knows (`adapters.MODULE_GROUPS`) or a regular
    expression of module names. A batch is what a process computes at once.

    Attributes:
        lora: Module groups that get low-rank adapters.
        full: Module groups whose own weights are trained.
        rank: Rank of the adapters.
        alpha: Scale of the adapters: their weight is `alpha / rank`.
        dropout: Share (0-1) of an adapter's inputs that is dropped.
        quantize: Precision of frozen weights: `4bit` (NF4, double quantisation), `8bit` or empty.
        prune: Share (0-1) of the language model's weights that is pruned, the smallest first.
        epochs: Passes over the examples.
        steps: Optimizer steps instead of `epochs`; None for as many as `epochs` asks for.
        batch_size: Rows in a batch.
        accumulate: Batches a step.
        learning_rate: Highest learning rate, after the warm-up.
        weight_decay: Weight decay of AdamW.
        warmup: Steps in which the rate rises: a share of all when below one, else their number.
        schedule: Course of the rate after the warm-up.
        clip: Largest norm of a gradient; 0 for any.
        samples: Number of examples learned from, evenly from the tasks and from pairs with and
            without change; None for all.
        validation_share: Share (0-1) of the pairs that is held out; void with own validation rows.
        evaluate_steps: Steps between evaluations; 0 for none.
        metric: Metric that tells the best weights.
        patience: Evaluations without a better metric after which training stops; 0 for never.
        save_steps: Steps between checkpoints.
        keep: Checkpoints to keep.
        crop: Least share (0-1) of a picture's side that a random crop keeps; 1 for no crops.
        rotate_deg: Greatest angle in degrees by which pictures are rotated.
        seeing: Weight of the dense head's loss beside the text's, where the head is trained.
        bf16: Whether to compute in bfloat16; None for where that is fast.
        checkpointing: Whether activations are computed again to save memory.
        max_tokens: Most tokens of a row's text; longer rows lose their end.
        merge: Whether a whole model comes out rather than an adapter.
        seed: Seed of all random choices.
        processes: Processes that are expected under torchrun; None for any.
        device: `auto`, `cpu`, `cuda` or `mps`.
        resume: Whether to go on with an unfinished run.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "rank": (1, 65_536),
        "alpha": (0, 1e6),
        "dropout": (0, 1),
        "prune": (0, 1),
        "epochs": (0, 1e6),
        "steps": (1, 10**9),
        "batch_size": (1, 65_536),
        "accumulate": (1, 65_536),
        "learning_rate": (0, 1000),
        "weight_decay": (0, 1000),
        "warmup": (0, 1e9),
        "clip": (0, 1e12),
        "samples": (1, 10**12),
        "validation_share": (0, 1),
        "evaluate_steps": (0, 10**9),
        "patience": (0, 10**9),
        "save_steps": (1, 10**9),
        "keep": (1, 10**6),
        "crop": (0, 1),
        "rotate_deg": (0, 45),
        "seeing": (0, 1e6),
        "max_tokens": (1, 10**6),
        "seed": (0, 2**32 - 1),
        "processes": (1, 100_000),
    }

    lora: tuple[str, ...] = ("language",)
    full: tuple[str, ...] = ()
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    quantize: str = ""
    prune: float = 0.0
    epochs: float = 1.0
    steps: int | None = None
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    warmup: float = 0.03
    schedule: Schedule = Schedule.COSINE
    clip: float = 1.0
    samples: int | None = None
    validation_share: float = 0.1
    evaluate_steps: int = 0
    metric: Metric = Metric.LOSS
    patience: int = 0
    save_steps: int = 200
    keep: int = 2
    crop: float = 1.0
    rotate_deg: float = 0.0
    seeing: float = 1.0
    bf16: bool | None = None
    checkpointing: bool = False
    max_tokens: int = 1024
    merge: bool = False
    seed: int = 0
    processes: int | None = None
    device: str = "auto"
    resume: bool = False

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("processes", "device", "resume", "keep")
    NOT_SAVED: ClassVar[tuple[str, ...]] = ("resume",)

    def __post_init__(self) -> None:
        for name in ("rank", "batch_size", "accumulate", "save_steps", "keep", "max_tokens"):
            _require(getattr(self, name) >= 1, self, name, "must be above zero")
        for name in ("steps", "samples", "processes"):
            value = getattr(self, name)
            _require(value is None or value >= 1, self, name, "must be above zero")
        for name in ("epochs", "learning_rate", "alpha"):
            value = getattr(self, name)
            _require(0 < value < math.inf, self, name, "must be above zero")
        for name in ("weight_decay", "warmup", "clip", "seeing"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, self, name, "must not be negative")
        for name in ("evaluate_steps", "patience", "seed"):
            _require(getattr(self, name) >= 0, self, name, "must not be negative")
        for name in ("dropout", "prune", "validation_share"):
            value = getattr(self, name)
            _require(0 <= value < 1, self, name, "must be at least 0 and below 1")
        _require(0 < self.crop <= 1, self, "crop", "must be above 0 and at most 1")
        _require(0 <= self.rotate_deg <= 45, self, "rotate_deg", "must lie between 0 and 45")
        _require(self.quantize in QUANTIZED, self, "quantize", "must be 4bit, 8bit or empty")
        if not (self.lora or self.full):
            raise OptionError("there is nothing to train", "name parts with --lora or --full")
        if self.bits and self.full:
            raise OptionError(
                "quantised weights cannot be trained themselves",
                "use --lora instead of --full, or leave out --quantize",
            )
        if self.patience and not self.evaluate_steps:
            raise OptionError("patience without evaluations", "add --evaluate-steps")
        super().__post_init__()

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
    known = presets()
    if name not in known:
        raise OptionError(f"there is no preset {name!r}", f"known: {', '.join(known)}")
    return dict(known[name])


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """All presets by name; the file says where their numbers are from."""
    text = files(__package__).joinpath(PRESETS_FILE).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _require(holds: bool, options: TuneOptions, name: str, rule: str) -> None:
    if not holds:
        raise OptionError(f"{name.replace('_', ' ')} {getattr(options, name)}", f"it {rule}")
