"""Whether a run fits into memory, told before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geochg.errors import ModelError
from geochg.models.model_files import weight_files
from geochg.training.finetune.base import Base
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.trainable_model import Pupil

_FULL, _HALF = 4.0, 2.0
_PACKED = {4: 0.56, 8: 1.06}
"""Bytes a weight takes once quantised, its scales included."""

_OPTIMIZER = 8
"""Bytes of AdamW's two moments of a parameter."""

_GRADIENT = 4


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run takes, in bytes, without the activations of a batch.

    Attributes:
        weights: All of the network.
        learning: Gradients and optimizer of what is trained.
    """

    weights: int
    learning: int

    @property
    def total(self) -> int:
        """Of both."""
        return self.weights + self.learning


def taken(pupil: Pupil) -> Memory:
    """What an adapted pupil takes."""
    parts = {id(part): part for part in [*pupil.parameters(), *pupil.buffers()]}.values()
    weights = sum(part.numel() * part.element_size() for part in parts)
    learning = sum(part.numel() for part in pupil.trained().values()) * (_GRADIENT + _OPTIMIZER)
    return Memory(weights, learning)


def check_weights(base: Base, options: TuneOptions, device: str) -> None:
    """Refuses a base whose weights alone would not fit.

    Raises:
        ModelError: If memory is too small.
    """
    number = sum(map(_numbers, weight_files(base.folder)))
    each = _FULL if device == "cpu" or options.full else _HALF
    if options.bits is not None:
        each = _PACKED[options.bits]
    _check(round(number * each), device, "the weights of the base alone take", options)


def check_learning(pupil: Pupil, options: TuneOptions, device: str) -> Memory:
    """Refuses a run whose gradients and optimizer would not fit beside the weights.

    Raises:
        ModelError: If memory is too small.
    """
    memory = taken(pupil)
    _check(memory.learning, device, "gradients and optimizer take", options)
    return memory


def available_bytes(device: str) -> int:
    """Free memory of a device."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def gigabytes(size: float) -> str:
    """A size as text."""
    return f"{size / 1e9:.3g} GB"


def _check(needed: int, device: str, what: str, options: TuneOptions) -> None:
    free = available_bytes(device)
    if needed <= free:
        return
    hint = "train fewer parts, with --lora instead of --full" if options.full else "lower --rank"
    if options.bits is None and not options.full:
        hint = "add --quantize 4bit, or use a smaller base"
    raise ModelError(f"{what} {gigabytes(needed)}, but only {gigabytes(free)} are free", hint)


def _numbers(file: Path) -> int:
    """How many numbers a weights file holds, read off its head."""
    from math import prod

    from safetensors import safe_open

    with safe_open(file, "pt") as weights:
        return sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())
