"""From the likenesses of a tile at two dates to outlines of what moved from class to class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.models.clip.calibration import PairCalibration, grouped
from geochg.models.clip.kinds import LandKinds
from geochg.records import LandCover, Outlines, PixelIndex

_LEAST_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class TileMoves:
    """The moves of the posterior of a tile.

    Attributes:
        kinds: What the classes stand for.
        change: `(height, width)` float32 0-1, probability of change; 0 where not valid.
        lost: `(names, height, width)` float32, probability that the kinds of an output class lost.
        gained: As `lost`, what they gained.
        land_cover: Land cover of the likeliest kind at both dates.
        commonest: The kinds from and to which most of the changed pixels went; None where nothing
            changed.
    """

    kinds: LandKinds
    change: NDArray[np.float32]
    lost: NDArray[np.float32]
    gained: NDArray[np.float32]
    land_cover: LandCover
    commonest: tuple[int, int] | None

    @classmethod
    def of(
        cls,
        logits: Sequence[NDArray[np.float32]],
        valid: NDArray[np.bool_],
        kinds: LandKinds,
        calibration: PairCalibration,
        threshold: float,
        patch_px: float = 1.0,
    ) -> "TileMoves":
        """The moves between two dates.

        Args:
            logits: `(k, height, width)` of each date.
            valid: `(height, width)` bool.
            kinds: What the `k` classes stand for.
            calibration: That of the pair.
            threshold: Probability that a changed pixel reaches.
            patch_px: Side of a patch of the encoder, in pixels; what is narrower is no change.
        """
        before, after = calibration.posteriors(logits[0], logits[1])
        covers = LandCover(*(kinds.covers[date.argmax(axis=0)] for date in (before, after)))
        group_moves = grouped(after - before, kinds.group_of)
        score = opened(np.abs(group_moves).sum(axis=0), patch_px)
        change = calibration.cut.probability(score) * valid
        lost, gained = (
            grouped(np.maximum(sign * group_moves, 0), kinds.class_of) for sign in (-1, 1)
        )
        changed = change >= threshold
        commonest = _commonest((after - before)[:, changed]) if changed.any() else None
        return cls(kinds, change, lost, gained, covers, commonest)

    def outlines(self, threshold: float) -> Outlines:
        """The outlines of the tile."""
        return Outlines(
            self.kinds.channels(),
            self._layers,
            threshold,
            change=self.change,
            land_cover=self.land_cover,
        )

    def _layers(self, pixels: PixelIndex) -> NDArray[np.float32]:
        """The probability of change, in the channel of the likeliest way that it went.

        What was lost went to what was gained in proportion to both. Other channels have as much
        less as they are less likely.
        """
        lost, gained, change = self.lost[:, pixels], self.gained[:, pixels], self.change[pixels]
        channels = self.kinds.channels()
        shares = np.zeros((len(channels), *change.shape), np.float32)
        for old, new, channel in self.kinds.pairs(channels.index):
            shares[channel] += lost[old] * gained[new]
        highest = np.maximum(shares.max(axis=0), _LEAST_SHARE)
        layers: NDArray[np.float32] = change * np.minimum(shares / highest, 1)
        return layers


def _commonest(moves: NDArray[np.float32]) -> tuple[int, int]:
    """The commonest pair of what lost and what gained most, of moves `(k, pixels)`."""
    pairs = moves.argmin(axis=0) * len(moves) + moves.argmax(axis=0)
    old, new = divmod(int(np.bincount(pairs).argmax()), len(moves))
    return old, new


def opened(surface: NDArray[np.float32], side_px: float) -> NDArray[np.float32]:
    """A surface without ridges narrower than a square (grey opening); borders go on outside.

    Where two classes meet, patches hold some of both, and thin lines of change appear.

    Args:
        surface: `(height, width)`.
        side_px: Side of the square; the next odd number of pixels that is not above it is taken.
    """
    reach = (int(side_px) - 1) // 2
    if reach < 1:
        return surface
    return _extreme(_extreme(surface, reach, np.minimum), reach, np.maximum)


def _extreme(surface: NDArray[np.float32], reach: int, choose: np.ufunc) -> NDArray[np.float32]:
    """The least or greatest value in the square around each pixel."""
    for axis in (0, 1):
        margins = [(0, 0), (0, 0)]
        margins[axis] = (reach, reach)
        padded = np.pad(surface, margins, mode="edge")
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)
        surface = choose.reduce(around, axis=-1)
    return surface
