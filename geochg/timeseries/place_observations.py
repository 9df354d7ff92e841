"""What is observed of each place at each date: the share seen, means of bands, indices, covers."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import OptionError
from geochg.records import LAND_COVER
from geochg.timeseries.images import SeriesDate
from geochg.timeseries.indices import WATCHED, index_values, known_indices
from geochg.timeseries.options import SeriesOptions

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_MOST_IN_MEMORY = 2**28
"""Bytes of an array beyond which it lies in a temporary file."""


@dataclass(frozen=True, slots=True)
class DateQuality:
    """How much of the ground a date shows.

    Attributes:
        date: When the image was taken.
        valid_share: Share of the ground, 0-1, that is seen.
        cloud_share: Share of the measured ground that cloud, shadow or snow hides; None where
            nothing tells it.
        places: Number of places of which enough is seen.
    """

    date: str
    valid_share: float
    cloud_share: float | None
    places: int

    @property
    def is_empty(self) -> bool:
        """Whether no place is seen."""
        return not self.places

    def to_dict(self) -> dict[str, Any]:
        """The quality as plain JSON values."""
        cloud_share = None if self.cloud_share is None else round(self.cloud_share, 4)
        return {
            "date": self.date,
            "valid_share": round(self.valid_share, 4),
            "cloud_share": cloud_share,
            "places": self.places,
            "empty": self.is_empty,
        }


@dataclass(frozen=True, eq=False)
class PlaceObservations:
    """The observations of `N` places at `T` dates.

    Attributes:
        dates: The dates, the earliest first.
        bands: Names of the bands.
        pixels: `(N,)` int64 pixels of each place; 0 for blocks outside the area.
        values: `(T, N, bands)` float32, means over the pixels that are seen; NaN where none is.
        seen: `(T, N)` float32, share of each place that is seen, 0-1.
        covers: `(T, N, len(LAND_COVER))` float32, shares of the ground that is seen; None where
            no model tells them.
    """

    dates: tuple[SeriesDate, ...]
    bands: tuple[str, ...]
    pixels: NDArray[np.int64]
    values: NDArray[np.float32]
    seen: NDArray[np.float32]
    covers: NDArray[np.float32] | None

    @classmethod
    def empty(
        cls, dates: Sequence[SeriesDate], bands: Sequence[str], places: int, *, covers: bool
    ) -> PlaceObservations:
        """Room for observations of so many places, with land covers or without."""
        shape = (len(dates), places)
        return cls(
            tuple(dates),
            tuple(bands),
            np.zeros(places, np.int64),
            room((*shape, len(bands))),
            room(shape),
            room((*shape, len(LAND_COVER))) if covers else None,
        )

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        """`(T,)` datetime64[D]: the day that stands for each date."""
        return np.array([date.day for date in self.dates], "datetime64[D]")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all that is observed: bands, indices, land covers."""
        return observed_columns(self.bands, covers=self.covers is not None)

    def column(self, name: str, places: slice = slice(None)) -> NDArray[np.float64]:
        """`(n, T)` float64: a column of some places; NaN where nothing is seen."""
        if name in self.bands:
            values = self.values[:, places, self.bands.index(name)]
            return np.asarray(values, np.float64).T
        if name in LAND_COVER and self.covers is not None:
            values = self.covers[:, places, LAND_COVER.index(name)]
            return np.where(self.seen[:, places] > 0, values, np.nan).astype(np.float64).T
        layers = np.moveaxis(np.asarray(self.values[:, places], np.float64), -1, 0)
        flat = index_values(name, self.bands, layers.reshape(len(self.bands), -1))
        return flat.reshape(layers.shape[1:]).T

    def table(self, names: Sequence[str], places: slice, least_valid: float) -> NDArray[np.float64]:
        """`(n, T, F)` float64: columns of some places; NaN where too little of a place is seen."""
        columns = np.stack([self.column(name, places) for name in names], axis=-1)
        columns[(self.seen[:, places] < least_valid).T] = np.nan
        return columns


def observed_columns(bands: Sequence[str], *, covers: bool) -> tuple[str, ...]:
    """Names of all that is observed of places with some bands, with land covers or without."""
    return (*bands, *known_indices(bands), *(LAND_COVER if covers else ()))


def watched_columns(
    bands: Sequence[str], options: SeriesOptions, *, covers: bool
) -> tuple[str, ...]:
    """The columns whose course is watched.

    Raises:
        OptionError: If one that is asked for is not observed.
    """
    columns = observed_columns(bands, covers=covers)
    if unknown := [name for name in options.watch if name not in columns]:
        raise OptionError(
            f"nothing is observed that is called {unknown[0]!r}",
            f"columns to watch: {', '.join(columns)}",
        )
    usual = tuple(name for name in WATCHED if name in columns)
    return tuple(dict.fromkeys(options.watch)) or usual or tuple(bands)


def room(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """An array of zeros, in a temporary file where it is large."""
    if np.dtype(dtype).itemsize * math.prod(shape) <= _MOST_IN_MEMORY:
        return np.zeros(shape, dtype)
    # The array holds the file, which is gone with it.
    with tempfile.TemporaryFile(prefix="geochg-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)
