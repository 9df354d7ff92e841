"""Opens the weights of a model folder by transformers, and says in a line what is wrong."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import GeochgError, ModelError
from geochg.models.hub import hub_off
from geochg.models.library_logs import quietly
from geochg.models.memory import is_out_of_memory
from geochg.models.model_files import first_line, weight_files
from geochg.models.quantised import switch_off_repacking

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MOST_TIMES, _SLACK = 8, 10_000_000
"""A model may have so many times the stored weights, which 4-bit numbers pack by two, and more."""

MOST_WEIGHT = 1e8
"""Greatest magnitude of a weight: single precision holds nothing else beside a larger one."""


def pretrained(
    model_class: Any,  # noqa: ANN401
    folder: Path,
    hint: str,
    dtype: torch.dtype,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Any, Mapping[str, Any]]:
    """A model of transformers; never runs code that comes with it.

    Args:
        model_class: With a method `from_pretrained`.
        folder: Of the model.
        hint: What to do about one that cannot be opened.
        dtype: Of the weights.
        settings: Further settings of `from_pretrained`, such as `quantised_settings`.

    Returns:
        The model, and which keys were missing, left over or of another shape.

    Raises:
        ModelError: If it cannot be opened, or a weight is no finite number.
    """
    with opening_told(folder, hint), quietly():
        _refuse_outsized(model_class, folder, hint)
        model, found = model_class.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **(settings or {}),
        )
    switch_off_repacking(model)
    if not found["missing_keys"]:
        # The means and spreads of batch norms count; other buffers may hold infinity, as masks do.
        measured = (each for each in model.named_buffers() if "running_" in each[0])
        refuse_rubbish(chain(model.named_parameters(), measured), folder)
    return model, found


def _refuse_outsized(model_class: Any, folder: Path, hint: str) -> None:  # noqa: ANN401
    """Refuses settings of a model that is far larger than the weights beside them.

    transformers would fill what is missing with random numbers, and the memory with them.

    Raises:
        ModelError: Naming both numbers.
    """
    import torch
    from safetensors import safe_open

    config = model_class.config_class.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        described = sum(weight.numel() for weight in model_class(config).parameters())
    stored = 0
    for file in weight_files(folder, hint):
        with safe_open(file, "pt") as opened:
            stored += sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())
    if described > _MOST_TIMES * stored + _SLACK:
        raise ModelError(
            f"the settings in {folder} describe {described:,} weights, but it holds {stored:,}",
            hint,
        )


@contextmanager
def opening_told(folder: Path, hint: str, part: str = "") -> Iterator[None]:
    """Turns what the libraries raise at a folder that makes no sense into one line.

    They cannot ask the hub meanwhile.

    Args:
        folder: Of the model.
        hint: What to do about it.
        part: What is opened, such as `tokenizer`; empty for the model itself.

    Raises:
        ModelError: Whatever goes wrong within the block.
    """
    with hub_off(), failures_told(f"the {part} in {folder}" if part else f"{folder}", hint):
        yield


@contextmanager
def failures_told(named: str, hint: str, done: str = "loaded") -> Iterator[None]:
    """Turns what the libraries raise at a model that makes no sense into one line.

    Args:
        named: What the message calls the model.
        hint: What to do about it.
        done: What cannot be done with it.

    Raises:
        ModelError: Whatever goes wrong within the block.
    """
    try:
        yield
    except GeochgError:
        raise
    except broken_errors() as error:
        raise _refusal(error, named, hint, done) from error


def _refusal(error: Exception, named: str, hint: str, done: str) -> ModelError:
    """What an error of a library means to the user."""
    from safetensors import SafetensorError

    if isinstance(error, SafetensorError):
        return ModelError(f"the weights in {named} are no safetensors file", hint)
    is_full = isinstance(error, RuntimeError) and is_out_of_memory(error)
    if is_full or isinstance(error, MemoryError):
        return ModelError(
            f"there is too little memory for {named}",
            "use a smaller model, another --device or --quantize 4bit",
        )
    if isinstance(error, ImportError):
        hint = 'pip install "geochg[models]", or what is named there'
    return ModelError(f"{named} cannot be {done}: {first_line(error)}", hint)


class FirstUse:
    """Knows which parts of a model have run: until then its settings are to blame for a failure.

    Settings that each make sense may make none together, which shows at the first tile only.

    Args:
        model_id: The model as the user named it.
    """

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id
        self._ran: set[str] = set()

    @contextmanager
    def told(self, part: str = "") -> Iterator[None]:
        """Within the block a failure is told in a line, unless such a block has ended well.

        Args:
            part: Which part of the model runs.

        Raises:
            ModelError: If it fails.
        """
        if part in self._ran:
            yield
            return
        hint = "its files do not go with each other: download or make it again"
        with failures_told(f"the model {self._model_id}", hint, "run"):
            yield
        self._ran.add(part)


def broken_errors() -> tuple[type[Exception], ...]:
    """What transformers, PEFT, jinja and ONNX Runtime raise at files that make no sense."""
    from huggingface_hub.errors import StrictDataclassError
    from jinja2.exceptions import TemplateError
    from safetensors import SafetensorError

    found: tuple[type[Exception], ...] = (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        AssertionError,
        ImportError,
        MemoryError,
        RuntimeError,  # Of torch; a recursion that is too deep is one too.
        re.error,
        SafetensorError,
        StrictDataclassError,
        TemplateError,
        *_onnx_errors(),
    )
    return found


def _onnx_errors() -> Iterator[type[Exception]]:
    """What ONNX Runtime raises, where it is loaded; its errors share no base class."""
    module = sys.modules.get("onnxruntime.capi.onnxruntime_pybind11_state")
    for value in vars(module).values() if module else ():
        if isinstance(value, type) and issubclass(value, Exception):
            yield value


def refuse_rubbish(weights: Iterable[tuple[str, Tensor]], folder: Path) -> None:
    """Refuses weights that are no finite numbers, or so large that nothing can be computed.

    Args:
        weights: With their names.
        folder: Where they come from.

    Raises:
        ModelError: Naming the first.
    """
    import torch

    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for name, weight in weights:
        if weight.dtype not in kinds or weight.is_meta or not weight.numel():
            continue
        least, greatest = (float(each) for each in torch.aminmax(weight.detach()))
        if not (-MOST_WEIGHT <= least and greatest <= MOST_WEIGHT):
            raise ModelError(
                f"{folder} has weights that are no finite numbers, or far too large: {name}",
                "the file is damaged, or its training failed: use another one",
            )
