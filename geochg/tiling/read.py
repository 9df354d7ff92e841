"""Windows to arrays, ahead of the model: threads read while the model works."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geochg.errors import InputError
from geochg.geometry.ground import crs_of
from geochg.records import PixelWindow, Tile, TileFailure, TileWindow
from geochg.tiling.aoi import Area
from geochg.tiling.grid import lattice_offset
from geochg.tiling.radiometry import RadiometricMatch, Stretch
from geochg.tiling.source import RasterSource, gdal_settings, open_source

_ALPHA_VALID = 128
"""Resampled alpha from here on counts as valid: the pixel's centre lies inside the data."""


@dataclass(frozen=True)
class DatePlan:
    """How one date is read.

    Attributes:
        source: The raster.
        band_numbers: Bands in use, from 1.
        displacement_px: `(dx, dy)` in grid pixels by which its content lies off the grid.
        match: Maps its values to the other date's; None to leave them.
        stretch: Turns its own values into display values; None to give values.
    """

    source: RasterSource
    band_numbers: tuple[int, ...]
    displacement_px: tuple[float, float] = (0.0, 0.0)
    match: RadiometricMatch | None = None
    stretch: Stretch | None = None


@dataclass(frozen=True)
class ReadPlan:
    """How a pair is read: everything a thread or a process needs to open its own reader.

    Attributes:
        before: The before date.
        after: The after date.
        grid: The common grid.
        area: Area of interest on the grid; None for all of it.
    """

    before: DatePlan
    after: DatePlan
    grid: GeoBox
    area: Area | None = None


class PairReader:
    """Reads tiles of a pair; not to be shared between threads.

    Raises:
        InputError: On opening, if a raster has gone or changed its kind.
    """

    def __init__(self, plan: ReadPlan) -> None:
        self._plan = plan
        with ExitStack() as opening, gdal_settings():
            self._before = _DateReader(plan.before, plan.grid, opening)
            self._after = _DateReader(plan.after, plan.grid, opening)
            self._stack = opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the rasters."""
        self._stack.close()

    def read(self, window: TileWindow) -> Tile:
        """Reads one tile as the model wants it.

        Raises:
            RasterioError: If a raster cannot be read there.
        """
        before, after, valid = self._read_both(window.read)
        if self._plan.area is not None:
            valid &= self._plan.area.mask(window.read)
        valid &= _on_grid(window.read, self._plan.grid)
        return Tile(
            window=window,
            before=_finish(before, valid, self._plan.before),
            after=_finish(after, valid, self._plan.after),
            valid=valid,
        )

    def read_values(
        self, window: PixelWindow, shape_px: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Reads source values of both dates, neither matched nor stretched.

        Args:
            window: Within the grid.
            shape_px: Rows and columns to decimate to, from overviews where there are any; None
                for full resolution.

        Returns:
            Before and after, `(bands, height, width)` float32, 0 where not valid, and where both
            are valid, `(height, width)` bool.

        Raises:
            RasterioError: If a raster cannot be read there.
        """
        before, after, valid = self._read_both(window, shape_px)
        return _values(before, valid), _values(after, valid), valid

    def _read_both(
        self, window: PixelWindow, shape_px: tuple[int, int] | None = None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
        # rasterio's environments belong to a thread, so one cannot outlive the call.
        with gdal_settings():
            with _named(self._plan.before.source.path):
                before, before_valid = self._before.read(window, shape_px)
            with _named(self._plan.after.source.path):
                after, after_valid = self._after.read(window, shape_px)
        return before, after, before_valid & after_valid


class _DateReader:
    """Reads one date on the common grid: directly on its own lattice, else warped lazily."""

    def __init__(self, plan: DatePlan, grid: GeoBox, stack: ExitStack) -> None:
        keep_alpha = not any(
            band.alpha for band in plan.source.bands if band.number in plan.band_numbers
        )
        dataset = stack.enter_context(open_source(plan.source.path, keep_alpha=keep_alpha))
        offset = lattice_offset(plan.source.geobox, grid)
        self._bands = list(plan.band_numbers)
        self._alpha = _alpha_number(dataset)
        if offset is not None and plan.displacement_px == (0.0, 0.0):
            self._dataset, self._offset = dataset, offset
        else:
            self._dataset, self._offset = stack.enter_context(_warped(dataset, plan, grid)), (0, 0)
            self._alpha = self._alpha or dataset.count + 1
        self._nodata = None if self._alpha else plan.source.nodata
        self._masked = self._alpha is None and plan.source.mask == "mask"

    def read(
        self, window: PixelWindow, shape_px: tuple[int, int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values `(bands, height, width)` in the source's dtype and `(height, width)` validity."""
        shape = shape_px or (window.height_px, window.width_px)
        inside = self._inside(window)
        if inside is None:
            return self._nothing(shape)
        values, valid = self._read_inside(inside, shape_px)
        if values.shape[1:] == shape:
            return values, valid
        return self._padded(values, valid, window, inside, shape)

    def _inside(self, window: PixelWindow) -> PixelWindow | None:
        """The part of the window that lies on the dataset, in the dataset's pixels."""
        row, col = self._offset
        height_px, width_px = self._dataset.shape
        part = PixelWindow(
            max(window.row_start + row, 0),
            min(window.row_stop + row, height_px),
            max(window.col_start + col, 0),
            min(window.col_stop + col, width_px),
        )
        return part if part.height_px > 0 and part.width_px > 0 else None

    def _read_inside(
        self, part: PixelWindow, shape_px: tuple[int, int] | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        window = Window(part.col_start, part.row_start, part.width_px, part.height_px)
        indexes = [*self._bands, self._alpha] if self._alpha else self._bands
        shape = (len(indexes), *shape_px) if shape_px else None
        stack = self._dataset.read(indexes, window=window, out_shape=shape)
        values = stack[: len(self._bands)]
        if self._alpha:
            valid = stack[-1] >= _ALPHA_VALID
        elif self._masked:
            mask_shape = shape_px or (part.height_px, part.width_px)
            valid = self._dataset.read_masks(1, window=window, out_shape=mask_shape) > 0
        elif self._nodata is not None and not np.isnan(self._nodata):
            # A zero in one band is a value (water in the infrared); a hole is nodata in all.
            valid = (values != self._nodata).any(axis=0)
        else:
            valid = np.ones(values.shape[1:], dtype=bool)
        if np.issubdtype(values.dtype, np.floating):
            valid &= np.isfinite(values).all(axis=0)
        return values, valid

    def _padded(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_],
        window: PixelWindow,
        inside: PixelWindow,
        shape: tuple[int, int],
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        padded, padded_valid = self._nothing(shape)
        row, col = self._offset
        outer = PixelWindow(
            window.row_start + row,
            window.row_stop + row,
            window.col_start + col,
            window.col_stop + col,
        )
        rows, cols = inside.slices_within(outer)
        padded[:, rows, cols] = values
        padded_valid[rows, cols] = valid
        return padded, padded_valid

    def _nothing(self, shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        dtype = self._dataset.dtypes[self._bands[0] - 1]
        return np.zeros((len(self._bands), *shape), dtype=dtype), np.zeros(shape, dtype=bool)


def read_ahead(
    plan: ReadPlan, windows: Iterable[TileWindow], workers: int
) -> Generator[Tile | TileFailure, None, None]:
    """Reads tiles in order, a few ahead of whoever takes them.

    A tile that cannot be read is tried once more with rasters opened anew, then given as a
    `TileFailure`. At most `4 * workers` tiles are held.

    Args:
        plan: How the pair is read.
        windows: The tiles wanted, in order.
        workers: Reading threads.
    """
    readers = _ThreadReaders(plan)
    pending: deque[Future[Tile | TileFailure]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="geochg-read")
    try:
        for window in windows:
            pending.append(pool.submit(readers.read, window))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        readers.close()


class _ThreadReaders:
    """One reader for each thread, since GDAL's datasets must not be shared."""

    def __init__(self, plan: ReadPlan) -> None:
        self._plan = plan
        self._local = threading.local()
        self._all: list[PairReader] = []
        self._lock = threading.Lock()

    def read(self, window: TileWindow) -> Tile | TileFailure:
        try:
            return self._reader().read(window)
        except (RasterioError, OSError, InputError):
            self._forget()
        try:
            return self._reader().read(window)
        except (RasterioError, OSError) as error:
            return TileFailure(window, str(error))
        except InputError as error:  # the raster is gone, or no longer what it was
            return TileFailure(window, error.message)

    def close(self) -> None:
        for reader in self._all:
            reader.close()

    def _forget(self) -> None:
        """Closes this thread's reader, so that the next read opens the rasters anew."""
        reader: PairReader | None = getattr(self._local, "reader", None)
        self._local.reader = None
        if reader is not None:
            with self._lock:
                self._all.remove(reader)
            reader.close()

    def _reader(self) -> PairReader:
        reader: PairReader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = PairReader(self._plan)
            self._local.reader = reader
            with self._lock:
                self._all.append(reader)
        return reader


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Says in a read error which raster it was and what GDAL said, on one line."""
    try:
        yield
    except RasterioError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise RasterioIOError(f"{path}: {' '.join(str(cause).split())}") from error


def _warped(dataset: DatasetReader, plan: DatePlan, grid: GeoBox) -> WarpedVRT:
    height_px, width_px = grid.shape
    # Reading displaced by the shift brings content that lies (dx, dy) off back into place.
    transform = grid.transform * Affine.translation(*plan.displacement_px)
    return WarpedVRT(
        dataset,
        src_crs=_unwrapped_crs(plan.source.geobox),
        crs=crs_of(grid).to_wkt(),
        transform=_on_turn_of(plan.source.geobox, grid, transform),
        width=width_px,
        height=height_px,
        # GDAL widens the kernel when it shrinks, so cubic serves both ways.
        resampling=Resampling.cubic,
        add_alpha=_alpha_number(dataset) is None,
        warp_mem_limit=64,
    )


def _on_turn_of(source: GeoBox, grid: GeoBox, transform: Affine) -> Affine:
    """The grid's transform on the source's turn of the globe, when both are in degrees."""
    if not (crs_of(source).geographic and crs_of(grid).geographic):
        return transform
    turns = round((_middle_longitude(source) - _middle_longitude(grid)) / 360)
    return Affine.translation(360 * turns, 0) * transform


def _unwrapped_crs(source: GeoBox) -> str | None:
    """For a raster in degrees that reaches over the antimeridian, a CRS centred on it.

    PROJ gives longitudes within half a turn of `+lon_wrap`; without it one side is lost.
    """
    west, _, east, _ = source.boundingbox.bbox
    if not crs_of(source).geographic or -180.0001 <= west <= east <= 180.0001:
        return None
    return f"{crs_of(source).proj.to_proj4()} +lon_wrap={_middle_longitude(source):.6f}"


def _middle_longitude(grid: GeoBox) -> float:
    west, _, east, _ = grid.boundingbox.bbox
    return (float(west) + float(east)) / 2


def _alpha_number(dataset: DatasetReader) -> int | None:
    colors = list(dataset.colorinterp)
    return colors.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in colors else None


def _on_grid(window: PixelWindow, grid: GeoBox) -> NDArray[np.bool_]:
    rows = np.arange(window.row_start, window.row_stop)[:, None]
    cols = np.arange(window.col_start, window.col_stop)[None, :]
    on_rows: NDArray[np.bool_] = (rows >= 0) & (rows < grid.shape[0])
    on_cols: NDArray[np.bool_] = (cols >= 0) & (cols < grid.shape[1])
    return on_rows & on_cols


def _finish(values: NDArray[Any], valid: NDArray[np.bool_], plan: DatePlan) -> NDArray[Any]:
    if plan.stretch is None:
        return _values(values if plan.match is None else plan.match.apply(values), valid)
    shown: NDArray[np.uint8] = plan.stretch.apply(values)
    if not valid.all():
        shown[:, ~valid] = 0
    return shown


def _values(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    floats = values.astype(np.float32)
    if not valid.all():
        floats[:, ~valid] = 0
    return floats
