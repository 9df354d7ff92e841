"""Where a model runs."""

from __future__ import annotations

from geochg.errors import ModelError


def torch_device(wanted: str) -> str:
    """The torch device for a `--device`.

    Raises:
        ModelError: If it is not there.
    """
    if wanted == "cpu":
        return wanted
    import torch

    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    kind, _, number = wanted.partition(":")
    there = {
        "cuda": torch.cuda.is_available()
        and (not number or (number.isdecimal() and int(number) < torch.cuda.device_count())),
        "mps": mps and not number,
    }
    if not there.get(kind, False):
        raise ModelError(f"there is no device {wanted!r} here", "write --device auto or cpu")
    return wanted
