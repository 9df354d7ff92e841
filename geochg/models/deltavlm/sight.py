"""What the vision part sees in tiles, before any question, whatever runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from geochg.records import Change, Channel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
    from geochg.records import Tile

SIDE_MULTIPLE_PX = 32
"""Tiles that are not resized are padded to sides of a multiple of this."""

VISION_BATCH = 4
"""Pairs encoded at once: their feature maps stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What must be known of a dense head to read its output.

    Attributes:
        channels: Class and direction of each.
        stride_px: Image pixels per pixel of the head, along one side.
        min_changed_px: A tile is changed when this many of its pixels are.
        threshold: Least probability (0-1) of a changed pixel, as calibrated.
        presence_threshold: Least presence probability (0-1) of a changed tile, as calibrated.
        resized: Whether tiles were resized for the head; else they were padded.
        no_change_sentence: The caption of a pair in which the head sees no change.
    """

    channels: tuple[Channel, ...]
    stride_px: int
    min_changed_px: int
    threshold: float
    presence_threshold: float
    resized: bool
    no_change_sentence: str

    @classmethod
    def of(cls, dense: DeltaVLMDenseConfig, resized: bool, no_change_sentence: str) -> HeadFacts:
        """The facts of a configuration."""
        return cls(
            tuple(Channel(name, Change(how)) for name, how in dense.channels),
            dense.stride_px,
            dense.min_changed_px,
            dense.threshold,
            dense.presence_threshold,
            resized,
            no_change_sentence,
        )


class Seen(NamedTuple):
    """The dense head's findings.

    Attributes:
        probability: `(tiles, channels, rows, columns)` float32 0-1 on the head's grid.
        presence: `(tiles,)` float32 0-1: that a tile changed at all.
    """

    probability: NDArray[np.float32]
    presence: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What is seen in some tiles; arrays or tensors, as it came.

    Attributes:
        before: Visual tokens, `(tiles, tokens, width)`.
        after: As `before`.
        dense: The fields of `DenseOutput`; None without a head.
        seen: What the dense head found; None without a head.
    """

    before: Any
    after: Any
    dense: tuple[Any, ...] | None
    seen: Seen | None


class Eyes(Protocol):
    """Runs the vision part and the dense head."""

    @property
    def head(self) -> HeadFacts | None:
        """Of the dense head; None without one."""

    def look(self, tiles: Sequence[Tile]) -> Sight:
        """Encodes tiles of one size, each once."""


def batches(tiles: Sequence[Tile]) -> Iterator[Sequence[Tile]]:
    """The tiles in batches that are always as large: the last is filled with its last tile.

    Sums are rounded differently in batches of other sizes, and the same tile must give the same
    whatever its neighbours and however often a run resumed.
    """
    for start in range(0, len(tiles), VISION_BATCH):
        part = tiles[start : start + VISION_BATCH]
        yield [*part, *[part[-1]] * (VISION_BATCH - len(part))]
