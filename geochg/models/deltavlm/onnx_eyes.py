"""Vision part and dense head run by ONNX Runtime: on a CPU twice as fast as torch, and at once.

Importing torch and transformers takes longer than many runs; without a change to put into words
they are not needed. `export` (in `export.py`) writes the file beside a model's weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import ModelError
from geochg.models.deltavlm.sight import (
    SIDE_MULTIPLE_PX,
    HeadFacts,
    Seen,
    Sight,
    batches,
    rgb,
)
from geochg.records import Change, Channel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile

EYES = "eyes.onnx"
"""File of a model folder."""

INPUTS = ("before", "after", "valid")
"""Both dates `(4, 3, height, width)` float32 0-255, and `(4, 1, height, width)` float32 0 or 1."""

_HINT = "make the model folder again, or delete this file to run all with torch"

OUTPUTS = (
    "tokens_before",
    "tokens_after",
    "logits",
    "change_logits",
    "density",
    "presence_logits",
    "probability",
    "presence",
)
"""Visual tokens, the fields of `DenseOutput`, the fields of `Seen`."""

FACTS = "geochg"
"""Key of the file's metadata under which `HeadFacts` is kept as JSON."""

MADE_FROM = "geochg_made_from"
"""Key of the `fingerprint` of the folder the file was made from."""


@dataclass(frozen=True, slots=True)
class OnnxEyes:
    """Runs the exported vision part and dense head; see `Eyes`.

    Attributes:
        session: An `onnxruntime.InferenceSession`.
        head: Of the dense head.
        pool: Runs batches side by side.
    """

    session: Any
    head: HeadFacts
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_processors()))

    @classmethod
    def open(cls, file: Path, made_from: str) -> OnnxEyes:
        """Loads an exported file.

        Args:
            file: That `export_eyes` wrote.
            made_from: The `fingerprint` of the folder now.

        Raises:
            ModelError: If it is no such file, or was made from other weights or settings.
        """
        import onnxruntime

        try:
            session = onnxruntime.InferenceSession(
                file, _settings(), providers=["CPUExecutionProvider"]
            )
            noted = session.get_modelmeta().custom_metadata_map
        except Exception as error:  # ONNX Runtime's errors share no other base class.
            reason = (str(error).splitlines() or [""])[0]
            raise ModelError(f"{file} cannot be loaded: {reason}", _HINT) from error
        if FACTS not in noted:
            raise ModelError(f"{file} cannot be loaded: geochg did not make it", _HINT)
        if noted.get(MADE_FROM) != made_from:
            raise ModelError(f"{file} was made from other weights or another config.json", _HINT)
        facts = json.loads(noted[FACTS])
        channels = tuple(Channel(name, Change(how)) for name, how in facts.pop("channels"))
        return cls(session, HeadFacts(channels=channels, **facts))

    def look(self, tiles: Sequence[Tile]) -> Sight:
        """Encodes tiles of one size, each once."""

        def seen(part: Sequence[Tile]) -> list[NDArray[np.float32]]:
            found: list[NDArray[np.float32]] = self.session.run(list(OUTPUTS), _inputs(part))
            return found

        found = self.pool.map(seen, batches(tiles))
        joined = [np.concatenate(parts)[: len(tiles)] for parts in zip(*found, strict=True)]
        before, after, *dense, probability, presence = joined
        return Sight(before, after, tuple(dense), Seen(probability, presence))


def _settings() -> Any:  # noqa: ANN401
    """One thread a batch: several batches at once are faster than one by several threads."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return settings


def can_run(folder: Path, device: str) -> bool:
    """Whether a folder's eyes are exported, and ONNX Runtime can be loaded to run them."""
    if device != "cpu" or not (folder / EYES).is_file():
        return False
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        # On Windows also where the C++ runtime it needs is not installed.
        return False
    return True


def _processors() -> int | None:
    """Those this process may use, which can be fewer than the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count()


def _inputs(tiles: Sequence[Tile]) -> dict[str, NDArray[np.float32]]:
    before, after = (
        np.stack([rgb(getattr(tile, date)) for tile in tiles]) for date in ("before", "after")
    )
    valid = np.stack([tile.valid for tile in tiles])[:, None]
    return dict(zip(INPUTS, map(_padded, (before, after, valid)), strict=True))


def _padded(values: NDArray[Any]) -> NDArray[np.float32]:
    """Padded with zeros at the bottom and the right; what is not valid does not count."""
    down, across = (-size % SIDE_MULTIPLE_PX for size in values.shape[-2:])
    if down or across:
        values = np.pad(values, ((0, 0), (0, 0), (0, down), (0, across)))
    return values.astype(np.float32)
