"""Maps of the moves between the classes of two dates, tile by tile, measured by the whole pair."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geochg.errors import RunError
from geochg.models.chat.dialogue import NUMBERLESS
from geochg.models.clip.calibration import LogitSample, PairCalibration
from geochg.models.clip.kinds import LandKinds
from geochg.models.clip.moves import TileMoves
from geochg.models.clip.windows import WindowBox, joined_map, window_boxes
from geochg.models.date_cover import DateCover
from geochg.models.images import filled
from geochg.records import PixelWindow, Tile

SURVEY_TILES = 16
"""Tiles on which a pair is measured; their likenesses are kept until they are asked about."""

SAMPLE_STEP_PX = 4
"""Every so many rows and columns of a surveyed tile are in the sample; patches are larger."""

MIN_SAMPLE_PX = 16
"""With fewer valid pixels there is no distribution to find a cut in."""


class Likenesses(Protocol):
    """An encoder of windows, as `DenseEncoder` is."""

    @property
    def side_px(self) -> int:
        """Side of the images that it was trained on."""

    @property
    def patches(self) -> int:
        """Patches along a side of a window."""

    def likenesses(self, windows: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """`(windows, rows, columns, classes)` float32 logits of patches."""


@dataclass(frozen=True, slots=True, eq=False)
class _Encoded:
    """A tile's windows that show something, and the logits of their patches at both dates."""

    tile: Tile
    boxes: tuple[WindowBox, ...]
    dates: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def is_finite(self) -> bool:
        """Whether the encoder gave numbers."""
        return all(bool(np.isfinite(date).all()) for date in self.dates)

    def logits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`(k, height, width)` of each date."""
        shape = self.tile.valid.shape
        before, after = (joined_map(date, self.boxes, (shape[0], shape[1])) for date in self.dates)
        return before, after

    def sample(self) -> LogitSample:
        """The logits of some pixels of the tile's core."""
        core = self.tile.window.core.slices_within(self.tile.window.read)
        step = slice(None, None, SAMPLE_STEP_PX)
        valid = self.tile.valid[core][step, step]
        return LogitSample(*(date[:, *core][:, step, step][:, valid] for date in self.logits()))


@dataclass(eq=False)
class DenseTiles:
    """Makes the maps of tiles.

    Attributes:
        encoder: Encodes windows.
        kinds: What the classes of its texts stand for.
        window_px: Side of a window; None for half of the encoder's own.
        move: Move of the posterior above which a pixel changed; None to find it.
        threshold: Probability that a changed pixel reaches.
        calibration: That of the surveyed pair; None where each tile is a scene of its own.
    """

    encoder: Likenesses
    kinds: LandKinds
    window_px: int | None = None
    move: float | None = None
    threshold: float = 0.5
    calibration: PairCalibration | None = None
    _surveyed: dict[PixelWindow, _Encoded] = field(default_factory=dict)

    def survey(self, tiles: Iterable[Tile]) -> None:
        """Measures a pair on some of its tiles; without a tile, each is a scene of its own."""
        encodings = [item for tile in tiles for item in self._encoded([tile]) if item.is_finite]
        self.calibration = self._calibration(encodings)
        self._surveyed = {item.tile.window.read: item for item in encodings}

    def moves(self, tiles: Sequence[Tile]) -> list[TileMoves | None]:
        """The moves of each tile; None where the encoder gave no numbers."""
        survey_items = [self._known(tile) for tile in tiles]
        new_tiles = [tile for tile, item in zip(tiles, survey_items, strict=True) if item is None]
        encodings = iter(self._encoded(new_tiles))
        return [self._moves(item or next(encodings)) for item in survey_items]

    def date_cover(self, tile: Tile) -> DateCover:
        """The land cover of a tile of one date, of the likeliest kind at each pixel.

        Raises:
            RunError: If the encoder gives no numbers.
        """
        boxes, shape = self._boxes(tile), tile.valid.shape
        windows = [filled(tile.before[:, *box.slices], tile.valid[box.slices]) for box in boxes]
        likenesses = self.encoder.likenesses(windows)
        if not np.isfinite(likenesses).all():
            raise RunError(f"no land cover: {NUMBERLESS}", "use another --dtype or --device")
        logits = joined_map(likenesses, boxes, (shape[0], shape[1]))
        return DateCover(self.kinds.covers[logits.argmax(axis=0)], np.zeros(shape, np.bool_))

    def _known(self, tile: Tile) -> _Encoded | None:
        """What the survey kept of a tile, which is let go."""
        item = self._surveyed.pop(tile.window.read, None)
        if item is None or not all(
            np.array_equal(getattr(item.tile, name), getattr(tile, name))
            for name in ("before", "after", "valid")
        ):
            return None
        return item

    def _moves(self, item: _Encoded) -> TileMoves | None:
        if not item.is_finite:
            return None
        calibration = self.calibration or self._calibration([item])
        if calibration is None:
            # Too little is valid to measure: by the floor alone.
            calibration = PairCalibration.plain(len(self.kinds.group_of), self.move)
        return TileMoves.of(
            item.logits(),
            item.tile.valid,
            self.kinds,
            calibration,
            self.threshold,
            self._side_px(item.tile) / self.encoder.patches,
        )

    def _calibration(self, encodings: Sequence[_Encoded]) -> PairCalibration | None:
        samples = [item.sample() for item in encodings]
        if sum(sample.before.shape[1] for sample in samples) < MIN_SAMPLE_PX:
            return None
        return PairCalibration.fit(LogitSample.joined(samples), self.kinds.group_of, self.move)

    def _encoded(self, tiles: Sequence[Tile]) -> list[_Encoded]:
        """All windows of all tiles go through the encoder together, each date once."""
        boxes = [self._boxes(tile) for tile in tiles]
        windows = [
            filled(getattr(tile, date)[:, *box.slices], tile.valid[box.slices])
            for tile, tile_boxes in zip(tiles, boxes, strict=True)
            for date in ("before", "after")
            for box in tile_boxes
        ]
        likenesses = self.encoder.likenesses(windows)
        encodings, start = [], 0
        for tile, tile_boxes in zip(tiles, boxes, strict=True):
            middle, stop = start + len(tile_boxes), start + 2 * len(tile_boxes)
            dates = (likenesses[start:middle], likenesses[middle:stop])
            encodings.append(_Encoded(tile, tile_boxes, dates))
            start = stop
        return encodings

    def _boxes(self, tile: Tile) -> tuple[WindowBox, ...]:
        """The windows that show something valid."""
        height, width = tile.valid.shape
        boxes = window_boxes(height, width, self._side_px(tile), self.encoder.patches)
        return tuple(box for box in boxes if tile.valid[box.slices].any())

    def _side_px(self, tile: Tile) -> int:
        """Side of a window in a tile."""
        side_px: int = min(self.window_px or max(self.encoder.side_px // 2, 1), *tile.valid.shape)
        return side_px
