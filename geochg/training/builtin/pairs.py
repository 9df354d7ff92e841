"""Pairs of two dates from labelled ground.

Either two real dates of a ground, or one date twice, into which things of other grounds are put
or from which they are taken, or two unrelated grounds. Then each date gets a season, a light and
a sensor of its own (`augmentation`). Seams are hidden: what is put in is blended and brought to
the light of the place, and as much is put in that is no change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geochg.datasets.ground.covers import NOTHING, UNKNOWN_CHANGE, Cover, changed_by_cover
from geochg.datasets.ground.labelled import LabelledGround, edges
from geochg.training.builtin.augmentation import varied_date, waves

SIDE_PX = 256
"""Side of what is shown."""

_UNLIKE = 0.17
"""Least difference of colour and texture at which unlabelled ground counts as changed."""

_LEAST_PX = 10

_INFRARED_HIDDEN = 0.4
"""Share of the pairs with a near infrared in which it is not shown."""


@dataclass(eq=False)
class PairDate:
    """One date of a pair in the making; arrays are written in place.

    Attributes:
        image: `(SIDE_PX, SIDE_PX, 3 or 4)` float32 0-1.
        cover: `(SIDE_PX, SIDE_PX)` uint8, sets of `Cover`.
    """

    image: NDArray[np.float32]
    cover: NDArray[np.uint8]


class Pair(NamedTuple):
    """A training sample.

    Attributes:
        before: `(SIDE_PX, SIDE_PX, 4)` float32 0-1; the near infrared is -1 where it is not shown.
        after: As `before`.
        cover_before: `(SIDE_PX, SIDE_PX)` uint8, sets of `Cover`.
        cover_after: As `cover_before`.
        change: `(SIDE_PX, SIDE_PX)` uint8: 0, 1 or `UNKNOWN_CHANGE`.
        teaches_change: See `LabelledGround`.
        resolution_m: Side of a shown pixel, in metres.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    cover_before: NDArray[np.uint8]
    cover_after: NDArray[np.uint8]
    change: NDArray[np.uint8]
    teaches_change: bool
    resolution_m: float


class PairMaker:
    """Makes pairs of grounds.

    Args:
        grounds: All grounds.
        strength: Strength of the augmentation of single dates.
    """

    def __init__(self, grounds: Sequence[LabelledGround], strength: float = 1.0) -> None:
        self.grounds = list(grounds)
        self.strength = strength
        shares = np.array([ground.share for ground in grounds])
        self._shares = shares / shares.sum()
        self._clouds = [ground for ground in grounds if ground.kind == "cloud"]

    def pair(self, rng: np.random.Generator) -> Pair:
        """A pair of a ground that is chosen at random by its share."""
        ground = self.grounds[rng.choice(len(self.grounds), p=self._shares)]
        return self.pair_of(ground, rng)

    def pair_of(self, ground: LabelledGround, rng: np.random.Generator) -> Pair:
        """A pair of one ground."""
        shown_m = float(np.exp(rng.uniform(*np.log(ground.shown_m))))
        source = _Source(self.grounds, ground, shown_m, rng)
        real = len(ground.images) > 1 and rng.random() < 0.85
        before, after, change = _dates(ground, shown_m, rng, real)
        if not real and not ground.scenery and rng.random() < 0.15:
            after = source.date()
            change = changed_by_cover(before.cover, after.cover)
        else:
            for _ in range(rng.choice([0, 1, 2, 4, 7], p=[0.12, 0.2, 0.28, 0.25, 0.15])):
                _put_in(source.date(), (before, after), change, rng)
        if self._clouds and shown_m > 3 and rng.random() < 0.2:
            _put_clouds(before if rng.random() < 0.5 else after, self._clouds, rng)
        hidden = (before.cover == Cover.NOT_SEEN) | (after.cover == Cover.NOT_SEEN)
        change[hidden] = UNKNOWN_CHANGE
        if rng.random() < 0.7:
            after.image = _subpixel_shift(after.image, rng)
        return self._varied_pair(ground, (before, after), change, shown_m, real, rng)

    def _varied_pair(
        self,
        ground: LabelledGround,
        dates: tuple[PairDate, PairDate],
        change: NDArray[np.uint8],
        shown_m: float,
        real: bool,
        rng: np.random.Generator,
    ) -> Pair:
        infrared = all(date.image.shape[-1] == 4 for date in dates)
        infrared = infrared and rng.random() >= _INFRARED_HIDDEN
        strength = self.strength * (0.6 if real else 1)
        images = []
        for date in dates:
            image = varied_date(date.image if infrared else date.image[..., :3], rng, strength)
            if not infrared:
                image = np.concatenate((image, np.full_like(image[..., :1], -1)), axis=2)
            images.append(image)
        first, second = (0, 1) if rng.random() < 0.5 else (1, 0)
        return Pair(
            images[first],
            images[second],
            dates[first].cover,
            dates[second].cover,
            change,
            ground.teaches_change,
            shown_m,
        )


def pair_batch(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """A batch: images `(pairs, 4, height, width)`, the rest as it is."""
    images = {
        name: torch.from_numpy(
            np.stack([np.ascontiguousarray(getattr(p, name).transpose(2, 0, 1)) for p in pairs])
        )
        for name in ("before", "after")
    }
    masks = {
        name: torch.from_numpy(np.stack([getattr(pair, name) for pair in pairs]))
        for name in ("cover_before", "cover_after", "change")
    }
    teaches = torch.tensor([pair.teaches_change for pair in pairs])
    resolution = torch.tensor([pair.resolution_m for pair in pairs])
    return {**images, **masks, "teaches_change": teaches, "resolution_m": resolution}


class _Source:
    """Other grounds, whose things are put into a pair of a ground."""

    def __init__(
        self,
        grounds: Sequence[LabelledGround],
        ground: LabelledGround,
        shown_m: float,
        rng: np.random.Generator,
    ) -> None:
        self.like = [other for other in grounds if other.kind == ground.kind]
        self.others = (
            [
                other
                for other in grounds
                if other.lends and other.shown_m[0] * 0.8 <= shown_m <= other.shown_m[1] * 1.3
            ]
            if ground.lends
            else []
        )
        self.shown_m, self.rng = shown_m, rng

    def date(self) -> PairDate:
        """A date of another ground."""
        choice = self.others if self.others and self.rng.random() < 0.5 else self.like
        shares = np.array([ground.share for ground in choice])
        ground = choice[self.rng.choice(len(choice), p=shares / shares.sum())]
        shown_m = self.shown_m * float(np.exp(self.rng.normal(0, 0.15)))
        index = int(self.rng.integers(len(ground.images)))
        return _Crop.random(ground, shown_m, self.rng).date(ground, index)


def _dates(
    ground: LabelledGround, shown_m: float, rng: np.random.Generator, real: bool
) -> tuple[PairDate, PairDate, NDArray[np.uint8]]:
    """Two dates of a place and what changed between them."""
    number = len(ground.images)
    if real:
        first, second = (int(index) for index in rng.choice(number, 2, replace=False))
    else:
        first = second = int(rng.integers(number))
    crop = _Crop.random(ground, shown_m, rng)
    before, after = crop.date(ground, first), crop.date(ground, second)
    if not real:
        return before, after, np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    if ground.change is not None:
        return before, after, crop.mask(ground.change(first, second))
    change = ((before.cover & after.cover) == 0).astype(np.uint8)
    unknown = (before.cover == NOTHING) | (after.cover == NOTHING)
    change[edges(change, 5) | unknown] = UNKNOWN_CHANGE
    return before, after, change


@dataclass(frozen=True)
class _Crop:
    """A square of a ground, turned or mirrored; `turn` has a bit for each."""

    row: int
    col: int
    side_px: int
    turn: int

    @classmethod
    def random(cls, ground: LabelledGround, shown_m: float, rng: np.random.Generator) -> _Crop:
        """A random crop of which most is labelled, if there is one in ten."""
        height, width = ground.shape
        side_px = int(min(SIDE_PX * shown_m / ground.resolution_m, height, width))
        turn, row, col = int(rng.integers(8)), 0, 0
        for _ in range(10):
            row = int(rng.integers(height - side_px + 1))
            col = int(rng.integers(width - side_px + 1))
            labelled = ground.covers[0][row : row + side_px : 8, col : col + side_px : 8] > 0
            if labelled.mean() > 0.9:
                break
        return cls(row, col, side_px, turn)

    def date(self, ground: LabelledGround, index: int) -> PairDate:
        """A date of the ground at the size that is shown."""
        interpolation = cv2.INTER_AREA if self.side_px > SIDE_PX else cv2.INTER_CUBIC
        image = self._resampled_pixels(ground.images[index], interpolation) / np.float32(255)
        return PairDate(np.asarray(image, np.float32), self.mask(ground.covers[index]))

    def mask(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask over the ground at the size that is shown."""
        return self._resampled_pixels(mask, cv2.INTER_NEAREST)

    def _resampled_pixels(self, pixels: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
        cut_pixels = pixels[self.row : self.row + self.side_px, self.col : self.col + self.side_px]
        part = np.asarray(
            cv2.resize(cut_pixels, (SIDE_PX, SIDE_PX), interpolation=interpolation), np.uint8
        )
        part = part[::-1] if self.turn & 1 else part
        part = part[:, ::-1] if self.turn & 2 else part
        return np.array(part.swapaxes(0, 1) if self.turn & 4 else part)


def _put_in(
    lender: PairDate,
    dates: tuple[PairDate, PairDate],
    change: NDArray[np.uint8],
    rng: np.random.Generator,
) -> None:
    """Puts something of a lender into one date, and notes what changed."""
    first = rng.random() < 0.5
    target, other = dates if first else dates[::-1]
    mask = _outline(lender, other, rng)
    inside = mask > 0
    if np.count_nonzero(inside) < _LEAST_PX:
        return
    bands = min(target.image.shape[-1], lender.image.shape[-1])
    image = _in_light_of(target.image[..., :bands], lender.image[..., :bands], rng)
    texture = image[inside].std(axis=0).mean() - other.image[inside][:, :bands].std(axis=0).mean()
    color = np.abs(image[inside].mean(axis=0) - other.image[inside][:, :bands].mean(axis=0)).mean()
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(0.5, 1.5))[..., None]
    if bands < target.image.shape[-1]:
        # No infrared of the lender: the pair goes on without one.
        for date in dates:
            date.image = np.ascontiguousarray(date.image[..., :bands])
    target.image[:] = target.image * (1 - soft) + image * soft
    inside_change = changed_by_cover(other.cover[inside], lender.cover[inside])
    if color + 0.7 * abs(texture) > _UNLIKE:
        inside_change[inside_change == UNKNOWN_CHANGE] = 1
    change[inside] = inside_change
    target.cover[inside] = lender.cover[inside]
    change[edges(mask, 3) & (change != 1)] = UNKNOWN_CHANGE


def _outline(lender: PairDate, other: PairDate, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What is put in: whole buildings, a building's ground, a parcel of one cover, any shape."""
    buildings = (lender.cover == Cover.BUILDING).astype(np.uint8)
    kind = rng.random()
    if kind < 0.55 and buildings.any():
        return _random_things(buildings, rng, 9, int(rng.choice([0, 1, 2, 4, 10])))
    if rng.random() < 0.35:
        standing = (other.cover == Cover.BUILDING).astype(np.uint8)
        if standing.any():
            # A building goes: its ground is covered with what lies elsewhere.
            return _random_things(standing, rng, 7, 2)
    shape = _shape(rng)
    if kind < 0.75:
        row, col = rng.integers(SIDE_PX, size=2)
        parcel = (lender.cover == lender.cover[row, col]) & (shape > 0)
        return np.asarray(parcel, np.uint8)
    return shape


def _shape(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A rectangle, a strip or something grown."""
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    kind = rng.random()
    x, y = rng.uniform(0, SIDE_PX, 2)
    size = float(np.exp(rng.uniform(np.log(6), np.log(SIDE_PX * 0.55))))
    if kind < 0.5:
        box = ((x, y), (size, size * rng.uniform(0.25, 1)), rng.uniform(0, 180))
        cv2.fillPoly(mask, [cv2.boxPoints(box).astype(np.int32)], (1,))
    elif kind < 0.65:
        angle = rng.uniform(0, np.pi)
        half = size * 1.5 * np.array([np.cos(angle), np.sin(angle)])
        start = (int(x - half[0]), int(y - half[1]))
        stop = (int(x + half[0]), int(y + half[1]))
        cv2.line(mask, start, stop, (1,), int(rng.integers(3, 14)))
    else:
        rows, cols = np.mgrid[:SIDE_PX, :SIDE_PX]
        distance = ((rows - y) ** 2 + (cols - x) ** 2) / (size * 0.7) ** 2
        surface = waves(rng, int(rng.integers(5, 12)), SIDE_PX) - distance + 0.6
        mask = (surface > 0).astype(np.uint8)
    return mask


def _random_things(
    mask: NDArray[np.uint8], rng: np.random.Generator, max_number: int, growth_px: int
) -> NDArray[np.uint8]:
    """Some of the things in a mask, grown by a few pixels."""
    number, labels, statistics, _ = cv2.connectedComponentsWithStats(mask)
    large = [index for index in range(1, number) if statistics[index, cv2.CC_STAT_AREA] > 12]
    if not large:
        return np.zeros_like(mask)
    object_count = min(len(large), int(rng.integers(1, max_number)))
    chosen_objects = np.isin(labels, rng.choice(large, object_count, replace=False)).astype(
        np.uint8
    )
    if not growth_px:
        return chosen_objects
    grown_objects = cv2.dilate(chosen_objects, np.ones((3, 3), np.uint8), iterations=growth_px)
    return np.asarray(grown_objects, np.uint8)


def _in_light_of(
    target: NDArray[np.float32], image: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """An image with some of a target's light, and at times less sharp."""
    if rng.random() < 0.6:
        share = rng.uniform(0.3, 1)
        mean, spread = image.mean((0, 1)), image.std((0, 1)) + 1e-3
        scale = 1 - share + share * target.std((0, 1)) / spread
        image = (image - mean) * scale + mean * (1 - share) + target.mean((0, 1)) * share
    if rng.random() < 0.3:
        blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.4, 1.0))
        image = np.asarray(blurred, np.float32)
    return image.astype(np.float32)


def _put_clouds(date: PairDate, clouds: Sequence[LabelledGround], rng: np.random.Generator) -> None:
    """Clouds with the form and texture of real ones, and their shadows beside them."""
    lender = clouds[int(rng.integers(len(clouds)))]
    crop = _Crop.random(lender, lender.resolution_m * rng.uniform(0.4, 1.2), rng).date(lender, 0)
    bright = crop.image[..., :3].mean(axis=2)
    mask = ((crop.cover == Cover.NOT_SEEN) & (bright > 0.5)).astype(np.uint8)
    if not mask.any():
        return
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0)[..., None]
    bands = date.image.shape[-1]
    white = np.repeat(np.clip(bright * rng.uniform(0.9, 1.3), 0, 1)[..., None], bands, axis=2)
    shade = cv2.warpAffine(soft[..., 0], _move(*rng.uniform(-30, 30, 2)), (SIDE_PX, SIDE_PX))
    date.image *= 1 - rng.uniform(0.4, 0.7) * shade[..., None]
    date.image[:] = date.image * (1 - soft) + white * soft
    hidden = (soft[..., 0] > 0.3) | (shade > 0.5)
    unsure = (soft[..., 0] > 0.05) | (shade > 0.1)
    date.cover[unsure] = NOTHING
    date.cover[hidden] = Cover.NOT_SEEN


def _subpixel_shift(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """An image moved by a fraction of a pixel or two, as dates never lie exactly on each other."""
    moved_pixels = cv2.warpAffine(
        image,
        _move(*rng.normal(0, 0.8, 2)),
        (SIDE_PX, SIDE_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(moved_pixels, np.float32)


def _move(right_px: float, down_px: float) -> NDArray[np.float32]:
    """The matrix of a translation, as OpenCV takes it."""
    return np.array([[1, 0, right_px], [0, 1, down_px]], np.float32)
