"""Tiles as images."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from geochg.records import Tile


def rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three bands; one band is shown as grey.

    Args:
        values: `(bands, height, width)`, one band or at least three.
    """
    return values[:3] if len(values) >= 3 else np.repeat(values[:1], 3, axis=0)


def filled(values: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Three bands in which what is not valid has the mean colour of what is.

    Args:
        values: As for `rgb`.
        valid: `(height, width)` bool.
    """
    image = rgb(values)
    if valid.all():
        return image
    mean = image[:, valid].mean(axis=1).astype(np.uint8)
    return np.where(valid, image, mean[:, None, None])


def rgb_image(values: NDArray[np.uint8]) -> Image:
    """One date of a tile as a Pillow image; `values` as for `rgb`."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(rgb(values).transpose(1, 2, 0)))


def date_images(tile: Tile) -> tuple[Image, ...]:
    """The dates of a tile as Pillow images, the earliest first."""
    return tuple(rgb_image(date) for date in tile.dates)


def all_date_images(tiles: Iterable[Tile]) -> list[Image]:
    """All dates of each tile, one tile after the other."""
    return [date for tile in tiles for date in date_images(tile)]


def resized(image: Image, longest_px: int) -> Image:
    """An image whose longer side has so many pixels, in the same proportions."""
    from PIL.Image import Resampling

    factor = longest_px / max(image.size)
    width, height = (max(1, round(factor * side)) for side in image.size)
    return image.resize((width, height), Resampling.LANCZOS)


def png_data_uri(values: NDArray[np.uint8], longest_px: int | None = None) -> str:
    """One date of a tile as a PNG within a `data:` address.

    Args:
        values: As for `rgb`.
        longest_px: Pixels of the longer side of the PNG; None for those of the tile.
    """
    file, image = BytesIO(), rgb_image(values)
    (image if longest_px is None else resized(image, longest_px)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
