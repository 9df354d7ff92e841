"""The devices that models run on."""

import os
from importlib import import_module

from geochg.errors import ModelError
from geochg.extras import is_installed

DOT_PRODUCTS = ("AVX512VNNI", "AVX512_CLX", "AVX512_ICL", "ASIMDDP")
"""NumPy's names, old and new, for processors that add up products of bytes in one instruction."""

_limits: list[int] = []


def devices_here() -> list[dict[str, str]]:
    """The devices of this machine, the best first: the value for `--device`, and a name."""
    if not is_installed("torch"):
        return [{"device": "cpu", "name": f"CPU, {processors()} threads"}]
    import torch

    devices = [
        {"device": f"cuda:{number}", "name": torch.cuda.get_device_name(number)}
        for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": "Apple GPU"})
    return [*devices, {"device": "cpu", "name": f"CPU, {torch.get_num_threads()} threads"}]


def processors() -> int:
    """Number of processors this process may use, which can be fewer than the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)
    count = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min([count, *_limits])


def limit_processors(count: int) -> None:
    """Leaves some of the processors to other processes that work beside this one.

    To be called before a model is loaded.

    Args:
        count: Number of processors that this process shall use at most.
    """
    _limits[:] = [count]


def int8_is_fast() -> bool:
    """Whether this processor has `DOT_PRODUCTS`; others add up bytes slower, or lose bits."""
    try:
        # NumPy asks the processor already; it has no public name for what it was told.
        features = import_module("numpy._core._multiarray_umath").__cpu_features__
    except (ImportError, AttributeError):
        return False
    return any(features.get(name, False) for name in DOT_PRODUCTS)


def torch_device(device_name: str) -> str:
    """The torch device for a `--device`.

    Raises:
        ModelError: If this machine does not have it.
    """
    if device_name == "cpu":
        return device_name
    import torch

    mps = torch.backends.mps.is_available()
    if device_name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    kind, _, number = device_name.partition(":")
    available = {
        "cuda": torch.cuda.is_available()
        and (not number or (number.isdecimal() and int(number) < torch.cuda.device_count())),
        "mps": mps and not number,
    }
    if not available.get(kind, False):
        raise ModelError(
            f"this machine has no device {device_name!r}", "write --device auto or cpu"
        )
    return device_name
