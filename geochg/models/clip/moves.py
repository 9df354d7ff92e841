"""From the likenesses of a tile at two dates to outlines of what moved from class to class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochg.models.clip.calibration import Calibration, grouped
from geochg.models.clip.kinds import Kinds
from geochg.models.clip.scoring import DateClasses
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
        means: `(2, k)` mean probability of each kind at both dates over the changed pixels; None
            where nothing changed.
    """

    kinds: Kinds
    change: NDArray[np.float32]
    lost: NDArray[np.float32]
    gained: NDArray[np.float32]
    land_cover: LandCover
    means: NDArray[np.float32] | None

    @classmethod
    def of(
        cls,
        logits: Sequence[NDArray[np.float32]],
        valid: NDArray[np.bool_],
        kinds: Kinds,
        calibration: Calibration,
        threshold: float,
    ) -> "TileMoves":
        """The moves between two dates.

        Args:
            logits: `(k, height, width)` of each date.
            valid: `(height, width)` bool.
            kinds: What the `k` classes stand for.
            calibration: That of the pair.
            threshold: Probability that a changed pixel reaches.
        """
        before, after = calibration.posteriors(logits[0], logits[1])
        covers = LandCover(*(kinds.covers[date.argmax(axis=0)] for date in (before, after)))
        group_moves = grouped(after - before, kinds.group_of)
        change = calibration.cut.probability(np.abs(group_moves).sum(axis=0)) * valid
        lost, gained = (
            grouped(np.maximum(sign * group_moves, 0), kinds.class_of) for sign in (-1, 1)
        )
        changed, means = change >= threshold, None
        if changed.any():
            means = np.stack([date[:, changed].mean(axis=1) for date in (before, after)])
        return cls(kinds, change, lost, gained, covers, means)

    def outlines(self, threshold: float) -> Outlines:
        """The outlines of the tile."""
        return Outlines(
            self.kinds.channels(),
            self._layers,
            threshold,
            change=self.change,
            land_cover=self.land_cover,
        )

    def date_classes(self) -> DateClasses | None:
        """The kinds of the changed pixels at both dates; None where nothing changed."""
        return None if self.means is None else DateClasses(*self.means.astype(np.float64))

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

