"""The features of changes that a head is given: one row of numbers a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from geochg.classes import CLASSES
from geochg.features.descriptors import PIXEL_SUMS, Descriptors
from geochg.features.judging import ChangeFacts
from geochg.records import Change

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
"""Version of these features; a head of another one is refused."""

_SHAPE = ("log_area_m2", "compactness", "solidity")
_PIXELS = (
    *("change_within", "change_around", "difference_within", "difference_around"),
    *("contrast_before", "contrast_after", "spread_before", "spread_after"),
)
_LEAST = 1e-6


class FeatureTable(NamedTuple):
    """Rows of features.

    Attributes:
        names: Name of each column.
        values: `(n, columns)` float32, finite.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]


def feature_table(facts: ChangeFacts, descriptors: Descriptors) -> FeatureTable:
    """The features of changes.

    Shape and size; class and direction; of the pixels how much they differ between the dates and
    from what is around, relative to their brightness. With dense features also means of their
    surfaces within and around, and of the encoding before, after, and the difference; without, the
    model's confidence.

    Args:
        facts: The changes.
        descriptors: What the images show of them.
    """
    blocks = [
        (_SHAPE, _shape(facts)),
        _kinds(facts.kinds),
        (_PIXELS, _pixels(descriptors)),
    ]
    inner, outer, encoding = _means(descriptors)
    surfaces = inner.shape[1] - PIXEL_SUMS
    if surfaces:
        for name, means in (("within", inner), ("around", outer)):
            names = tuple(f"surface_{n}_{name}" for n in range(surfaces))
            blocks.append((names, means[:, PIXEL_SUMS:]))
        before, after = np.split(encoding, 2, axis=1)
        for name, values in (("before", before), ("after", after), ("change", after - before)):
            names = tuple(f"encoding_{n}_{name}" for n in range(values.shape[1]))
            blocks.append((names, values))
    else:
        blocks.append((("confidence", "is_measured"), _confidence(facts.confidence)))
    return FeatureTable(
        tuple(name for names, _ in blocks for name in names),
        np.nan_to_num(np.concatenate([values for _, values in blocks], axis=1)).astype(np.float32),
    )


def _shape(facts: ChangeFacts) -> NDArray[np.float64]:
    area = np.maximum(shapely.area(facts.polygons), 1e-300)
    hulls = np.maximum(shapely.area(shapely.convex_hull(facts.polygons)), 1e-300)
    compactness = np.log(np.maximum(shapely.length(facts.polygons) ** 2 / area, 1))
    log_area = np.log(np.maximum(facts.area_m2, _LEAST))
    return np.column_stack((log_area, compactness, area / hulls))


def _kinds(kinds: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Which of the known classes and directions each is of."""
    changes = tuple(str(change) for change in Change)
    names = (*(f"class_{name}" for name in CLASSES), *(f"change_{name}" for name in changes))
    values = np.zeros((len(kinds), len(names)))
    for row, (class_name, change) in enumerate(kinds):
        if class_name in CLASSES:
            values[row, CLASSES.index(class_name)] = 1
        if change in changes:
            values[row, len(CLASSES) + changes.index(change)] = 1
    return names, values


def _means(descriptors: Descriptors) -> Descriptors:
    """Means over the pixels; what is around a change without surroundings is like the change."""
    within_px = np.maximum(descriptors.within[:, :1], 1)
    around_px = descriptors.around[:, :1]
    inner = descriptors.within / within_px
    outer = np.where(around_px > 0, descriptors.around / np.maximum(around_px, 1), inner)
    return Descriptors(inner, outer, descriptors.encoding / within_px)


def _pixels(descriptors: Descriptors) -> NDArray[np.float64]:
    """What the pixels tell, in shares of their brightness, whatever their unit."""
    inner, outer, _ = _means(descriptors)
    first, last, difference, first_square, last_square = inner[:, 1:PIXEL_SUMS].T
    first_around, last_around, difference_around = outer[:, 1:4].T
    level = np.abs(np.stack((first, last, first_around, last_around))).mean(axis=0)
    spreads = [
        np.sqrt(np.maximum(square - mean**2, 0))
        for square, mean in ((first_square, first), (last_square, last))
    ]
    values = (
        *(last - first, last_around - first_around, difference, difference_around),
        *(first - first_around, last - last_around, *spreads),
    )
    shares: NDArray[np.float64] = np.column_stack(values) / np.maximum(level, _LEAST)[:, None]
    return shares


def _confidence(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    is_measured = ~np.isnan(confidence)
    shares = np.clip(np.where(is_measured, confidence, 0.5), 1e-3, 1 - 1e-3)
    return np.column_stack((np.log(shares / (1 - shares)), is_measured))
