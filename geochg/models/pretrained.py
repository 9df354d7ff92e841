"""Opens the weights of a model folder by transformers, and says in a line what is wrong."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.errors import GeochgError, ModelError
from geochg.extras import missing_extra
from geochg.models.library_guards import hub_offline, quiet_libraries
from geochg.models.memory import is_out_of_memory
from geochg.models.model_files import first_line, tensor_shapes, weight_files
from geochg.models.quantised import switch_off_repacking

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MOST_TIMES, _SLACK = 8, 10_000_000
"""A model may have so many times the stored weights, which 4-bit numbers pack by two, and so many
more."""

_MISFITS = {
    "has no weight": "missing_keys",
    "has a weight that is not of this model,": "unexpected_keys",
    "has another shape of": "mismatched_keys",
}
"""Problems of weights, and the entries of transformers' loading report that list them."""

_LIBRARY_ERRORS = {
    "huggingface_hub.errors": "StrictDataclassError",
    "jinja2.exceptions": "TemplateError",
    "safetensors": "SafetensorError",
}

_TRIAL_TEXT = "What has changed?"

MOST_WEIGHT = 1e8
"""Greatest magnitude of a weight: single precision holds nothing else beside a larger one."""


def open_pretrained(
    model_class: Any,
    folder: Path,
    hint: str,
    dtype: torch.dtype,
    settings: Mapping[str, Any] | None = None,
    *,
    is_exact: bool = False,
) -> Any:
    """A model of transformers; never runs code that comes with it.

    Args:
        model_class: A class with a method `from_pretrained`.
        folder: The model's folder.
        hint: Advice for the user where the folder cannot be opened.
        dtype: Number type of the weights.
        settings: Further settings of `from_pretrained`, such as `quantised_settings`.
        is_exact: Whether weights that are left over or of another shape are refused too.

    Raises:
        ModelError: If the model cannot be opened, or a weight is missing or no finite number.
    """
    with loading_errors(folder, hint), quiet_libraries():
        _refuse_outsized(model_class, folder, hint)
        model, loading_info = model_class.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=is_exact,
            **(settings or {}),
        )
    refuse_misfits(str(folder), loading_info, hint, is_exact=is_exact)
    switch_off_repacking(model)
    # The means and spreads of batch norms count; other buffers may hold infinity, as masks do.
    measured = (item for item in model.named_buffers() if "running_" in item[0])
    refuse_broken_weights(chain(model.named_parameters(), measured), folder)
    return model


def open_part(
    part: str, folder: Path, from_pretrained: Callable[..., Any], hint: str, **settings: Any
) -> Any:
    """A tokenizer or an image processor of a model folder; never runs code that comes with it.

    Args:
        part: Name of the part in messages, such as `tokenizer`.
        folder: The folder that holds its files.
        from_pretrained: The method of transformers that opens it.
        hint: Advice for the user where it cannot be opened.
        **settings: Further arguments of `from_pretrained`.

    Raises:
        ModelError: If it cannot be opened.
    """
    with loading_errors(folder, hint, part):
        return from_pretrained(folder, local_files_only=True, trust_remote_code=False, **settings)


def check_tokenizer(tokenizer: Any, needed: Sequence[str] = ("pad_token",)) -> None:
    """Tries a tokenizer on a text, since some settings fail there only.

    Args:
        tokenizer: A tokenizer of transformers.
        needed: Names of the special tokens that it must have.

    Raises:
        ValueError: If it knows nothing of the text, or lacks a special token.
    """
    if set(tokenizer(_TRIAL_TEXT)["input_ids"]) <= set(tokenizer.all_special_ids):
        raise ValueError("it makes no tokens of a text")
    for name in needed:
        if getattr(tokenizer, name) is None:
            raise ValueError(f"it has no {name}")


def refuse_misfits(
    model_name: str, loading_info: Mapping[str, Iterable[Any]], hint: str, *, is_exact: bool = True
) -> None:
    """Refuses weights that transformers would make up or leave out.

    Args:
        model_name: The model in messages.
        loading_info: The keys that `from_pretrained` reports.
        hint: Advice for the user.
        is_exact: Whether weights that are left over or of another shape are refused too.

    Raises:
        ModelError: Naming the first key.
    """
    for problem, name in _MISFITS.items() if is_exact else [*_MISFITS.items()][:1]:
        # Weights of another shape come with both shapes.
        keys = sorted(str(key[0] if isinstance(key, tuple) else key) for key in loading_info[name])
        if keys:
            rest = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise ModelError(f"{model_name} {problem} {keys[0]!r}{rest}", hint)


def _refuse_outsized(model_class: Any, folder: Path, hint: str) -> None:
    """Refuses settings of a model that is far larger than the weights beside them.

    transformers would fill what is missing with random numbers, and the memory with them.
    """
    import torch

    config = model_class.config_class.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        described = sum(weight.numel() for weight in model_class(config).parameters())
    files = weight_files(folder, hint)
    number = sum(math.prod(shape) for file in files for shape in tensor_shapes(file).values())
    if described > _MOST_TIMES * number + _SLACK:
        raise ModelError(
            f"the settings in {folder} describe {described:,} weights, but it holds {number:,}",
            hint,
        )


@contextmanager
def loading_errors(folder: Path, hint: str, part: str = "") -> Iterator[None]:
    """Does as `model_errors` for a folder that is opened; libraries cannot ask the hub meanwhile.

    Args:
        folder: The model's folder.
        hint: Advice for the user.
        part: The part that is opened, such as `tokenizer`; empty for the model itself.

    Raises:
        ModelError: Whatever goes wrong within the block.
    """
    with hub_offline(), model_errors(f"the {part} in {folder}" if part else f"{folder}", hint):
        yield


@contextmanager
def model_errors(model_name: str, hint: str, action: str = "loaded") -> Iterator[None]:
    """Turns what the libraries raise at a model that makes no sense into one line.

    Args:
        model_name: The model in messages.
        hint: Advice for the user.
        action: The participle of what fails: the model cannot be "loaded" or "run".

    Raises:
        ModelError: Whatever goes wrong within the block.
    """
    try:
        yield
    except GeochgError:
        raise
    except Exception as error:
        # tokenizers raises nothing more exact than `Exception`.
        if type(error) is not Exception and not isinstance(error, broken_errors()):
            raise
        raise _model_error(error, model_name, hint, action) from error


def _model_error(error: Exception, model_name: str, hint: str, action: str) -> ModelError:
    """The error of a library in the user's terms."""
    if missing := missing_extra(error):
        return missing
    if type(error).__name__ == "SafetensorError":
        return ModelError(f"the weights in {model_name} are no safetensors file", hint)
    is_full = isinstance(error, RuntimeError) and is_out_of_memory(error)
    if is_full or isinstance(error, MemoryError):
        return ModelError(
            f"there is too little memory for {model_name}",
            "use a smaller model, another --device or --quantize 4bit",
        )
    if isinstance(error, ImportError):
        hint = "install the package that is named"
    return ModelError(f"{model_name} cannot be {action}: {first_line(error)}", hint)


class FirstUse:
    """Knows which parts of a model have run: until then its settings are to blame for a failure.

    Settings may be sensible one by one and fail together, which shows at the first tile only.

    Args:
        model_id: The model as the user named it.
    """

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id
        self._ran: set[str] = set()

    @contextmanager
    def guard(self, part: str = "") -> Iterator[None]:
        """Turns a failure of the block into one line, unless the part has run well before.

        Raises:
            ModelError: If the part fails at its first use.
        """
        if part in self._ran:
            yield
            return
        hint = "its files do not fit each other: download or make it again"
        with model_errors(f"the model {self._model_id}", hint, "run"):
            yield
        self._ran.add(part)


def broken_errors() -> tuple[type[Exception], ...]:
    """The errors that transformers, PEFT, jinja and ONNX Runtime raise at broken files."""
    return (
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
        *_library_errors(),
        *_onnx_errors(),
    )


def _library_errors() -> Iterator[type[Exception]]:
    """The errors of libraries that are loaded: what is not can have raised nothing."""
    for module_name, error_name in _LIBRARY_ERRORS.items():
        if module := sys.modules.get(module_name):
            yield getattr(module, error_name)


def _onnx_errors() -> Iterator[type[Exception]]:
    """The errors of ONNX Runtime, where it is loaded; they share no base class."""
    module = sys.modules.get("onnxruntime.capi.onnxruntime_pybind11_state")
    for value in vars(module).values() if module else ():
        if isinstance(value, type) and issubclass(value, Exception):
            yield value


def refuse_broken_weights(weights: Iterable[tuple[str, Tensor]], folder: Path) -> None:
    """Refuses weights that are no finite numbers, or so large that nothing can be computed.

    Args:
        weights: Names and tensors.
        folder: The folder that they come from.

    Raises:
        ModelError: Naming the first broken weight.
    """
    import torch

    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for name, weight in weights:
        if weight.dtype not in kinds or weight.is_meta or not weight.numel():
            continue
        least, greatest = (float(extreme) for extreme in torch.aminmax(weight.detach()))
        if not (-MOST_WEIGHT <= least and greatest <= MOST_WEIGHT):
            raise ModelError(
                f"{folder} has weights that are no finite numbers, or far too large: {name}",
                "the file is damaged, or its training failed: use another one",
            )
