"""Settings for weights in 4 or 8 bits (bitsandbytes)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.extras import MissingExtraError

if TYPE_CHECKING:
    import torch
    from torch import nn


def quantised_settings(
    bits: int,
    dtype: torch.dtype,
    device: str,
    skips: Sequence[str],
    *,
    double: bool = False,
) -> dict[str, Any]:
    """Settings of `from_pretrained` for a quantised model.

    Args:
        bits: 4 (NF4) or 8.
        dtype: Number type of the computation.
        device: A torch device.
        skips: Regular expressions of modules that are not quantised, beside the output
            layer; plain names would not match within a model.
        double: Whether the scales of 4-bit weights are quantised too, as QLoRA does.

    Raises:
        ModelError: If the device or a missing package does not allow it.
    """
    if device == "mps":
        raise ModelError("there is no quantisation on mps", "leave out --quantize")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("bitsandbytes", "vlm") from error
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=bits == 4,
        load_in_8bit=bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=[*skips, ".*lm_head"],
    )
    return {"quantization_config": config, "device_map": {"": device}}


def switch_off_repacking(model: nn.Module) -> None:
    """Keeps bitsandbytes from its AVX512-BF16 kernels in every 4-bit layer.

    The weights are repacked for them in the first forward without gradients. Where the kernel is
    not there, every answer then fails; training fails as well, and a later merge is silently wrong.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            part: Any = module
            part.support_avx512bf16_for_cpu = False
