"""Reads the images of a series, one after the other, and measures each place at each date."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.events import Listener, Progress
from geochg.records import CANNOT_TELL, LAND_COVER, Tile, TileFailure
from geochg.tiling.date_reader import DatePlan
from geochg.tiling.pair_checks import Remark
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.timeseries.date_covers import CoverPart, DateCovers, cover_layout, unreadable
from geochg.timeseries.images import SeriesImages, brief_remarks
from geochg.timeseries.options import SeriesOptions
from geochg.timeseries.place_observations import DateQuality, PlaceObservations
from geochg.timeseries.places import Members, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray

_THREADS = 2
"""Threads that read windows ahead; tiles of many bands would fill the memory with more."""


class ObservedSeries(NamedTuple):
    """All that was read.

    Attributes:
        observations: The observations of the places.
        quality: How much of the ground each date shows.
        remarks: What is remarkable about the pixels.
    """

    observations: PlaceObservations
    quality: tuple[DateQuality, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class Observer:
    """Measures places at the dates of a series.

    Attributes:
        images: The series.
        places: The places.
        options: The options of the run.
        covers: What tells the land cover; None for nothing.
        listener: Told which date is being read.
        stop_if_cancelled: Called now and then; raises where the run is cancelled.
    """

    images: SeriesImages
    places: Places
    options: SeriesOptions
    covers: DateCovers | None
    listener: Listener
    stop_if_cancelled: Callable[[], None]

    def observe(self) -> ObservedSeries:
        """Reads all dates.

        Raises:
            RunError: If a part of an image cannot be read, or the model fails.
            CancelledRunError: If the run is cancelled.
        """
        images = self.images
        observations = PlaceObservations.empty(
            images.dates, images.bands, len(self.places), covers=self.covers is not None
        )
        quality, remarks, total = [], [], len(images.dates)
        for number in range(total):
            self.listener(Progress("dates", number, total))
            plan, of_date = images.plan(number, keep_collars=self.options.keep_collars)
            remarks.append(of_date)
            sums = self._date_sums(number, plan)
            sums.fill(observations, number)
            quality.append(self._quality(sums, observations, number))
        self.listener(Progress("dates", total, total))
        return ObservedSeries(observations, tuple(quality), tuple(brief_remarks(remarks)))

    def _date_sums(self, number: int, plan: DatePlan) -> _DateSums:
        """What the windows of a date add up to."""
        sums = _DateSums.empty(len(self.places), plan.band_count)
        for tile, part in self._windows(number, plan):
            self.stop_if_cancelled()
            core = tile.window.core
            rows, cols = core.slices_within(tile.window.read)
            valid = tile.valid[rows, cols]
            if part is not None:
                sums.count_hidden(valid, part.hidden)
                valid = valid & ~part.hidden
            sums.add(self.places.members(core), tile.before[:, rows, cols], valid, part)
        return sums

    def _windows(self, number: int, plan: DatePlan) -> Iterator[tuple[Tile, CoverPart | None]]:
        """Windows that cover the grid once by their cores, with the land cover there."""
        grid = self.images.grid
        reading = ReadPlan(plan, plan, grid, self.images.area, is_alone=True)
        threads = min(_THREADS, os.cpu_count() or 1)
        parts = iter(()) if self.covers is None else self.covers.parts(number)
        part = next(parts, None)
        for tile in read_ahead(reading, cover_layout(grid), threads):
            if isinstance(tile, TileFailure):
                raise unreadable(tile.reason)
            if part is not None and part.window == tile.window.core:
                yield tile, part
                part = next(parts, None)
            else:
                yield tile, None

    def _quality(
        self, sums: _DateSums, observations: PlaceObservations, number: int
    ) -> DateQuality:
        total_px = int(sums.pixels.sum())
        is_enough = observations.seen[number] >= self.options.least_valid
        return DateQuality(
            self.images.dates[number].text,
            float(sums.seen.sum()) / total_px if total_px else 0.0,
            sums.hidden_px / sums.measured_px if self.covers and sums.measured_px else None,
            int(np.count_nonzero(is_enough & (observations.pixels > 0))),
        )


@dataclass(eq=False)
class _DateSums:
    """Sums over the pixels of each place at one date.

    Attributes:
        pixels: `(places,)` number of pixels.
        seen: `(places,)` number of those that are seen.
        values: `(bands, places)` sums of the seen pixels.
        covers: `(len(LAND_COVER), places)` seen pixels of each land cover.
        measured_px: Pixels that were measured, seen or hidden.
        hidden_px: Pixels that cloud, shadow or snow hides.
    """

    pixels: NDArray[np.int64]
    seen: NDArray[np.int64]
    values: NDArray[np.float64]
    covers: NDArray[np.int64]
    measured_px: int = 0
    hidden_px: int = field(default=0)

    @classmethod
    def empty(cls, places: int, bands: int) -> _DateSums:
        return cls(
            np.zeros(places, np.int64),
            np.zeros(places, np.int64),
            np.zeros((bands, places)),
            np.zeros((len(LAND_COVER), places), np.int64),
        )

    def count_hidden(self, valid: NDArray[np.bool_], hidden: NDArray[np.bool_]) -> None:
        """Counts what is measured and what of it is hidden."""
        self.measured_px += int(np.count_nonzero(valid))
        self.hidden_px += int(np.count_nonzero(valid & hidden))

    def add(
        self,
        members: Members,
        values: NDArray[np.floating],
        valid: NDArray[np.bool_],
        part: CoverPart | None,
    ) -> None:
        """Adds a window: values `(bands, height, width)` and where they are seen."""
        count, index = len(members.places), members.positions
        self.pixels[members.places] += np.bincount(index, minlength=count)
        is_seen = _member_values(valid, members)
        index = index[is_seen]
        self.seen[members.places] += np.bincount(index, minlength=count)
        for band, plane in enumerate(values):
            weights = _member_values(plane, members)[is_seen]
            self.values[band, members.places] += np.bincount(index, weights, count)
        if part is None:
            return
        cover = _member_values(part.cover, members)[is_seen]
        is_told = cover != CANNOT_TELL
        codes = index[is_told] * len(LAND_COVER) + cover[is_told]
        counts = np.bincount(codes, minlength=count * len(LAND_COVER))
        self.covers[:, members.places] += counts.reshape(count, -1).T

    def fill(self, observations: PlaceObservations, number: int) -> None:
        """Writes the means and shares of the date into the observations."""
        observations.pixels[:] = self.pixels
        observations.seen[number] = self.seen / np.maximum(self.pixels, 1)
        seen_px = np.where(self.seen > 0, self.seen, np.nan)
        observations.values[number] = (self.values / seen_px).T
        if observations.covers is not None:
            observations.covers[number] = (self.covers / np.maximum(self.seen, 1)).T


def _member_values(plane: NDArray[np.generic], members: Members) -> NDArray[np.generic]:
    """A window's values at the pixels of its places."""
    flat = plane.ravel()
    return flat if members.pixels is None else flat[members.pixels]
