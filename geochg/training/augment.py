"""What is varied each time a drawn pair is seen, so that few pairs teach much.

The two dates are varied independently in colour, sharpness and place, which change detectors must
not mind, and together in orientation, order and scale, which they must follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

_SWAPPED = (0, 2, 1, 3)
"""Directions when the dates change places: appeared and disappeared do so too."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly pairs are varied; shares are probabilities from 0 to 1.

    Attributes:
        side_px: Side of the square that is seen of each pair; None for all of it.
        zoom: Greatest factor by which a pair is enlarged.
        shrink: Greatest factor by which a pair is reduced, as far as `side_px` leaves room.
        color: Greatest relative change of brightness, contrast and each band's gain.
        mixing: Greatest share of a band that goes into another.
        gamma: Greatest exponent, or its inverse.
        stretch_share: How often a date's bands are stretched to their 2-98 % range.
        gray_share: How often a date loses its colours.
        blur_share: How often a date is blurred.
        coarse_share: How often a date comes from a coarser sensor.
        coarse: Greatest factor by which that sensor is coarser.
        noise: Greatest standard deviation of noise, of values 0-1.
        shift_px: Greatest misplacement of a date.
    """

    side_px: int | None = None
    zoom: float = 1.6
    shrink: float = 1.0
    color: float = 0.35
    mixing: float = 0.1
    gamma: float = 1.5
    stretch_share: float = 0.2
    gray_share: float = 0.06
    blur_share: float = 0.25
    coarse_share: float = 0.25
    coarse: float = 2.5
    noise: float = 0.04
    shift_px: float = 2.0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of pairs with their truth.

    Attributes:
        before: `(batch, 3, height, width)` float32 0-1.
        after: As `before`.
        classes: `(batch, height, width)` uint8, 0 for no change.
        directions: As `classes`.
        land_before: `(batch, height, width)` uint8, what covers the ground.
        land_after: As `land_before`.
        counts: `(batch, classes, directions)` float32, changed objects; NaN where not counted.
    """

    before: Tensor
    after: Tensor
    classes: Tensor
    directions: Tensor
    land_before: Tensor
    land_after: Tensor
    counts: Tensor


def varied(batch: Batch, how: Augmentation, generator: torch.Generator) -> Batch:
    """The batch, varied; the same for the same state of the generator."""
    batch = _framed(batch, how, generator)
    if _uniform(generator) < 0.5:
        batch = _reversed(batch)
    return replace(
        batch,
        before=seen_by_sensor(batch.before, how, generator),
        after=seen_by_sensor(batch.after, how, generator),
    )


def seen_by_sensor(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """One date as another sensor, in other light and slightly misplaced, might have seen it.

    Args:
        images: `(batch, 3, height, width)` float32 0-1; each is varied in its own way.
        how: How strongly.
        generator: Of the chances.
    """
    images = _misplaced(images, _spread(images, how.shift_px, generator, 2))
    images = _some(images, how.coarse_share, generator, lambda part: _coarser(part, how, generator))
    images = _some(images, how.blur_share, generator, _blurred)
    images = _some(images, how.stretch_share, generator, _stretched)
    images = _recoloured(images, how, generator)
    images = _some(images, how.gray_share, generator, _gray)
    strength = torch.rand((len(images), 1, 1, 1), generator=generator) ** 2 * how.noise
    noise = torch.randn(images.shape, generator=generator)
    return (images + strength * noise).clamp(0, 1)


def _framed(batch: Batch, how: Augmentation, generator: torch.Generator) -> Batch:
    """A part of each pair at another scale, turned by quarters and mirrored."""
    whole_px = batch.before.shape[-1]
    side_px = how.side_px or whole_px
    frames = []
    for index in range(len(batch.before)):
        part_px = _part_px(side_px, whole_px, how, generator)
        row, col = (
            int(torch.randint(whole_px - part_px + 1, (), generator=generator)) for _ in range(2)
        )
        quarters = int(torch.randint(4, (), generator=generator))
        mirrored = _uniform(generator) < 0.5

        rasters = []
        for raster in _rasters(batch):
            part = raster[index, ..., row : row + part_px, col : col + part_px]
            part = _resized(part.flip(-1) if mirrored else part, side_px)
            rasters.append(torch.rot90(part, quarters, (-2, -1)))
        counts = batch.counts[index] if part_px == whole_px else batch.counts[index] * torch.nan
        frames.append((*rasters, counts))
    return Batch(*(torch.stack(parts) for parts in zip(*frames, strict=True)))


def _part_px(side_px: int, whole_px: int, how: Augmentation, generator: torch.Generator) -> int:
    """Side of the part of a pair that fills the frame."""
    if how.side_px is None and _uniform(generator) < 0.5:
        # Half of the pairs stay whole, since only whole pairs can be counted.
        return whole_px
    least, most = side_px / how.zoom, min(side_px * how.shrink, whole_px)
    side: float = least * (most / least) ** _uniform(generator)
    return round(side)


def _resized(image: Tensor, side_px: int) -> Tensor:
    """A part of an image (averaged) or of a mask (nearest) at the frame's size."""
    if image.shape[-1] == side_px:
        return image
    size = (side_px, side_px)
    if image.dtype == torch.uint8:
        large = functional.interpolate(image[None, None].float(), size, mode="nearest-exact")
        return large[0, 0].to(torch.uint8)
    return functional.interpolate(
        image[None], size, mode="bilinear", align_corners=False, antialias=True
    )[0].clamp(0, 1)


def _reversed(batch: Batch) -> Batch:
    """The pairs with their dates exchanged."""
    turned = torch.tensor(_SWAPPED, dtype=torch.uint8)[batch.directions.long()]
    order = [direction - 1 for direction in _SWAPPED[1:]]
    return Batch(
        batch.after,
        batch.before,
        batch.classes,
        turned,
        batch.land_after,
        batch.land_before,
        batch.counts[:, :, order],
    )


def _recoloured(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    bands = torch.eye(3) + _spread(images, how.mixing, generator, 3, 3)
    images = torch.einsum("nij,njhw->nihw", bands / bands.sum(2, keepdim=True), images)
    gain = (
        1
        + _spread(images, how.color, generator, 1, 1, 1)
        + _spread(images, how.color / 2, generator, 3, 1, 1)
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    contrast = 1 + _spread(images, how.color, generator, 1, 1, 1)
    images = (images - mean) * contrast + mean * gain
    exponent = torch.pow(how.gamma, _spread(images, 1.0, generator, 1, 1, 1))
    return torch.pow(images.clamp(0, 1), exponent)


def _coarser(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    side_px = images.shape[-1]
    small_px = round(side_px / (1 + (how.coarse - 1) * _uniform(generator)))
    small = functional.interpolate(
        images, (small_px, small_px), mode="bilinear", align_corners=False, antialias=True
    )
    return functional.interpolate(small, (side_px, side_px), mode="bilinear", align_corners=False)


def _blurred(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)


def _stretched(images: Tensor) -> Tensor:
    """Each band from its 2nd to its 98th percentile, as geochg shows rasters that are not bytes."""
    values = images[..., ::4, ::4].flatten(2)
    low, high = torch.quantile(values, torch.tensor([0.02, 0.98]), dim=2)[..., None, None]
    found: Tensor = ((images - low) / (high - low).clamp(min=0.05)).clamp(0, 1)
    return found


def _gray(images: Tensor) -> Tensor:
    return images.mean(1, keepdim=True).expand_as(images)


def _misplaced(images: Tensor, shift_px: Tensor) -> Tensor:
    """Images moved by fractions of pixels, `(batch, 2)` x and y; edges are repeated."""
    count, _, height, width = images.shape
    move = torch.eye(2, 3).repeat(count, 1, 1)
    move[:, 0, 2] = shift_px[:, 0] * 2 / width
    move[:, 1, 2] = shift_px[:, 1] * 2 / height
    place = functional.affine_grid(move, list(images.shape), align_corners=False)
    return functional.grid_sample(images, place, padding_mode="border", align_corners=False)


def _some(
    images: Tensor, share: float, generator: torch.Generator, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """The images, a share of them changed."""
    chosen = torch.rand(len(images), generator=generator) < share
    if not chosen.any():
        return images
    images = images.clone()
    images[chosen] = change(images[chosen])
    return images


def _spread(images: Tensor, width: float, generator: torch.Generator, *shape: int) -> Tensor:
    """A value for each image, between plus and minus the width."""
    return (torch.rand((len(images), *shape), generator=generator) * 2 - 1) * width


def _rasters(batch: Batch) -> tuple[Tensor, ...]:
    """All that lies on the pixels."""
    return (
        batch.before,
        batch.after,
        batch.classes,
        batch.directions,
        batch.land_before,
        batch.land_after,
    )


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
