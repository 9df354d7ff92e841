"""What is varied each time a drawn pair is seen, so that few pairs teach much.

The two dates are varied independently in colour, sharpness and place, which change detectors must
not mind, and together in orientation and order, which they must follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_SWAPPED = (0, 2, 1, 3)
"""Directions when the dates change places: appeared and disappeared do so too."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly pairs are varied; shares are probabilities from 0 to 1.

    Attributes:
        color: Greatest relative change of brightness, contrast and each band's gain.
        gamma: Greatest exponent, or its inverse.
        gray_share: How often a date loses its colours.
        blur_share: How often a date is blurred.
        noise: Greatest standard deviation of noise, of values 0-1.
        shift_px: Greatest misplacement of a date.
        zoom: Greatest factor by which a pair is enlarged.
    """

    color: float = 0.3
    gamma: float = 1.4
    gray_share: float = 0.08
    blur_share: float = 0.25
    noise: float = 0.04
    shift_px: float = 1.5
    zoom: float = 1.6


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of pairs with their truth.

    Attributes:
        before: `(batch, 3, height, width)` float32 0-1.
        after: As `before`.
        classes: `(batch, height, width)` uint8, 0 for no change.
        directions: As `classes`.
    """

    before: Tensor
    after: Tensor
    classes: Tensor
    directions: Tensor


def varied(batch: Batch, how: Augmentation, generator: torch.Generator) -> Batch:
    """The batch, varied; the same for the same state of the generator."""
    batch = _turned(batch, generator)
    batch = _zoomed(batch, how, generator)
    if _chance(0.5, generator):
        directions = torch.tensor(_SWAPPED, dtype=torch.uint8)[batch.directions.long()]
        batch = Batch(batch.after, batch.before, batch.classes, directions)
    return Batch(
        _shot(batch.before, how, generator),
        _shot(batch.after, how, generator),
        batch.classes,
        batch.directions,
    )


def _turned(batch: Batch, generator: torch.Generator) -> Batch:
    """Flipped and turned by quarters, the whole batch alike."""
    quarters = int(torch.randint(4, (), generator=generator))
    flip = _chance(0.5, generator)

    def turn(images: Tensor) -> Tensor:
        images = images.flip(-1) if flip else images
        return torch.rot90(images, quarters, (-2, -1))

    return Batch(*(turn(part) for part in _parts(batch)))


def _zoomed(batch: Batch, how: Augmentation, generator: torch.Generator) -> Batch:
    """A part of each pair, enlarged; half of the batches are left as they are."""
    if how.zoom <= 1 or _chance(0.5, generator):
        return batch
    side_px = batch.before.shape[-1]
    part_px = int(side_px / (1 + (how.zoom - 1) * _uniform(generator)))
    row, col = (
        int(torch.randint(side_px - part_px + 1, (), generator=generator)) for _ in range(2)
    )

    def cut(images: Tensor) -> Tensor:
        return images[..., row : row + part_px, col : col + part_px]

    def enlarge(images: Tensor) -> Tensor:
        return functional.interpolate(
            cut(images), (side_px, side_px), mode="bilinear", align_corners=False
        )

    def repeat(masks: Tensor) -> Tensor:
        large = functional.interpolate(cut(masks)[:, None].float(), (side_px, side_px))
        return large[:, 0].to(torch.uint8)

    return Batch(
        enlarge(batch.before), enlarge(batch.after), repeat(batch.classes), repeat(batch.directions)
    )


def _shot(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """One date as another sensor, in other light and slightly misplaced, might have seen it."""
    count = len(images)

    def spread(width: float, *shape: int) -> Tensor:
        return (torch.rand((count, *shape), generator=generator) * 2 - 1) * width

    images = _misplaced(images, spread(how.shift_px, 2))
    gain = 1 + spread(how.color, 1, 1, 1) + spread(how.color / 2, 3, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (1 + spread(how.color, 1, 1, 1)) + mean * gain
    images = images.clamp(0, 1) ** (how.gamma ** spread(1.0, 1, 1, 1))
    gray = torch.rand((count, 1, 1, 1), generator=generator) < how.gray_share
    images = torch.where(gray, images.mean(1, keepdim=True), images)
    soft = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    blurred = torch.rand((count, 1, 1, 1), generator=generator) < how.blur_share
    images = torch.where(blurred, soft, images)
    strength = torch.rand((count, 1, 1, 1), generator=generator) ** 2 * how.noise
    noise = torch.randn(images.shape, generator=generator)
    return (images + strength * noise).clamp(0, 1)


def _misplaced(images: Tensor, shift_px: Tensor) -> Tensor:
    """Images moved by fractions of pixels, `(batch, 2)` x and y; edges are repeated."""
    count, _, height, width = images.shape
    move = torch.eye(2, 3).repeat(count, 1, 1)
    move[:, 0, 2] = shift_px[:, 0] * 2 / width
    move[:, 1, 2] = shift_px[:, 1] * 2 / height
    place = functional.affine_grid(move, list(images.shape), align_corners=False)
    return functional.grid_sample(images, place, padding_mode="border", align_corners=False)


def _parts(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return batch.before, batch.after, batch.classes, batch.directions


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _chance(share: float, generator: torch.Generator) -> bool:
    return _uniform(generator) < share
