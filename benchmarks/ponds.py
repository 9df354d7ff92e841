"""New water of the example ponds, 2012 to 2014, which their near infrared shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy.ndimage import binary_opening

from geochg import AnalyzeOptions, analyze
from geochg.datasets.georeferenced_mask import GeoreferencedMask, bands_on, covered_by
from geochg.models.base import ChangeModel

EXAMPLES = Path(__file__).parents[1] / "examples"
BEFORE, AFTER = EXAMPLES / "ponds_2012.tif", EXAMPLES / "ponds_2014.tif"
VISIBLE = ("red=1", "green=2", "blue=3")

DARKEST_LAND_2012 = 120
"""Near infrared (8 bit) in the valley of its histogram: below it lies water."""

LEAST_WATER_2014 = 0.4
"""NDWI (McFeeters 1996) in the valley of its histogram: above it lies water."""


@dataclass(frozen=True)
class NewWater:
    """What one way to ask found.

    Attributes:
        asked: The model, and the bands that it was given.
        found_ha: Area of the features "water appeared".
        right_ha: Of these, what is new water by its infrared.
        any_ha: New water that lies in any feature.
    """

    asked: str
    found_ha: float
    right_ha: float
    any_ha: float


def new_water() -> GeoreferencedMask:
    """Land of 2012 that is water in 2014.

    The two dates need measures of their own: muddy ponds of 2012 look like bare soil to NDWI, and
    dark soil of 2014 like water to the infrared alone. Specks of a few pixels are dropped.
    """
    with rasterio.open(BEFORE) as raster:
        everywhere = np.ones(raster.shape, bool)
        grid = GeoreferencedMask(~everywhere, everywhere, raster.transform, raster.crs)
    before, after = bands_on(BEFORE, grid), bands_on(AFTER, grid)
    known = before.any(axis=0) & after.any(axis=0)
    green, infrared = after[1], after[3]
    water = (green - infrared) / np.maximum(green + infrared, 1) > LEAST_WATER_2014
    land = before[3] >= DARKEST_LAND_2012
    opened: NDArray[np.bool_] = binary_opening(water & land & known, iterations=2)
    return GeoreferencedMask(opened, known, grid.transform, grid.crs)


def hectares(pixels: NDArray[np.bool_], label: GeoreferencedMask) -> float:
    """The area of pixels of a grid in metres."""
    return float(pixels.sum() * abs(label.transform.determinant) / 1e4)


def measured(models: dict[str, ChangeModel]) -> tuple[float, list[NewWater]]:
    """The hectares of new water, and what each model finds, with and without the infrared."""
    truth = new_water()
    ways = [(name, bands) for name in models for bands in ((), VISIBLE)]
    return hectares(truth.changed, truth), [
        _found(name, bands, models[name], truth) for name, bands in ways
    ]


def _found(
    name: str, bands: tuple[str, ...], model: ChangeModel, truth: GeoreferencedMask
) -> NewWater:
    layer = analyze(BEFORE, AFTER, AnalyzeOptions(model=name, bands=bands), model=model).features
    is_new = (layer["class"] == "water") & (layer["change"] == "appeared")
    water, anything = covered_by(layer[is_new], truth), covered_by(layer, truth)
    return NewWater(
        f"{name}, {'red, green and blue' if bands else 'all four bands'}",
        hectares(water, truth),
        hectares(water & truth.changed, truth),
        hectares(anything & truth.changed, truth),
    )
