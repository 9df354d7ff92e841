"""A drawn series of reflectances: fields with a season, of which a part is flooded for good."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasters import ORIGIN, put

FLOODED = (slice(8, 16), slice(4, 12))
"""Rows and columns that become water."""

FIRST, STEP_DAYS = np.datetime64("2018-01-10"), 30


@dataclass(frozen=True)
class DrawnDates:
    """The files of a series.

    Attributes:
        paths: The files, the earliest first.
        days: When they were taken.
        flood: Number of the first date after the flood.
    """

    paths: list[Path]
    days: list[str]
    flood: int


def draw_dates(folder, count=40, flood=26, hidden=(), side=24, seed=0):
    """Writes a series of red, green, blue and near infrared, uint16 reflectance x 10,000.

    Args:
        folder: Where to write.
        count: Number of dates, a month apart.
        flood: Number of the first date after the flood.
        hidden: Numbers of dates of which nothing is seen: nodata 0 throughout.
        side: Sides of the grid in pixels of 10 m.
        seed: Seed of the noise.
    """
    rng = np.random.default_rng(seed)
    paths, days = [], []
    for number in range(count):
        day = FIRST + number * STEP_DAYS
        season = np.sin(2 * np.pi * (number * STEP_DAYS) / 365.25)
        bands = np.empty((4, side, side))
        bands[:] = np.array([900, 800, 600, 2600 + 700 * season])[:, None, None]
        if number >= flood:
            bands[:, *FLOODED] = np.array([400, 700, 600, 300])[:, None, None]
        values = np.clip(bands + rng.normal(0, 30, bands.shape), 1, 10_000).astype(np.uint16)
        if number in hidden:
            values[:] = 0
        path = put(folder / f"scene_{day}.tif", values, nodata=0, transform=ORIGIN)
        name_bands(path)
        paths.append(path)
        days.append(str(day))
    return DrawnDates(paths, days, flood)


def name_bands(path, names=("red", "green", "blue", "nir")):
    """Writes what the bands show into a file."""
    import rasterio

    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = names
