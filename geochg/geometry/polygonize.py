"""From a raster of classes to the polygons of its connected pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from geochg.geometry.lattice import polygons_of
from geochg.geometry.pieces import label_pieces
from geochg.records import PixelWindow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry


def labelled_pieces(
    channel: NDArray[np.intp], changed: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], list[int]]:
    """Labels of the 4-connected pieces of each channel.

    Args:
        channel: `(height, width)` the channel at each pixel.
        changed: `(height, width)` where it counts.

    Returns:
        `(height, width)` labels from 1, 0 where nothing counts, and the channel of each label.
    """
    labels = np.zeros(channel.shape, np.int32)
    channel_of: list[int] = []
    for index in np.unique(channel[changed]).tolist():
        labels_of_channel, count = label_pieces(changed & (channel == index))
        labels += np.where(labels_of_channel, labels_of_channel + len(channel_of), 0).astype(
            np.int32
        )
        channel_of += [index] * count
    return labels, channel_of


def piece_polygons(labels: NDArray[np.int32], window: PixelWindow) -> NDArray[np.object_]:
    """The polygons of labelled pieces.

    Args:
        labels: `(height, width)` what `labelled_pieces` gives, with at least one piece.
        window: Where the labels lie on the grid.

    Returns:
        `(pieces,)` valid polygons in order of the labels, in grid pixels, holes kept.
    """
    from rasterio.features import shapes
    from rasterio.transform import Affine

    transform = Affine.translation(window.col_start, window.row_start)
    pieces = list(shapes(labels, mask=labels > 0, connectivity=4, transform=transform))
    pieces.sort(key=lambda shape: shape[1])
    rings = [(i, ring) for i, (shape, _) in enumerate(pieces) for ring in shape["coordinates"]]
    vertices = np.array([vertex for _, ring in rings for vertex in ring])
    ring_of_vertex = np.repeat(np.arange(len(rings)), [len(ring) for _, ring in rings])
    return polygons_of(vertices, ring_of_vertex, np.array([i for i, _ in rings]))


def piece_labels(polygons: Sequence[BaseGeometry], window: PixelWindow) -> NDArray[np.int32]:
    """The pixels of a window whose centres lie in polygons; where two overlap, the later one's.

    Args:
        polygons: In grid pixels.
        window: The window.

    Returns:
        `(height, width)` number of the polygon from 1, 0 where none is.
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    shape = (window.height_px, window.width_px)
    shapes = [(polygon, n) for n, polygon in enumerate(polygons, 1) if not polygon.is_empty]
    if not shapes:
        return np.zeros(shape, np.int32)
    transform = Affine.translation(window.col_start, window.row_start)
    return np.asarray(rasterize(shapes, shape, transform=transform, dtype="int32"), np.int32)
