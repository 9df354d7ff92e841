"""Parts of a model exported for ONNX Runtime: on a CPU twice as fast as torch, and at once.

Importing torch and transformers takes longer than many runs. `export.py` writes the files beside
a model's weights.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.devices import processors
from geochg.safety.untrusted_text import cleaned

MADE_FROM = "geochg_made_from"
"""Key in a file's metadata of the `fingerprint` of the folder it was made from."""

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_PROVIDERS = {"cpu": _CPU, "cuda": _CUDA}
"""ONNX Runtime's execution provider for each kind of device; CUDA's comes with onnxruntime-gpu."""

_LOCATION = re.compile(rb"(?:\x08|\x88\x80*\x00)location")
"""The key under which a tensor names its file, and its length in any of protobuf's spellings."""

_HINT = "make the model folder again, or delete this file to run all with torch"


def open_session(file: Path, made_from: str, device: str = "cpu") -> Any:
    """An `onnxruntime.InferenceSession` of a file that belongs to a model folder.

    Args:
        file: A file that `export.py` wrote.
        made_from: The `fingerprint` of its folder now.
        device: `cpu`, `cuda` or `cuda:1`.

    Raises:
        ModelError: If it is no such file, was made from other weights or settings, or the device
            cannot be used.
    """
    session = start_session(file, device, _HINT)
    noted = session.get_modelmeta().custom_metadata_map
    if MADE_FROM not in noted:
        raise ModelError(f"{file} cannot be loaded: geochg did not make it", _HINT)
    if noted[MADE_FROM] != made_from:
        raise ModelError(f"{file} was made from other weights or another config.json", _HINT)
    return session


def start_session(file: Path, device: str, hint: str) -> Any:
    """An `onnxruntime.InferenceSession` on one thread: several batches run side by side instead.

    Args:
        file: An ONNX file.
        device: `cpu`, `cuda` or `cuda:1`.
        hint: What to do when the file cannot be loaded.

    Raises:
        ModelError: If the file cannot be loaded, or the device cannot be used.
    """
    import onnxruntime

    _refuse_outer_weights(file, hint)
    # For those who loaded ONNX Runtime before geochg, which switches this off in the environment.
    onnxruntime.disable_telemetry_events()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    providers = _providers(device)
    try:
        session = onnxruntime.InferenceSession(file, settings, providers=providers)
    except Exception as error:  # ONNX Runtime's errors share no other base class.
        raise ModelError(f"{file} cannot be loaded: {cleaned(error)}", hint) from error
    # Where CUDA or the device is missing, ONNX Runtime would run all on the CPU.
    if len(providers) > 1 and _CUDA not in session.get_providers():
        raise ModelError(
            f"ONNX Runtime cannot use the device {device!r}",
            "install the CUDA and cuDNN that onnxruntime-gpu asks for, or write --device cpu",
        )
    return session


def _providers(device: str) -> list[Any]:
    """ONNX Runtime's execution providers for a device, the preferred one first."""
    if device == "cpu":
        return [_CPU]
    cuda = {
        "device_id": device.partition(":")[2] or "0",
        # Products of fewer bits would make other outlines than on a CPU.
        "use_tf32": "0",
        # Tiles come in several sizes, and each would be tried out at length.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    return [(_CUDA, cuda), _CPU]


def _refuse_outer_weights(file: Path, hint: str) -> None:
    """Refuses a file whose weights lie in others, which no checksum covers."""
    if not file.stat().st_size:
        return
    with file.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        if _LOCATION.search(content):
            raise ModelError(f"{file} cannot be loaded: its weights lie in another file", hint)


def can_run(folder: Path, names: tuple[str, ...], device: str) -> bool:
    """Whether files are there, and ONNX Runtime can be loaded to run them on a device."""
    kind = device.partition(":")[0]
    if kind not in _PROVIDERS or not all((folder / name).is_file() for name in names):
        return False
    try:
        import onnxruntime
    except ImportError:
        # On Windows also where the C++ runtime it needs is not installed.
        return False
    return _PROVIDERS[kind] in onnxruntime.get_available_providers()


@cache
def workers() -> ThreadPoolExecutor:
    """Threads that run sessions side by side, shared by all models."""
    return ThreadPoolExecutor(processors(), "geochg-onnx")
