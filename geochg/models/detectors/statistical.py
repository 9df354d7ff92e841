"""The base of the backends without learning: survey, answers and arithmetic of a tile."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.detectors.difference import LinearDifference, sharp_strength, strength
from geochg.models.detectors.options import StatisticalOptions
from geochg.models.detectors.sample import PixelSample, finite_pixels, sample_pixels
from geochg.models.detectors.sentences import NO_CHANGE, sentence
from geochg.models.detectors.smooth import smoothed
from geochg.models.detectors.spectral import CHANNELS, CoverScores, cover_bands, fit_cover, kinds
from geochg.models.detectors.threshold import Cut, effective_dof, fit_cut, fixed_cut
from geochg.records import (
    Answer,
    Caption,
    Outlines,
    PairFacts,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

DetectorOptionsT = TypeVar("DetectorOptionsT", bound=StatisticalOptions)

MIN_SAMPLE_PIXELS = 64
"""Fewer valid pixels than this in the sample are nothing to learn statistics from."""

MIN_CHANGED_PIXELS = 9
"""A tile is changed when at least this many of its pixels are: one 3x3 object."""

PROBABILITY_CUT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PairStatistics:
    """The results of the survey; fixed for the run.

    Attributes:
        difference: Maps band values to difference layers.
        cut: Maps the strength of the layers to a probability.
        covers: Cover scores before and after; None when the bands cannot tell cover.
    """

    difference: LinearDifference
    cut: Cut
    covers: tuple[CoverScores, CoverScores] | None

    @property
    def channels(self) -> int:
        """Number of `CHANNELS` in use: all, or only the first."""
        return len(CHANNELS) if self.covers else 1


@dataclass(frozen=True, slots=True, eq=False)
class TileChange:
    """The measured change of one tile.

    Attributes:
        probability: `(height, width)` float32 0-1, 0 where not valid.
        kinds: `(height, width)` uint8, index into `CHANNELS`; None when there is one kind only.
        channels: Number of `CHANNELS` in use.
        valid_px: Number of valid pixels.
    """

    probability: NDArray[np.float32]
    kinds: NDArray[np.uint8] | None
    channels: int
    valid_px: int


class StatisticalModel(ChangeModel[DetectorOptionsT]):
    """Base of the backends that learn a linear difference from the pair itself.

    `survey` fits it on a bounded sample (`sample_pixels`); `answer` applies it, averages the
    difference layers over neighbours (`smoothed`: opposite errors on either side of a misaligned
    edge cancel, and outlines hold together), takes their strength, and turns that into a
    probability with the cut found by `fit_cut`. No tile knows of another.
    """

    backend_capabilities = Capabilities(
        tasks=frozenset({Task.CAPTION, Task.PRESENCE, Task.LOCATE}),
        location="mask",
        pixels="values",
        bands="all",
        surveys=True,
        classes=tuple(dict.fromkeys(channel.class_name for channel in CHANNELS)),
    )
    algorithm_version: ClassVar[int]
    """Goes up when the same settings give other answers."""

    def __init__(self, options: DetectorOptionsT) -> None:
        self.options = options
        self.statistics: PairStatistics | None = None

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

    @abstractmethod
    def fit(self, sample: PixelSample) -> LinearDifference:
        """Finds the difference that tells change from noise in the sample.

        Raises:
            ModelError: If the sample does not allow it.
        """

    @abstractmethod
    def floor(self, difference: LinearDifference) -> float:
        """Least strength ever called change, unless the user sets the cut."""

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Fits difference, cut and cover scores on a sample of the pixels.

        Raises:
            ModelError: If there are too few valid pixels, or `fit` cannot work with them.
        """
        pixels = sample_pixels(sample)
        if pixels.pixels < MIN_SAMPLE_PIXELS:
            raise ModelError(
                f"{self.name} found {pixels.pixels} pixels valid at both dates,"
                f" it needs {MIN_SAMPLE_PIXELS}",
                "check nodata values and the area of interest",
            )
        pixels = pixels.without_outliers()
        difference = self.fit(pixels)
        layers = difference.of_pixels(pixels.before, pixels.after)
        strengths = strength(layers)
        if self.options.threshold is None:
            cut = fit_cut(strengths, effective_dof(layers), self.floor(difference))
        else:
            cut = fixed_cut(strengths, self.options.threshold)
        self.statistics = PairStatistics(difference, cut, _covers(facts, pixels))

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        if self.statistics is None:
            raise RuntimeError("survey() comes before answer()")
        return [_tile_answers(self.statistics, tile, questions) for tile in tiles]


def _covers(facts: PairFacts, pixels: PixelSample) -> tuple[CoverScores, CoverScores] | None:
    bands = cover_bands(facts.bands)
    if bands is None:
        return None
    return fit_cover(bands, pixels.before), fit_cover(bands, pixels.after)


def _tile_answers(
    statistics: PairStatistics, tile: Tile, questions: Sequence[Question]
) -> TileAnswers:
    if not _surely_finite(tile):
        bad_px = int(np.count_nonzero(tile.valid & ~finite_pixels(tile)))
        if bad_px:
            return TileFailure(tile.window, f"{bad_px} valid pixels are not finite numbers")
        tile = _without_invalid(tile)
    change = tile_change(statistics, tile)
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


def tile_change(statistics: PairStatistics, tile: Tile) -> TileChange:
    """Measures a tile of finite pixels."""
    valid_px = int(np.count_nonzero(tile.valid))
    if not valid_px:
        return TileChange(
            np.zeros(tile.valid.shape, np.float32), None, statistics.channels, valid_px
        )
    with np.errstate(over="ignore", invalid="ignore"):
        layers = statistics.difference.of_tile(tile.before, tile.after)
        mean_layers = smoothed(layers, tile.valid)
        probability = statistics.cut.probability(sharp_strength(layers, mean_layers))
    if valid_px < tile.valid.size:
        probability *= tile.valid
    return TileChange(probability, _kinds(statistics, tile), statistics.channels, valid_px)


def _kinds(statistics: PairStatistics, tile: Tile) -> NDArray[np.uint8] | None:
    if statistics.covers is None:
        return None
    scores = [
        np.tensordot(cover.weights, date, axes=1)
        for cover, date in zip(statistics.covers, (tile.before, tile.after), strict=True)
    ]
    return kinds(*scores)


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
    counts = np.bincount(kinds_px, minlength=len(CHANNELS))
    shares = {
        channel: int(count) / change.valid_px
        for channel, count in zip(CHANNELS, counts, strict=True)
        if count
    }
    return Caption(sentence(shares), changed=True)


def _outlines(change: TileChange) -> Outlines:
    """Each pixel's probability stands in the layer of its kind and nowhere else."""
    channels = CHANNELS[: change.channels]
    if change.kinds is None:
        layers = np.zeros((len(channels), *change.probability.shape), np.float32)
        layers[0] = change.probability
    else:
        layers = np.empty((len(channels), *change.probability.shape), np.float32)
        for index, layer in enumerate(layers):
            np.multiply(change.probability, change.kinds == index, out=layer)
    return Outlines(channels, layers, PROBABILITY_CUT)
