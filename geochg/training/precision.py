"""In which precision training is fast."""

from __future__ import annotations

import torch


def fast_bf16() -> bool:
    """Whether bfloat16 is faster here than float32: on GPUs, and CPUs with AVX512-BF16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return "avx512_bf16" in torch.backends.cpu.get_cpu_capability().lower()
