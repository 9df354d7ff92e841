"""One date on the common grid: which pixels, how resampled, where valid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import DatasetReader
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geochg.geometry.placement import crs_of
from geochg.records import PixelWindow
from geochg.tiling.centring import WIDE_TYPES, Centring, as_float32
from geochg.tiling.collar import Collar
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.gray import luminance
from geochg.tiling.grid import (
    COARSER_FROM,
    Lattice,
    middle_longitude,
    on_turn_of,
    pixel_m,
    shared_lattice,
)
from geochg.tiling.radiometry import RadiometricMatch, Stretch
from geochg.tiling.scaling import Scaling
from geochg.tiling.shift_field import ShiftField
from geochg.tiling.source import RasterSource, open_valid
from geochg.tiling.validity import marked_alpha

Pixels = tuple[NDArray[Any], NDArray[np.bool_]]
"""`(bands, rows, columns)` values of one date, and `(rows, columns)` where they are valid."""

_ALPHA_VALID = 128
"""Resampled alpha from here on counts as valid: the pixel's centre lies inside the data."""


@dataclass(frozen=True)
class DatePlan:
    """How one date is read.

    Attributes:
        source: The raster.
        band_numbers: Bands in use, from 1.
        luminance: Whether they are red, green and blue, of which the luminance is read.
        displacement_px: `(dx, dy)` in grid pixels by which its content lies off the grid.
        field: By which it lies off the grid instead, differently from place to place; windows that
            are decimated are read displaced by `displacement_px` all the same.
        match: Maps its values to the other date's; None to leave them.
        stretch: Turns its own values into display values; None to give values.
        collars: What is left out beside what the file itself calls invalid.
        centring: What is taken off values that float32 does not tell apart; None to leave them.
        step_px: Every how many-th pixel is read where the grid is much coarser; 1 for all.
        scaling: Turns stored values into physical ones; None to leave them.
    """

    source: RasterSource
    band_numbers: tuple[int, ...]
    luminance: bool = False
    displacement_px: tuple[float, float] = (0.0, 0.0)
    field: ShiftField | None = None
    match: RadiometricMatch | None = None
    stretch: Stretch | None = None
    collars: tuple[Collar, ...] = ()
    centring: Centring | None = None
    step_px: int = 1
    scaling: Scaling | None = None

    @property
    def band_count(self) -> int:
        """Bands of the values that are read."""
        return 1 if self.luminance else len(self.band_numbers)


class DateReader:
    """Reads one date on the common grid: directly on its own lattice, else warped lazily.

    Not to be shared between threads. A context manager that closes the raster.

    Raises:
        InputError: On opening, if the raster has gone or changed its kind.
    """

    def __init__(self, plan: DatePlan, grid: GeoBox) -> None:
        self._plan = plan
        with ExitStack() as opening, gdal_settings(plan.source.path, fetches=plan.source.fetches):
            self._open(plan, grid, opening)
            self._stack = opening.pop_all()

    def _open(self, plan: DatePlan, grid: GeoBox, stack: ExitStack) -> None:
        lattice = shared_lattice(plan.source.geobox, grid)
        step_px = plan.step_px if lattice is None else 1
        open_dataset = open_valid(plan.source, plan.band_numbers, plan.collars, step_px)
        dataset = stack.enter_context(open_dataset)
        self._bands = list(plan.band_numbers)
        self._alpha = marked_alpha(dataset)
        if lattice is not None and plan.displacement_px == (0.0, 0.0) and plan.field is None:
            self._dataset, self._lattice = dataset, lattice
        else:
            # Reading displaced by the shift brings content that lies (dx, dy) off back into place.
            displacement = Affine.translation(*plan.displacement_px)
            self._warper = _Warper(dataset, plan.source.geobox, grid)
            self._dataset = stack.enter_context(self._warper.open(displacement, *grid.shape))
            self._lattice = Lattice()
            self._alpha = self._alpha or dataset.count + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the raster."""
        self._stack.close()

    def read_finished(self, window: PixelWindow) -> Pixels:
        """A window as the model wants it, but for the other date's holes.

        Returns:
            `(bands, height, width)` uint8 stretched or float32 in source units, matched if the
            plan says so, and `(height, width)` bool validity.

        Raises:
            RasterioError: If the raster cannot be read there.
        """
        values, valid = self.read(window)
        if self._plan.stretch is not None:
            return self._plan.stretch.apply(values), valid
        if self._plan.match is not None:
            return self._plan.match.apply(values), valid
        return values.astype(np.float32), valid

    def read_picture(self, window: PixelWindow, shape_px: tuple[int, int]) -> Pixels | None:
        """A window in display values, decimated where that is asked for.

        Args:
            window: In grid pixels; what lies off the grid is not valid.
            shape_px: Rows and columns; others than those of the window only within the grid.

        Returns:
            As `read_finished`; None where the raster cannot be read there.
        """
        try:
            if shape_px == (window.height_px, window.width_px):
                return self.read_finished(window)
            values, valid = self.read(window, shape_px)
        except RasterioError:
            return None
        stretch = self._plan.stretch
        return (values if stretch is None else stretch.apply(values)), valid

    def read(self, window: PixelWindow, shape_px: tuple[int, int] | None = None) -> Pixels:
        """A window in source values.

        Args:
            window: In grid pixels; what lies off the grid is not valid.
            shape_px: Rows and columns to decimate to, from overviews where there are any; only for
                windows within the grid.

        Returns:
            `(bands, height, width)`, unpacked or centred where the plan says so, and
            `(height, width)` bool validity. The values have the source's type, but unpacked ones
            and those of wide types are float32.

        Raises:
            RasterioError: If the raster cannot be read there; the message names it.
        """
        values, valid = self.read_stored(window, shape_px)
        if self._plan.centring is not None:
            values = self._plan.centring.apply(values)
        elif str(values.dtype) in WIDE_TYPES:
            values = as_float32(values)
        else:
            return values, valid
        return values, _finite(values, valid)

    def read_stored(self, window: PixelWindow, shape_px: tuple[int, int] | None = None) -> Pixels:
        """A window as `read`, but its values are not centred, nor made float32 for that."""
        shape = shape_px or (window.height_px, window.width_px)
        inside = self._inside(window)
        if inside is None:
            return self._empty_window(shape)
        # rasterio's environments belong to a thread, so one cannot outlive the call.
        source = self._plan.source
        with (
            gdal_settings(source.path, fetches=source.fetches),
            _name_raster_in_errors(source.path),
        ):
            values, valid = self._read_turned(inside, shape_px)
        if values.shape[1:] == shape:
            return values, valid
        padded, padded_valid = self._empty_window(shape)
        rows, cols = inside.slices_within(window)
        padded[:, rows, cols] = values
        padded_valid[rows, cols] = valid
        return padded, padded_valid

    def _inside(self, window: PixelWindow) -> PixelWindow | None:
        """The part of a window that lies on the raster."""
        height_px, width_px = self._dataset.shape
        full_window = PixelWindow.whole((height_px, width_px))
        return window.cut_to(self._lattice.grid_window(full_window))

    def _read_turned(self, part: PixelWindow, shape_px: tuple[int, int] | None) -> Pixels:
        """A part of the grid that lies on the raster, as the grid lies."""
        turn = self._lattice.turn
        shape = None if shape_px is None else turn.inverse.shape(shape_px)
        values, valid = self._read_inside(self._lattice.source_window(part), shape)
        values, valid = turn.turned_pixels(values), turn.turned_pixels(valid)
        # Torch takes no arrays that run backwards.
        return np.ascontiguousarray(values), np.ascontiguousarray(valid)

    def _read_inside(self, part: PixelWindow, shape_px: tuple[int, int] | None) -> Pixels:
        if self._plan.field is not None and shape_px is None:
            values, alpha = self._read_pieces(part, self._plan.field)
        else:
            window = Window(part.col_start, part.row_start, part.width_px, part.height_px)
            shape = shape_px or (part.height_px, part.width_px)
            values, alpha = self._read_bands(self._dataset, window, shape)
        valid = np.ones(values.shape[1:], np.bool_) if alpha is None else alpha >= _ALPHA_VALID
        if self._plan.scaling is not None:
            values = self._plan.scaling.apply(values)
        valid = _finite(values, valid)
        return (luminance(values) if self._plan.luminance else values), valid

    def _read_pieces(
        self, part: PixelWindow, field: ShiftField
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The bands and alpha, each piece displaced as the field says there."""
        dtypes, shape = self._dataset.dtypes, (part.height_px, part.width_px)
        values = np.zeros((len(self._bands), *shape), dtypes[self._bands[0] - 1])
        alpha = np.zeros(shape, dtypes[(self._alpha or 0) - 1])
        for piece, to_image in field.pieces(part):
            size = piece.height_px, piece.width_px
            rows, cols = piece.slices_within(part)
            with self._warper.open(to_image, *size) as warped:
                window = Window(0, 0, piece.width_px, piece.height_px)
                values[:, rows, cols], alpha[rows, cols] = self._read_bands(warped, window, size)
        return values, alpha

    def _read_bands(
        self, dataset: DatasetReader, window: Window, shape: tuple[int, int]
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The bands, and alpha where there is one."""
        band_numbers = [*self._bands, *([self._alpha] if self._alpha is not None else [])]
        if len({dataset.dtypes[band - 1] for band in band_numbers}) == 1:
            # At once: what a vast raster was read for may be gone from the cache later.
            all_bands = dataset.read(
                band_numbers, window=window, out_shape=(len(band_numbers), *shape)
            )
            return all_bands[: len(self._bands)], None if self._alpha is None else all_bands[-1]
        values = dataset.read(self._bands, window=window, out_shape=(len(self._bands), *shape))
        return values, dataset.read(self._alpha, window=window, out_shape=shape)

    def _empty_window(self, shape: tuple[int, int]) -> Pixels:
        is_scaled = self._plan.scaling is not None
        dtype = "float32" if is_scaled else self._dataset.dtypes[self._bands[0] - 1]
        return np.zeros((self._plan.band_count, *shape), dtype=dtype), np.zeros(shape, dtype=bool)


def _finite(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pixels are valid and, in all bands, numbers."""
    if not np.issubdtype(values.dtype, np.floating):
        return valid
    numbers: NDArray[np.bool_] = np.isfinite(values).all(axis=0)
    return valid & numbers


@contextmanager
def _name_raster_in_errors(path: str) -> Iterator[None]:
    """Says in a read error which raster it was and what GDAL said, on one line."""
    try:
        yield
    except RasterioError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise RasterioIOError(f"{path}: {' '.join(str(cause).split())}") from error


class _Warper:
    """Opens parts of a raster warped onto a grid; what that takes is worked out once."""

    def __init__(self, dataset: DatasetReader, source: GeoBox, grid: GeoBox) -> None:
        self._dataset = dataset
        self._transform = on_turn_of(source, grid, grid.transform)
        self._settings = {
            "src_crs": _unwrapped_crs(source),
            "crs": CRS.from_wkt(crs_of(grid).to_wkt()),
            "resampling": _resampling_method(source, grid),
            "add_alpha": marked_alpha(dataset) is None,
            "warp_mem_limit": 64,
        }

    def open(self, to_image: Affine, height_px: int, width_px: int) -> WarpedVRT:
        """Some rows and columns, which `to_image` brings to where they lie on the grid."""
        transform = self._transform * to_image
        return WarpedVRT(
            self._dataset, transform=transform, width=width_px, height=height_px, **self._settings
        )


def _resampling_method(source: GeoBox, grid: GeoBox) -> Resampling:
    """The mean of what lies in a pixel where pixels grow, as a sensor takes it; else cubic."""
    is_coarser = pixel_m(grid) >= COARSER_FROM * pixel_m(source)
    return Resampling.average if is_coarser else Resampling.cubic


def _unwrapped_crs(source: GeoBox) -> str | None:
    """For a raster in degrees that reaches over the antimeridian, a CRS centred on it.

    PROJ gives longitudes within half a turn of `+lon_wrap`; without it one side is lost.
    """
    west, _, east, _ = source.boundingbox.bbox
    if not crs_of(source).geographic or -180.0001 <= west <= east <= 180.0001:
        return None
    return f"{crs_of(source).proj.to_proj4()} +lon_wrap={middle_longitude(source):.6f}"
