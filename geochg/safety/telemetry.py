"""Keeps the libraries beneath from telling, or asking, other machines."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SWITCHES = {
    # ONNX Runtime keeps events under an id of the machine in the user's cache, and sends them.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub, and with it transformers, peft and accelerate, reports what is loaded.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # PROJ fetches grids of datums from a server; conda sets this to ON in every environment.
    "PROJ_NETWORK": "OFF",
    # What many other packages ask: https://donottrack.sh
    "DO_NOT_TRACK": "1",
}
"""Environment variables that switch telemetry and unasked requests off, with their values."""


def switch_telemetry_off(environment: MutableMapping[str, str] = os.environ) -> None:
    """Switches it off in this process and those it starts.

    To be called before a library that gathers any is loaded.
    """
    environment.update(SWITCHES)
