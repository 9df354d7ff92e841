"""Vision part and dense head run by ONNX Runtime; without a change, no words are needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.models.deltavlm.onnx_file import open_session, workers
from geochg.models.deltavlm.sight import (
    SIDE_MULTIPLE_PX,
    HeadFacts,
    Seen,
    Sight,
    batches,
)
from geochg.models.pictures import rgb
from geochg.records import Change, Channel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile

EYES = "eyes.onnx"
"""File of a model folder."""

INPUTS = ("before", "after", "valid")
"""Both dates `(4, 3, height, width)` float32 0-255, and `(4, 1, height, width)` float32 0 or 1."""

DENSE = ("logits", "change_logits", "density", "presence_logits")
"""The fields of `DenseOutput`."""

OUTPUTS = ("tokens_before", "tokens_after", *DENSE, "probability", "presence")
"""Visual tokens, what the dense head says, the fields of `Seen`."""

FACTS = "geochg"
"""Key of the file's metadata under which `HeadFacts` is kept as JSON."""


@dataclass(frozen=True, slots=True)
class OnnxEyes:
    """Runs the exported vision part and dense head; see `Eyes`.

    Attributes:
        session: An `onnxruntime.InferenceSession`.
        head: Of the dense head.
    """

    session: Any
    head: HeadFacts

    @classmethod
    def open(cls, folder: Path, made_from: str) -> OnnxEyes:
        """Loads the exported file of a folder; arguments and errors as `open_session`."""
        session = open_session(folder / EYES, made_from)
        facts = json.loads(session.get_modelmeta().custom_metadata_map[FACTS])
        channels = tuple(Channel(name, Change(how)) for name, how in facts.pop("channels"))
        return cls(session, HeadFacts(channels=channels, **facts))

    def look(self, tiles: Sequence[Tile]) -> Sight:
        """Encodes tiles of one size, each once."""

        def seen(part: Sequence[Tile]) -> list[NDArray[np.float32]]:
            found: list[NDArray[np.float32]] = self.session.run(list(OUTPUTS), _inputs(part))
            return found

        found = workers().map(seen, batches(tiles))
        joined = [np.concatenate(parts)[: len(tiles)] for parts in zip(*found, strict=True)]
        before, after, *dense, probability, presence = joined
        return Sight(before, after, tuple(dense), Seen(probability, presence))


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
