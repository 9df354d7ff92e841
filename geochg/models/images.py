"""Tiles as pictures."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


def rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three bands; one band is shown as grey.

    Args:
        values: `(bands, height, width)`, one band or at least three.
    """
    return values[:3] if len(values) >= 3 else np.repeat(values[:1], 3, axis=0)


def picture(values: NDArray[np.uint8]) -> Image:
    """One date of a tile as a Pillow image; `values` as `rgb`."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(rgb(values).transpose(1, 2, 0)))


def data_uri(values: NDArray[np.uint8]) -> str:
    """One date of a tile as a PNG within a `data:` address; `values` as `rgb`."""
    file = BytesIO()
    picture(values).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
