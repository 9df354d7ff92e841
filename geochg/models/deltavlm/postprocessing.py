"""From dense predictions to outlines: probability, class, direction, land cover.

A pixel's class and direction follow from its land cover at both dates; the probability of any
change follows from the change logits. So the map, its classes and the land covers agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from geochg.land_cover import OTHER, class_and_direction
from geochg.models.deltavlm.calibration import Calibration, Cuts
from geochg.models.deltavlm.detector import Scene, resample
from geochg.models.deltavlm.runtime.vision_output import (
    COVER_WEIGHT,
    NOT_SEEN_SHARE,
    DenseArrays,
    HeadFacts,
    VisionOutput,
    softmax,
)
from geochg.models.deltavlm.views import HALF
from geochg.models.deltavlm.water import (
    INFRARED_BAND,
    water_index,
    with_water,
    without_dry_water,
)
from geochg.records import (
    CANNOT_TELL,
    LAND_COVER,
    Channel,
    DisplayRanges,
    LandCover,
    Outlines,
    PixelIndex,
    Tile,
)

CANNOT_TELL_SHARE = 0.6
"""A land cover less likely than this is not named; named ones are right for 91 % of the labelled
pixels of held-out ground (`benchmarks/naming.py`)."""

NAMED_SHARE = 0.6
"""Class and direction less likely than this are not named: the change is one of class "other". Of
the changed pixels of held-out ground half are named, 91 % of them as labels allow
(`benchmarks/naming.py`)."""

SAME_COVER_WEIGHT = 0.25
"""Weight of two equal covers where the ground changed, beside 1 for two different covers."""

GRAY_M = 3.0
"""A single band of larger pixels (radar, heat) shows no land cover."""

QUIET_MARGIN = 3.0
"""Depth below the cuts, in logits, to which a view of half the size must stay for a tile not to be
looked at in full size. On labelled and quiet pairs no changed pixel was lost so, nor with
`--sensitivity high`, which takes 1.0 off; with 2.0 one in 10,000 (`benchmarks/first_look.py`)."""


_BUILDING = LAND_COVER.index("building")
_NOT_SEEN = len(LAND_COVER)
_SURE = 4.6
_LEAST = np.float32(1e-6)
_NEVER = -100.0


@dataclass(frozen=True, slots=True, eq=False)
class TilePrediction:
    """The dense prediction for one tile, at the size of the head's maps or of the tile.

    Attributes:
        change: `(height, width)` float32: logit of any change.
        building: As `change`: logit of a change of buildings.
        before: `(COVERS, height, width)` float32: share of each land cover.
        after: As `before`.
    """

    change: NDArray[np.float32]
    building: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(frozen=True)
class OutlineMaker:
    """Turns dense predictions into outlines.

    Attributes:
        head: The facts of the dense head.
        scene: The survey of the pair.
        threshold: Least probability of a changed pixel; None for the calibrated one.
    """

    head: HeadFacts
    scene: Scene
    threshold: float | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels of the head, and last the one of changes that are not named."""
        return (*self.head.channels, OTHER)

    @cached_property
    def calibration(self) -> Calibration:
        """The calibration of the head."""
        return Calibration.from_dict(self.head.calibration)

    @cached_property
    def cuts(self) -> Cuts:
        """The calibrated cuts, or the one that was given."""
        cuts = self.calibration.cuts(self.scene.typical_logit, self.scene.shown_m)
        if self.threshold is None:
            return cuts
        # The ends have no finite logit.
        inside = np.clip(np.float32(self.threshold), _LEAST, 1 - _LEAST)
        inside_logit = float(_logit(np.asarray(inside, np.float32)))
        return Cuts(inside_logit, inside_logit + cuts.building - cuts.change)

    def predictions(self, output: VisionOutput, tiles: Sequence[Tile]) -> list[TilePrediction]:
        """The prediction for each tile, at the tile's size."""
        return [
            self._at_tile_size(prediction, tile.valid.shape)
            for prediction, tile in zip(self.small_predictions(output, tiles), tiles, strict=True)
        ]

    def small_predictions(
        self, output: VisionOutput, tiles: Sequence[Tile]
    ) -> list[TilePrediction]:
        """The prediction for each tile, at the size of the head's maps."""
        assert output.dense is not None
        assert output.half is not None
        predictions = []
        for index, tile in enumerate(tiles):
            full, half = (
                DenseArrays(*(array[index : index + 1] for array in view))
                for view in (output.dense, output.half)
            )
            predictions.append(self._prediction(full, half, tile))
        return predictions

    def is_quiet(self, half: DenseArrays, margin: float = QUIET_MARGIN) -> bool:
        """Whether a view of half the size leaves no doubt that nothing changed in a tile.

        Args:
            half: The prediction for that view, of one tile.
            margin: Depth below the cuts that no pixel may reach, in logits.
        """
        before, after = (softmax(part[0]) for part in (half.before_logits, half.after_logits))
        change = with_water(half.change_logits[0], before, after, self.calibration.water)
        if change.max() >= self.cuts.change - margin:
            return False
        building = building_logits(half, before, after, half.color_logits[0, 0])
        return bool(building.max() < self.cuts.building - margin)

    def outlines(self, prediction: TilePrediction, tile: Tile) -> Outlines:
        """The probability of each channel at each pixel of the tile.

        Most ground has not changed, so channels and land covers are made where they are asked for.

        Args:
            prediction: The prediction, at the size of the head's maps.
            tile: The tile.
        """
        shape = tile.valid.shape
        change = _sigmoid(self._enlarged(prediction.change, shape)) * tile.valid
        maps = (prediction.building, prediction.before, prediction.after)
        if not all(np.isfinite(part).all() for part in maps):
            # What the channels are made of is no number: the tile fails, see `safety.finite`.
            change[:] = np.nan
        if len(tile.before) == 1 and (self.scene.shown_m or 0) > GRAY_M:
            prediction = _without_cover(prediction)
        not_seen = [
            self._enlarged(date[_NOT_SEEN], shape) for date in (prediction.before, prediction.after)
        ]
        hidden = (np.maximum(*not_seen) > NOT_SEEN_SHARE) & tile.valid

        def layers_at(pixels: PixelIndex) -> NDArray[np.float32]:
            building, *dates = (
                self._enlarged(part, shape)
                for part in (prediction.building, prediction.before, prediction.after)
            )
            shares = (date[:, pixels] for date in dates)
            part = TilePrediction(change[pixels], building[pixels], *shares)
            return self._layers(part) * tile.valid[pixels]

        def covers() -> LandCover:
            dates = (prediction.before, prediction.after)
            return LandCover(*(_likely_cover(self._enlarged(date, shape)) for date in dates))

        return self._outlines(layers_at, change, covers, hidden)

    def unchanged_outlines(self, tile: Tile) -> Outlines:
        """The outlines of a tile of which no network was asked; its land cover is not told."""
        shape = tile.valid.shape

        def layers_at(pixels: PixelIndex) -> NDArray[np.float32]:
            return np.zeros((len(self.channels), *tile.valid[pixels].shape), np.float32)

        def covers() -> LandCover:
            return LandCover(*(np.full(shape, CANNOT_TELL, np.uint8) for _ in range(2)))

        hidden = np.zeros(shape, np.bool_)
        return self._outlines(layers_at, np.zeros(shape, np.float32), covers, hidden)

    def _outlines(
        self,
        layers_at: Callable[[PixelIndex], NDArray[np.float32]],
        change: NDArray[np.float32],
        covers: Callable[[], LandCover],
        hidden: NDArray[np.bool_],
    ) -> Outlines:
        threshold, low = self._thresholds
        return Outlines(
            self.channels,
            layers_at,
            threshold,
            change=change,
            low_threshold=low,
            margins=tuple(self._margin(channel) for channel in self.channels),
            land_cover=covers,
            not_seen=hidden,
            calibration=self.calibration.confidence,
        )

    @cached_property
    def _thresholds(self) -> tuple[float, float]:
        """Least probability of a changed pixel, and of one that hangs together with such."""
        threshold, low = (
            float(_sigmoid(np.array(logit, np.float32)))
            for logit in (self.cuts.change, self.cuts.change - self.calibration.hysteresis)
        )
        if self.threshold is not None:
            # Exactly what was given, whatever its logit was rounded to.
            return self.threshold, min(low, self.threshold)
        return threshold, low

    def _margin(self, channel: Channel) -> float:
        """See `Outlines.margins`."""
        return self.cuts.building - self.cuts.change if channel.class_name == "building" else 0.0

    def _prediction(self, full: DenseArrays, half: DenseArrays, tile: Tile) -> TilePrediction:
        rows, cols = full.color_logits.shape[-2:]
        # What lies beyond the tile was padded; a half-size view may be padded further.
        sides = (round(side / HALF) for side in half.color_logits.shape[-2:])
        wide = np.concatenate((half.change_logits, half.color_logits[:, 0]))
        wide = resample(wide, *sides)[:, :rows, :cols]
        change = (full.change_logits[0] + wide[0]) / 2
        color = (full.color_logits[0, 0] + wide[1]) / 2
        before, after = (softmax(part[0]) for part in (full.before_logits, full.after_logits))
        if self.scene.infrared == INFRARED_BAND and tile.display_ranges is not None:
            dates = zip((tile.before, tile.after), tile.display_ranges, strict=True)
            dry = [self._water_index(image, ranges, (rows, cols)) < 0 for image, ranges in dates]
            before, after = without_dry_water(before, after, *dry)
        change = with_water(change, before, after, self.calibration.water)
        building = building_logits(full, before, after, color)
        return TilePrediction(change, building, before, after)

    def _water_index(
        self, image: NDArray[np.generic], ranges: DisplayRanges, shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """The NDWI of a tile at the pixels of the head's maps."""
        index = water_index(image, ranges)
        per_pixel = self.head.stride_px / self.scene.zoom
        sides = [round(side * per_pixel) for side in shape]
        beyond = [(0, max(0, new - old)) for new, old in zip(sides, index.shape, strict=True)]
        padded = np.pad(index, beyond, mode="edge")[: sides[0], : sides[1]]
        return resample(padded, *shape)

    def _at_tile_size(self, prediction: TilePrediction, shape: tuple[int, ...]) -> TilePrediction:
        parts = (prediction.change, prediction.building, prediction.before, prediction.after)
        return TilePrediction(*(self._enlarged(part, shape) for part in parts))

    def _enlarged(self, layers: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Maps of the head, `(..., rows, columns)`, at the tile's size."""
        per_pixel = self.head.stride_px / self.scene.zoom
        rows, cols = (round(side * per_pixel) for side in layers.shape[-2:])
        return resample(layers, rows, cols)[..., : shape[0], : shape[1]]

    def _layers(self, prediction: TilePrediction) -> NDArray[np.float32]:
        """`(channels, ...)`: the strongest channel is as likely as any change.

        The channels of buildings are as likely as a change of buildings; where the land covers do
        not name one, the last channel goes before them.

        Args:
            prediction: At some pixels; `change` as a probability.
        """
        likely = channel_shares(self.head.channels, prediction.before, prediction.after)
        least = NAMED_SHARE * np.maximum(likely.sum(axis=0), _LEAST)
        scores = np.concatenate((likely, least[None]))
        shares = scores / scores.max(axis=0)
        layers: NDArray[np.float32] = shares * prediction.change
        channels = enumerate(self.channels)
        buildings = [index for index, channel in channels if channel.class_name == "building"]
        if buildings:
            strongest = scores[buildings].max(axis=0)
            layers[buildings] = (
                scores[buildings] / np.maximum(strongest, 1e-6) * _sigmoid(prediction.building)
            )
            margin = np.float32(self._margin(self.channels[buildings[0]]))
            building_probability = _sigmoid(prediction.building - margin)
            before_them = np.maximum(layers[-1], np.nextafter(building_probability, np.float32(2)))
            layers[-1] = np.where(strongest < least, before_them, layers[-1])
        return layers


def channel_shares(
    channels: Sequence[Channel], before: NDArray[np.float32], after: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`(channels, ...)` how likely each class and direction is where the ground changed.

    The shares are relative to each other: their sum is not 1.

    Args:
        channels: Class and direction of each.
        before: `(COVERS, ...)`: shares of land covers.
        after: As `before`.
    """
    shares = np.zeros((len(channels), *before.shape[1:]), np.float32)
    indices = {channel: index for index, channel in enumerate(channels)}
    for (first, old), (second, new) in product(enumerate(LAND_COVER), repeat=2):
        index = indices.get(Channel(*class_and_direction(old, new)))
        if index is not None:
            weight = np.float32(SAME_COVER_WEIGHT if old == new else 1)
            shares[index] += weight * before[first] * after[second]
    return shares


def building_logits(
    dense: DenseArrays,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    color: NDArray[np.float32],
) -> NDArray[np.float32]:
    """`(rows, columns)`; as `DenseOutput.building_logits`.

    Args:
        dense: The prediction for the view in full size: in half of it, roofs are too small.
        before: `(COVERS, rows, columns)`: shares of land covers.
        after: As `before`.
        color: `(rows, columns)`: logits of any change by the colours alone.
    """
    differs = np.clip(np.abs(after[_BUILDING] - before[_BUILDING]), 1e-3, 1 - 1e-3)
    from_cover = np.clip(_logit(differs), -_SURE, _SURE)
    networks = dense.pyramid_logits[0, 1] + COVER_WEIGHT * from_cover
    logits: NDArray[np.float32] = networks + color
    logits /= 2 + COVER_WEIGHT
    return logits


def _without_cover(prediction: TilePrediction) -> TilePrediction:
    """The prediction without land covers and buildings."""
    no_cover = np.zeros_like(prediction.before)
    return TilePrediction(
        prediction.change, np.full_like(prediction.change, _NEVER), no_cover, no_cover
    )


def _likely_cover(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The likeliest land cover, where it is likely enough."""
    seen_shares = shares[:_NOT_SEEN]
    cover: NDArray[np.uint8] = seen_shares.argmax(axis=0).astype(np.uint8)
    cover[seen_shares.max(axis=0) < CANNOT_TELL_SHARE] = CANNOT_TELL
    return cover


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # of what is surely 0
        return np.asarray(1 / (1 + np.exp(-logits)))


def _logit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values) - np.log1p(-values), np.float32)
