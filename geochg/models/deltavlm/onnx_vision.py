"""Vision part and dense head run by ONNX Runtime; without a change, no words are needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.models.deltavlm.onnx_file import open_session
from geochg.models.deltavlm.vision_output import (
    DenseArrays,
    EncodedDates,
    HeadFacts,
    VisionOutput,
)
from geochg.records import Change, Channel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geochg.records import Tile

ENCODER, DETECTOR = "encoder.onnx", "detector.onnx"
"""Files of a model folder: from images to tokens and maps, and from maps to the dense head's."""

FACTS = "geochg"
"""Key of the detector's metadata under which `HeadFacts` is kept as JSON."""

PIXELS = "pixels"


def map_names(prefix: str, levels: int) -> tuple[str, ...]:
    """Names of the maps of one date: the colours, then each level."""
    return tuple(f"{prefix}_{place}" for place in range(levels + 1))


@dataclass(frozen=True, slots=True)
class OnnxVision:
    """Runs the exported vision part and dense head; see `VisionRuntime`.

    Attributes:
        encoder: An `onnxruntime.InferenceSession`.
        detector: Likewise.
        head: Of the dense head.
    """

    encoder: Any
    detector: Any
    head: HeadFacts

    @classmethod
    def open(cls, folder: Path, made_from: str) -> OnnxVision:
        """Loads the exported files of a folder; arguments and errors as `open_session`."""
        encoder = open_session(folder / ENCODER, made_from)
        detector = open_session(folder / DETECTOR, made_from)
        facts = json.loads(detector.get_modelmeta().custom_metadata_map[FACTS])
        channels = tuple(Channel(name, Change(how)) for name, how in facts.pop("channels"))
        tuples: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in facts.items()
        }
        return cls(encoder, detector, HeadFacts(channels=channels, **tuples))

    def encode(self, pixels: NDArray[np.float32]) -> EncodedDates:
        """Encodes images of one date; see `VisionRuntime.encode`."""
        tokens, *maps = self.encoder.run(None, {PIXELS: pixels})
        return EncodedDates(tokens, maps)

    def detect(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> DenseArrays:
        """What the dense head says of pairs; see `VisionRuntime.detect`."""
        levels = len(self.head.level_channels)
        inputs = {
            **dict(zip(map_names("before", levels), before, strict=True)),
            **dict(zip(map_names("after", levels), after, strict=True)),
            "scene": scene,
        }
        return DenseArrays(*self.detector.run(list(DenseArrays._fields), inputs))

    def tokens(self, tiles: Sequence[Tile]) -> VisionOutput:
        """Exported models have a dense head."""
        raise ValueError("an exported model has a dense head")
