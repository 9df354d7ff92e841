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

_LOCATION = re.compile(rb"(?:\x08|\x88\x80*\x00)location")
"""The key under which a tensor names its file, and its length in any of protobuf's spellings."""

_HINT = "make the model folder again, or delete this file to run all with torch"


def open_session(file: Path, made_from: str) -> Any:
    """An `onnxruntime.InferenceSession` on one thread: several batches run side by side instead.

    Args:
        file: A file that `export.py` wrote.
        made_from: The `fingerprint` of its folder now.

    Raises:
        ModelError: If it is no such file, or was made from other weights or settings.
    """
    import onnxruntime

    _refuse_outer_weights(file)
    # For those who loaded ONNX Runtime before geochg, which switches this off in the environment.
    onnxruntime.disable_telemetry_events()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base class.
        raise ModelError(f"{file} cannot be loaded: {cleaned(error)}", _HINT) from error
    noted = session.get_modelmeta().custom_metadata_map
    if MADE_FROM not in noted:
        raise ModelError(f"{file} cannot be loaded: geochg did not make it", _HINT)
    if noted[MADE_FROM] != made_from:
        raise ModelError(f"{file} was made from other weights or another config.json", _HINT)
    return session


def _refuse_outer_weights(file: Path) -> None:
    """Refuses a file whose weights lie in others, which no checksum covers."""
    if not file.stat().st_size:
        return
    with file.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        if _LOCATION.search(content):
            raise ModelError(f"{file} cannot be loaded: its weights lie in another file", _HINT)


def can_run(folder: Path, names: tuple[str, ...], device: str) -> bool:
    """Whether files are there, and ONNX Runtime can be loaded to run them on a device."""
    if device != "cpu" or not all((folder / name).is_file() for name in names):
        return False
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        # On Windows also where the C++ runtime it needs is not installed.
        return False
    return True


@cache
def workers() -> ThreadPoolExecutor:
    """Threads that run sessions side by side, shared by all models."""
    return ThreadPoolExecutor(processors(), "geochg-onnx")
