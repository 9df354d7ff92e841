"""The land cover of single dates: each is encoded once, and stands for both dates of a pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import local

import numpy as np
from numpy.typing import NDArray

from geochg.models.date_cover import CoverLogits, DateCover
from geochg.models.deltavlm.detector import ColorRange, Detector, Scene, resample, zoom_at
from geochg.models.deltavlm.postprocessing import OutlineMaker
from geochg.models.deltavlm.runtime.onnx_file import workers
from geochg.models.deltavlm.runtime.vision_output import (
    NOT_SEEN_SHARE,
    DenseArrays,
    EncodedDates,
    HeadFacts,
    VisionOutput,
    VisionRunner,
    softmax,
)
from geochg.models.deltavlm.views import HALF
from geochg.records import PairFacts, Tile


def date_covers(
    detector: Detector, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
) -> Iterator[DateCover]:
    """The land cover of tiles of one image; see `LandCoverModel.date_covers`.

    Args:
        detector: The vision encoder with its dense head.
        facts: Facts that hold for every tile.
        sample: Tiles by whose colours all are stretched.
        tiles: The tiles.
    """
    single, scene = _single_date(detector, facts, sample)
    maker = OutlineMaker(detector.head, scene)
    for tile in tiles:
        ranges = None if tile.display_ranges is None else tile.display_ranges * 2
        pair = replace(tile, dates=tile.dates * 2, display_ranges=ranges)
        output = single.detect([pair], scene, needs_tokens=False)
        (prediction,) = maker.small_predictions(output, [pair])
        outlines = maker.outlines(prediction, pair)
        covers, hidden = outlines.covers(), outlines.not_seen
        assert covers is not None
        assert hidden is not None
        yield DateCover(covers.before, hidden)


def cover_logits(
    detector: Detector, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
) -> Iterator[CoverLogits]:
    """The logits of land covers of tiles of one image; arguments as `date_covers`."""
    single, scene = _single_date(detector, facts, sample)
    pending: list[Tile] = []
    for tile in tiles:
        pending.append(replace(tile, dates=tile.dates * 2, display_ranges=None))
        if len(pending) == _TILES_AT_ONCE:
            yield from workers().map(lambda pair: single.cover_logits(pair, scene), pending)
            pending = []
    yield from workers().map(lambda pair: single.cover_logits(pair, scene), pending)


@dataclass(frozen=True, eq=False)
class _DateDetector(Detector):
    """A detector that encodes two equal dates once."""

    def cover_logits(self, tile: Tile, scene: Scene) -> CoverLogits:
        """The logits of land covers of a tile, and the finer maps of its encoder."""
        encodings = [self._encodings([tile], scene, half=half)[0] for half in (False, True)]
        full, half = (
            self._dense((date, date), vector).before_logits[0]
            for date, vector in zip(encodings, scene.vectors, strict=True)
        )
        cell_px = round(self.head.stride_px / scene.zoom)
        rows, cols = (math.ceil(side / cell_px) for side in tile.valid.shape)
        wide = resample(half, *(round(side / HALF) for side in half.shape[-2:]))
        logits = np.concatenate([full[:, :rows, :cols], wide[:, :rows, :cols]])
        levels = [encodings[0].maps[level][0] for level in _FEATURE_LEVELS]
        features = np.concatenate([resample(level, *full.shape[-2:]) for level in levels])
        hidden = softmax(logits[: len(full)])[-1] > NOT_SEEN_SHARE
        return CoverLogits(logits, features[:, :rows, :cols], hidden, cell_px)


_FEATURE_LEVELS = (1, 2)
"""Levels of the encoder's maps behind the colours: coarser ones blur what lies side by side."""


def _single_date(
    detector: Detector, facts: PairFacts, sample: Sequence[Tile]
) -> tuple[_DateDetector, Scene]:
    """The detector that encodes each date once, and the scene of one image."""
    infrared = facts.bands.index("nir") if "nir" in facts.bands else None
    resolution_m = math.sqrt(facts.pixel_area_m2) if facts.pixel_area_m2 > 0 else None
    colors = ColorRange.of_images([(tile.before, tile.valid) for tile in sample])
    # Land covers follow from the features of a date alone; statistics of a pair are for change.
    vector = np.ones(detector.head.layout.size, np.float32)
    scene = Scene((colors, colors), zoom_at(resolution_m), infrared, resolution_m, (vector, vector))
    return _DateDetector(RepeatedDates(detector.runner), detector.head), scene


_TILES_AT_ONCE = 8


@dataclass(frozen=True)
class RepeatedDates:
    """A vision runner that encodes two equal dates, one after the other, once.

    Attributes:
        runner: The runner that does the work.
    """

    runner: VisionRunner
    _last: local = field(default_factory=local)

    @property
    def head(self) -> HeadFacts | None:
        """The facts of the dense head."""
        return self.runner.head

    def encode(self, pixels: NDArray[np.float32]) -> EncodedDates:
        """Encodes images, unless they are those that the same thread had encoded last."""
        former = getattr(self._last, "encoded", None)
        if former is not None and np.array_equal(former[0], pixels):
            encoded: EncodedDates = former[1]
            return encoded
        encoded = self.runner.encode(pixels)
        self._last.encoded = (pixels, encoded)
        return encoded

    def detect(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> DenseArrays:
        """Predicts change and land cover; see `VisionRunner.detect`."""
        return self.runner.detect(before, after, scene)

    def relative_maps(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The difference maps; see `VisionRunner.relative_maps`."""
        return self.runner.relative_maps(before, after, scene)

    def tokens(self, tiles: Sequence[Tile]) -> VisionOutput:
        """Only the visual tokens."""
        return self.runner.tokens(tiles)
