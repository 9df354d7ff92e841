"""Where a model runs."""

from __future__ import annotations

from geochg.errors import ModelError


def devices_here() -> list[dict[str, str]]:
    """Where models can run on this machine, the best first: what `--device` takes, and its name."""
    import torch

    found = [
        {"device": f"cuda:{number}", "name": torch.cuda.get_device_name(number)}
        for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU"})
    return [*found, {"device": "cpu", "name": f"CPU, {torch.get_num_threads()} threads"}]


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
