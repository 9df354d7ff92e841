"""Drawn ground: six kinds, each with its texture, at two dates of other light, with the truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geochg.class_list import ListedClass

KINDS = tuple(
    ListedClass(name, prompt=prompt, class_name=class_name)
    for name, prompt, class_name in (
        ("meadow", "a meadow", "vegetation"),
        ("forest", "a forest", "vegetation"),
        ("houses", "houses", "building"),
        ("bare ground", "bare ground", "bare"),
        ("lake", "a lake", "water"),
        ("road", "a road", "road"),
    )
)
Rng = np.random.Generator
_COLORS = np.array(
    [[110, 150, 80], [40, 80, 45], [120, 140, 95], [185, 160, 120], [35, 60, 95], [130, 130, 135]],
    float,
)
_GRAIN = ((3, 8.0), (1.5, 22.0), (1, 6.0), (4, 8.0), (5, 4.0), (1, 5.0))
"""Size and strength of the texture of each kind."""
_ROOFS = np.array([190.0, 90, 75])[:, None, None]


class Scene(NamedTuple):
    """Two dates.

    Attributes:
        images: Each `(3, side, side)` uint8.
        kinds: Each `(side, side)`, index into `KINDS`.
    """

    images: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    kinds: tuple[NDArray[np.intp], NDArray[np.intp]]


def scene(rng: Rng, side_px: int, patches: int, changed: int) -> Scene:
    """Patches of ground, some of which are of another kind at the second date, in other light."""
    region = _regions(side_px, patches, rng)
    before = rng.integers(0, len(KINDS), patches)
    after = before.copy()
    for number in rng.permutation(patches)[:changed]:
        after[number] = (before[number] + rng.integers(1, len(KINDS))) % len(KINDS)
    dates = before[region], after[region]
    light = (1 + rng.uniform(-0.12, 0.12, 3), rng.uniform(-10, 10, 3))
    usual = (np.ones(3), np.zeros(3))
    return Scene((_image(dates[0], usual, rng), _image(dates[1], light, rng)), dates)


def samples(rng: Rng, count: int, side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Images of `side_px` that show mostly one kind, and which."""
    images, labels = [], []
    while len(images) < count:
        kinds = rng.integers(0, len(KINDS), 6)[_regions(2 * side_px, 6, rng)]
        light = (1 + rng.uniform(-0.15, 0.15, 3), rng.uniform(-12, 12, 3))
        image = _image(kinds, light, rng)
        for _ in range(12):
            side = int(rng.integers(side_px // 2, side_px + 1))
            row, col = rng.integers(0, 2 * side_px - side + 1, 2)
            part = (slice(row, row + side), slice(col, col + side))
            shares = np.bincount(kinds[part].ravel(), minlength=len(KINDS)) / side**2
            if shares.max() < 0.55:
                continue
            nearest = np.arange(side_px) * side // side_px
            images.append(image[:, *part][:, nearest][:, :, nearest])
            labels.append(int(shares.argmax()))
    return np.stack(images[:count]), np.array(labels[:count])


def _regions(side_px: int, count: int, rng: Rng) -> NDArray[np.intp]:
    """`(side, side)` number of the patch of each pixel, with winding borders."""
    points = rng.uniform(0, side_px, (count, 2))
    bends = [60 * ndimage.gaussian_filter(rng.normal(size=(side_px, side_px)), 8) for _ in "yx"]
    rows, cols = np.mgrid[:side_px, :side_px]
    distances = [(rows + bends[0] - row) ** 2 + (cols + bends[1] - col) ** 2 for row, col in points]
    return np.argmin(distances, axis=0)


def _image(
    kinds: NDArray[np.intp], light: tuple[NDArray[np.float64], NDArray[np.float64]], rng: Rng
) -> NDArray[np.uint8]:
    image = np.zeros((3, *kinds.shape))
    for kind in np.unique(kinds):
        inside = kinds == kind
        image[:, inside] = _texture(int(kind), kinds.shape, rng)[:, inside]
    image = ndimage.gaussian_filter(image, (0, 0.6, 0.6)) + 3 * rng.normal(size=image.shape)
    gain, offset = (part[:, None, None] for part in light)
    return (image * gain + offset).clip(0, 255).astype(np.uint8)


def _texture(kind: int, shape: tuple[int, ...], rng: Rng) -> NDArray[np.float64]:
    size, strength = _GRAIN[kind]
    grain = 2 * size * strength * ndimage.gaussian_filter(rng.normal(size=shape), size)
    ground = np.broadcast_to(_COLORS[kind][:, None, None], (3, *shape))
    if KINDS[kind].name == "houses":
        rows, cols = (np.mgrid[: shape[0], : shape[1]] + rng.integers(0, 16, 2)[:, None, None]) % 16
        ground = np.where((rows < 10) & (cols < 10), _ROOFS, ground)
    return ground + grain
