"""From dense predictions to outlines: probability, class, direction, land cover.

A pixel's class and direction follow from its land cover at both dates; the probability of any
change follows from the change logits. So the map, its classes and the land covers agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geochg.land_cover import OTHER, class_and_direction
from geochg.models.deltavlm.detector import HALF, Scene, resample
from geochg.models.deltavlm.runtime.vision_output import (
    COVER_WEIGHT,
    DenseArrays,
    HeadFacts,
    VisionOutput,
)
from geochg.models.deltavlm.water import (
    INFRARED_BAND,
    water_index,
    with_water,
    without_dry_water,
)
from geochg.models.model_settings import is_number
from geochg.records import (
    CANNOT_TELL,
    LAND_COVER,
    Channel,
    DisplayRanges,
    LandCover,
    Outlines,
    Tile,
)

MAX_CUT = 4.0
"""Greatest magnitude of a cut, in logits: it bounds the cuts of scenes unlike any in training."""

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

NOT_SEEN_SHARE = 0.8


_BUILDING = LAND_COVER.index("building")
_NOT_SEEN = len(LAND_COVER)
_SURE = 4.6
_MOST_LOGITS = 30.0
_LEAST = np.float32(1e-6)


class Cuts(NamedTuple):
    """The logits from which on a pixel counts as changed.

    Attributes:
        change: Cut for any change.
        building: Cut for a change of buildings.
    """

    change: float
    building: float


@dataclass(frozen=True)
class Calibration:
    """Values fitted on held-out pairs.

    The cut for any change is `intercept + of_typical * typical + of_resolution * log2(shown)`:
    lower in scenes of which much has changed, see `Scene.typical_logit`.

    Attributes:
        intercept: Cut of a scene whose median logit is 0, in logits.
        of_typical: Change of the cut per logit of the scene's median.
        of_resolution: Change of the cut per doubling of the side of a shown pixel, in metres.
        building: Cut for a change of buildings.
        water: Added to the logit of any change, times the difference of the shares of water: where
            half of a scene is flooded, no difference is unusual.
        hysteresis: Depth below the cut, in logits, to which pixels may join pixels above it.
        confidence: Mean probabilities of features, and the shares of such features that are right;
            None where that was not measured.
    """

    intercept: float = 0.0
    of_typical: float = 0.0
    of_resolution: float = 0.0
    building: float = 0.0
    water: float = 0.0
    hysteresis: float = 0.0
    confidence: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @classmethod
    def from_dict(cls, saved_values: dict[str, Any] | None) -> Self:
        """The calibration of a `to_dict`; plain cuts where nothing was fitted.

        Raises:
            ValueError: If no `to_dict` gives such values.
        """
        values = dict(saved_values or {})
        confidence = values.pop("confidence", None)
        numbers = [*values.values(), *(share for shares in confidence or () for share in shares)]
        if unknown := [name for name in values if name not in cls.__dataclass_fields__]:
            raise ValueError(f"unknown calibration {unknown[0]!r}")
        if not all(is_number(number, -_MOST_LOGITS, _MOST_LOGITS) for number in numbers):
            raise ValueError("a calibration that is no finite number")
        if values.get("hysteresis", 0) < 0:
            raise ValueError("a hysteresis below zero")
        if not confidence:
            return cls(**values)
        means, shares = map(tuple, confidence)
        if len(means) != len(shares):
            raise ValueError("a confidence whose means and shares are not as many")
        if not all(0 <= share <= 1 for share in (*means, *shares)) or list(means) != sorted(means):
            raise ValueError("a confidence that is no shares, or whose means do not rise")
        return cls(**values, confidence=(means, shares))

    def to_dict(self) -> dict[str, Any]:
        """The calibration as JSON values."""
        return {**asdict(self), "confidence": self.confidence and [*map(list, self.confidence)]}

    def cuts(self, typical_logit: float, shown_m: float | None) -> Cuts:
        """The cuts for a scene.

        Args:
            typical_logit: See `Scene`.
            shown_m: Side of a shown pixel, in metres; None where it is not known.
        """
        resolution = 0.0 if shown_m is None else math.log2(shown_m)
        change = self.intercept + self.of_typical * typical_logit + self.of_resolution * resolution
        return Cuts(min(max(change, -MAX_CUT), MAX_CUT), self.building)


@dataclass(frozen=True, slots=True, eq=False)
class TilePrediction:
    """The dense prediction for one tile, at the tile's size.

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

    @property
    def calibration(self) -> Calibration:
        """The calibration of the head."""
        return Calibration.from_dict(self.head.calibration)

    @property
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
        """The prediction for each tile."""
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

    def outlines(self, prediction: TilePrediction, tile: Tile) -> Outlines:
        """The probability of each channel at each pixel of the tile."""
        change = _sigmoid(prediction.change)
        if len(tile.before) == 1 and (self.scene.shown_m or 0) > GRAY_M:
            prediction = _without_cover(prediction)
        layers = self._layers(prediction, change)
        not_seen = np.maximum(prediction.before[_NOT_SEEN], prediction.after[_NOT_SEEN])
        hidden = (not_seen > NOT_SEEN_SHARE) & tile.valid
        for surface in (layers, change):
            surface *= tile.valid
        threshold, low = (
            float(_sigmoid(np.array(logit, np.float32)))
            for logit in (self.cuts.change, self.cuts.change - self.calibration.hysteresis)
        )
        if self.threshold is not None:
            # Exactly what was given, whatever its logit was rounded to.
            threshold, low = self.threshold, min(low, self.threshold)
        return Outlines(
            self.channels,
            layers,
            threshold,
            change=change,
            low_threshold=low,
            margins=tuple(self._margin(channel) for channel in self.channels),
            land_cover=LandCover(_likely_cover(prediction.before), _likely_cover(prediction.after)),
            not_seen=hidden,
            calibration=self.calibration.confidence,
        )

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
        before, after = (_softmax(part[0]) for part in (full.before_logits, full.after_logits))
        if self.scene.infrared == INFRARED_BAND and self.scene.display_ranges is not None:
            dates = zip((tile.before, tile.after), self.scene.display_ranges, strict=True)
            dry = [self._water_index(image, ranges, (rows, cols)) < 0 for image, ranges in dates]
            before, after = without_dry_water(before, after, *dry)
        change = with_water(change, before, after, self.calibration.water)
        building = building_logits(full, before, after, color)
        layers = np.concatenate((change[None], building[None], before, after))
        return self._at_tile_size(layers, tile.valid.shape)

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

    def _at_tile_size(self, layers: NDArray[np.float32], shape: tuple[int, ...]) -> TilePrediction:
        per_pixel = self.head.stride_px / self.scene.zoom
        rows, cols = (round(side * per_pixel) for side in layers.shape[1:])
        tile_layers = resample(layers, rows, cols)[:, : shape[0], : shape[1]]
        covers = (len(layers) - 2) // 2
        return TilePrediction(
            tile_layers[0], tile_layers[1], tile_layers[2 : 2 + covers], tile_layers[2 + covers :]
        )

    def _layers(
        self, prediction: TilePrediction, change: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """`(channels, height, width)`: the strongest channel is as likely as any change.

        The channels of buildings are as likely as a change of buildings; where the land covers do
        not name one, the last channel goes before them.
        """
        likely = channel_shares(self.head.channels, prediction.before, prediction.after)
        least = NAMED_SHARE * np.maximum(likely.sum(axis=0), _LEAST)
        scores = np.concatenate((likely, least[None]))
        shares = scores / scores.max(axis=0)
        layers: NDArray[np.float32] = shares * change
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
        prediction.change, np.full_like(prediction.change, -np.inf), no_cover, no_cover
    )


def _likely_cover(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The likeliest land cover, where it is likely enough."""
    seen_shares = shares[:_NOT_SEEN]
    cover: NDArray[np.uint8] = seen_shares.argmax(axis=0).astype(np.uint8)
    cover[seen_shares.max(axis=0) < CANNOT_TELL_SHARE] = CANNOT_TELL
    return cover


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # of what is surely 0
        return np.asarray(1 / (1 + np.exp(-logits)))


def _logit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values) - np.log1p(-values), np.float32)
