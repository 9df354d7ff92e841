"""Whether weights can be held in 4 bits on this machine's CPU."""

from functools import cache
from importlib.util import find_spec

import pytest


@cache
def lack() -> str:
    """Why they cannot; empty where they can."""
    if find_spec("bitsandbytes") is None:
        return "bitsandbytes is not installed"
    import torch
    from bitsandbytes import functional

    try:
        packed, state = functional.quantize_4bit(torch.ones(64, 64), quant_type="nf4")
        functional.dequantize_4bit(packed, state)
    # What it raises where a kernel is missing depends on its version.
    except (NotImplementedError, RuntimeError, AttributeError, ValueError) as error:
        return f"bitsandbytes has no kernels for this CPU: {error}"
    return ""


def needs_four_bits() -> None:
    """Skips the test where they cannot."""
    if reason := lack():
        pytest.skip(reason)
