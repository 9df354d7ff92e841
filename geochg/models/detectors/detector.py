"""The base of the models without weights: what they measure of a tile, and their answers."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.base import ChangeModel, ModelIdentity
from geochg.models.detectors.options import StatisticalOptions
from geochg.models.detectors.sample import finite_pixels
from geochg.models.detectors.sentences import NO_CHANGE, sentence
from geochg.records import (
    Answer,
    Caption,
    Channel,
    Outlines,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

DetectorOptionsT = TypeVar("DetectorOptionsT", bound=StatisticalOptions)

MIN_CHANGED_PIXELS = 9
"""A tile is changed when at least this many of its pixels are: one 3x3 object."""

PROBABILITY_CUT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class TileChange:
    """The measured change of one tile.

    Attributes:
        probability: `(height, width)` float32 0-1, 0 where not valid.
        kinds: `(height, width)` uint8, index into `channels`; None when there is one kind only.
        channels: The kinds of change that are told apart.
        valid_px: Number of valid pixels.
    """

    probability: NDArray[np.float32]
    kinds: NDArray[np.uint8] | None
    channels: tuple[Channel, ...]
    valid_px: int


class WeightlessModel(ChangeModel[DetectorOptionsT]):
    """A model that needs no weights and measures the change of each pixel of a surveyed pair."""

    algorithm_version: ClassVar[int]
    """Goes up when the same settings give other answers."""

    def __init__(self, options: DetectorOptionsT) -> None:
        self.options = options

    @classmethod
    def load(cls, source: str, options: DetectorOptionsT, device: str) -> Self:
        """Makes the model ready; see `ChangeModel.load`.

        Raises:
            ModelError: If a source or a device other than the processor is named.
        """
        if source:
            raise ModelError(
                f"{cls.name} takes no source, but {source!r} was given", f"write --model {cls.name}"
            )
        if device not in ("auto", "cpu"):
            raise ModelError(f"{cls.name} does not run on {device!r}", "write --device cpu")
        return cls(options)

    @property
    def identity(self) -> ModelIdentity:
        """The name, and the checksum of the settings and the algorithm's version."""
        settings = {
            "model": self.name,
            "algorithm_version": self.algorithm_version,
            "options": self.options.to_dict(),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        return ModelIdentity(self.name, f"sha256:{digest}")

    @property
    @abstractmethod
    def is_surveyed(self) -> bool:
        """Whether the pair was surveyed."""

    @abstractmethod
    def measure(self, tile: Tile) -> TileChange:
        """Measures a tile whose valid pixels are finite; the others are 0."""

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        if not self.is_surveyed:
            raise RuntimeError("survey() comes before answer()")
        return [self._tile_answers(tile, questions) for tile in tiles]

    def _tile_answers(self, tile: Tile, questions: Sequence[Question]) -> TileAnswers:
        if not _surely_finite(tile):
            bad_px = int(np.count_nonzero(tile.valid & ~finite_pixels(tile)))
            if bad_px:
                return TileFailure(tile.window, f"{bad_px} valid pixels are not finite numbers")
            tile = _without_invalid(tile)
        change = self.measure(tile)
        if not np.isfinite(change.probability.sum()):
            return TileFailure(
                tile.window, "pixel values too large to compute with, undeclared nodata?"
            )
        return [_answer(change, question) for question in questions]


def _surely_finite(tile: Tile) -> bool:
    """A fast first look: the sum is finite unless a pixel is not, or values are absurdly large."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(tile.before.sum()) and np.isfinite(tile.after.sum()))


def _without_invalid(tile: Tile) -> Tile:
    """The tile with its invalid pixels at 0."""
    before = np.where(tile.valid, tile.before, np.float32(0))
    after = np.where(tile.valid, tile.after, np.float32(0))
    return Tile(tile.window, (before, after), tile.valid)


def _answer(change: TileChange, question: Question) -> Answer:
    match question.task:
        case Task.PRESENCE:
            return _presence(change)
        case Task.CAPTION:
            return _caption(change)
        case Task.LOCATE:
            return _outlines(change)
        case other:
            raise ValueError(f"{other} is not among the tasks of this backend")


def _presence(change: TileChange) -> Presence:
    """Probability of the weakest of the `MIN_CHANGED_PIXELS` strongest pixels."""
    flat = change.probability.ravel()
    rank = max(flat.size - MIN_CHANGED_PIXELS, 0)
    probability = float(np.partition(flat, rank)[rank])
    return Presence(probability >= PROBABILITY_CUT, probability)


def _caption(change: TileChange) -> Caption:
    changed_px = change.probability >= PROBABILITY_CUT
    if np.count_nonzero(changed_px) < min(MIN_CHANGED_PIXELS, changed_px.size):
        return Caption(NO_CHANGE, changed=False)
    kinds_px = (
        np.zeros(np.count_nonzero(changed_px), np.uint8)
        if change.kinds is None
        else change.kinds[changed_px]
    )
    counts = np.bincount(kinds_px, minlength=len(change.channels))
    shares = {
        channel: int(count) / change.valid_px
        for channel, count in zip(change.channels, counts, strict=True)
        if count
    }
    return Caption(sentence(shares), changed=True)


def _outlines(change: TileChange) -> Outlines:
    """Each pixel's probability stands in the layer of its kind and nowhere else."""
    channels = change.channels
    if change.kinds is None:
        layers = np.zeros((len(channels), *change.probability.shape), np.float32)
        layers[0] = change.probability
    else:
        layers = np.empty((len(channels), *change.probability.shape), np.float32)
        for index, layer in enumerate(layers):
            np.multiply(change.probability, change.kinds == index, out=layer)
    return Outlines(channels, layers, PROBABILITY_CUT)
