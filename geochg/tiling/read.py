"""Windows to arrays, ahead of the model: threads read while the model works."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from geochg.errors import InputError
from geochg.records import DisplayRanges, PixelWindow, Tile, TileFailure, TileWindow
from geochg.safety.untrusted_text import cleaned
from geochg.tiling.aoi import Area
from geochg.tiling.date_reader import DatePlan, DateReader

RUN_TILES = 4
"""Neighbouring tiles of a row that one thread reads."""

AHEAD_TILES = 2 * RUN_TILES
"""Tiles read ahead of whoever takes them, for each thread of a date."""


@dataclass(frozen=True)
class ReadPlan:
    """How a pair or a series is read: all that a thread or a process needs to open its readers.

    Attributes:
        before: The before date.
        after: The after date.
        grid: The common grid.
        area: Area of interest on the grid; None for all of it.
        between: Dates of a series between these two, for models that take them all.
        is_alone: Whether both dates are one, which is read once.
    """

    before: DatePlan
    after: DatePlan
    grid: GeoBox
    area: Area | None = None
    between: tuple[DatePlan, ...] = ()
    is_alone: bool = False

    @property
    def dates(self) -> tuple[DatePlan, ...]:
        """All dates, the earliest first."""
        if self.is_alone:
            return (self.before,)
        return self.before, *self.between, self.after

    @property
    def display_ranges(self) -> tuple[DisplayRanges, ...] | None:
        """See `Tile`; None where values are read, or where something is taken off them first."""
        stretches = [date.stretch for date in self.dates if date.centring is None]
        ranges = tuple(stretch.ranges for stretch in stretches if stretch is not None)
        return ranges if len(ranges) == len(self.dates) else None


class PairReader:
    """Reads source values of both dates, side by side; not to be shared between threads.

    Raises:
        InputError: On opening, if a raster has gone or changed its kind.
    """

    def __init__(self, plan: ReadPlan) -> None:
        self._before = DateReader(plan.before, plan.grid)
        try:
            self._after = DateReader(plan.after, plan.grid)
        except BaseException:
            self._before.close()
            raise
        self._after_thread = ThreadPoolExecutor(1, "geochg-after")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._after_thread.shutdown()
        self._before.close()
        self._after.close()

    def read_values(
        self,
        window: PixelWindow,
        shape_px: tuple[int, int] | None = None,
        *,
        as_stored: bool = False,
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]], NDArray[np.bool_]]:
        """Reads source values of both dates, neither matched nor stretched.

        Args:
            window: Within the grid.
            shape_px: Rows and columns to decimate to, from overviews where there are any; None
                for full resolution.
            as_stored: Whether to give them as the files have them, not centred, as float64.

        Returns:
            Before and after, `(bands, height, width)` float32, 0 where not valid, and where both
            are valid, `(height, width)` bool.

        Raises:
            RasterioError: If a raster cannot be read there.
        """
        dtype = np.float64 if as_stored else np.float32
        read = DateReader.read_stored if as_stored else DateReader.read
        # What takes long is waiting for a server, or unpacking.
        after_read = self._after_thread.submit(read, self._after, window, shape_px)
        before, before_valid = read(self._before, window, shape_px)
        after, after_valid = after_read.result()
        valid = before_valid & after_valid
        return (
            _blank_invalid(before.astype(dtype), valid),
            _blank_invalid(after.astype(dtype), valid),
            valid,
        )


def read_ahead(
    plan: ReadPlan, windows: Iterable[TileWindow], workers: int
) -> Generator[Tile | TileFailure, None, None]:
    """Reads tiles in order, a few ahead of whoever takes them.

    Each date has threads of its own, each with its own open raster, and a thread reads runs of
    neighbouring tiles: they share blocks, which GDAL keeps for one open raster only.

    A tile that cannot be read is tried once more with the raster opened anew, then given as a
    `TileFailure`. Memory stays flat: at most `AHEAD_TILES` tiles a thread are held.

    Args:
        plan: How the pair is read.
        windows: The tiles wanted, in order.
        workers: Reading threads for all dates together; at least one for each.
    """
    count = max(1, workers // len(plan.dates))
    dates = [_DateThreads(date, plan.grid, count) for date in plan.dates]
    pending: deque[tuple[TileWindow, list[Future[_Read]]]] = deque()
    try:
        for window in windows:
            pending.append((window, [date.submit(window) for date in dates]))
            if len(pending) >= AHEAD_TILES * count:
                yield _tile(plan, *pending.popleft())
        while pending:
            yield _tile(plan, *pending.popleft())
    finally:
        for date in dates:
            date.stop()
        with ExitStack() as stack:
            for date in dates:
                stack.enter_context(closing(date))


@dataclass(frozen=True, slots=True)
class _Unread:
    """Why one date of a tile could not be read, in one line; see `TileFailure`."""

    reason: str
    is_permanent: bool


_Read = tuple[NDArray[Any], NDArray[np.bool_]] | _Unread
"""Values and validity of one date, or why it could not be read."""

_BARRED = re.compile(r"HTTP (?:response|error) code\s*:?\s*(?:401|403|404|410|451)\b", re.I)
"""What GDAL says where a server will not give a file any more, to any request for it."""


class _DateThreads:
    """Threads that read one date, each with its own open raster."""

    def __init__(self, plan: DatePlan, grid: GeoBox, count: int) -> None:
        self._plan = plan
        self._grid = grid
        self._readers: list[DateReader | None] = [None] * count
        self._pools = [ThreadPoolExecutor(1, "geochg-read") for _ in range(count)]

    def submit(self, window: TileWindow) -> Future[_Read]:
        """Has a tile read by the thread of its run."""
        thread = (window.row + window.col // RUN_TILES) % len(self._pools)
        return self._pools[thread].submit(self._read_window, thread, window.read)

    def stop(self) -> None:
        """Drops the reads that have not begun."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Waits for the reads that are under way and closes the rasters."""
        for pool in self._pools:
            pool.shutdown(wait=True)
        for thread in range(len(self._pools)):
            self._forget(thread)

    def _read_window(self, thread: int, window: PixelWindow) -> _Read:
        try:
            return self._reader(thread).read_finished(window)
        except (RasterioError, OSError, InputError) as error:
            self._forget(thread)
            if _BARRED.search(cleaned(error)):
                return _Unread(cleaned(error), is_permanent=True)
        try:
            return self._reader(thread).read_finished(window)
        except (RasterioError, OSError) as error:
            reason = cleaned(error)
            return _Unread(reason, is_permanent=_BARRED.search(reason) is not None)
        except InputError as error:  # the raster is gone, or no longer what it was
            return _Unread(error.message, is_permanent=True)

    def _reader(self, thread: int) -> DateReader:
        reader = self._readers[thread] or DateReader(self._plan, self._grid)
        self._readers[thread] = reader
        return reader

    def _forget(self, thread: int) -> None:
        """Closes a thread's raster, so that its next read opens it anew."""
        reader, self._readers[thread] = self._readers[thread], None
        if reader is not None:
            reader.close()


def _tile(plan: ReadPlan, window: TileWindow, dates: Sequence[Future[_Read]]) -> Tile | TileFailure:
    read_dates: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
    for date in dates:
        read_date = date.result()
        if isinstance(read_date, _Unread):
            return TileFailure(window, read_date.reason, read_date.is_permanent)
        read_dates.append(read_date)
    valid = np.logical_and.reduce([valid for _, valid in read_dates])
    if plan.area is not None:
        valid &= plan.area.mask(window.read)
    _clear_off_grid(valid, window.read, plan.grid)
    return Tile(
        window,
        tuple(_blank_invalid(values, valid) for values, _ in read_dates),
        valid,
        display_ranges=plan.display_ranges,
    )


def _clear_off_grid(valid: NDArray[np.bool_], window: PixelWindow, grid: GeoBox) -> None:
    """Pixels past the grid's edge may lie on a raster; they belong to no tile."""
    height_px, width_px = grid.shape
    valid[max(height_px - window.row_start, 0) :] = False
    valid[:, max(width_px - window.col_start, 0) :] = False


def _blank_invalid(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Zeroes what is not valid, in place."""
    if not valid.all():
        values[:, ~valid] = 0
    return values
