"""Which pixels of a raster are valid: decided here, of what GDAL says of each band.

- Where all wanted bands share one nodata value that could be measured, such as 0, a hole is nodata
  in all of them: a zero in one band is a value, water in the infrared. One that nothing measures,
  such as -9999, is a hole in whichever band it stands.
- Where bands bring validity of their own, each its nodata value or mask, every wanted band must be
  valid.
- A mask of the whole raster counts beside a nodata value, of which GDAL then says nothing.
- An alpha band counts beside these, unless it is wanted as data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, MaskFlags

from geochg.errors import OptionError
from geochg.options import DateOptions
from geochg.tiling.coarse_view import read_coarse
from geochg.tiling.raster_input import shown_name
from geochg.tiling.virtual_raster import (
    MaskTest,
    Table,
    Validity,
    is_palette,
    palette_opacity,
    zero_around,
)

_ROUNDING = 2e-6
"""Share of a nodata value by which a stored one may differ: six digits of it, as text has them."""

_HUGE, _ROUNDING_OF_HUGE = 1e30, 1e-2
"""Of numbers beyond all measuring, such as the least of float32, text often keeps two digits."""

_EXACT = 2**24  # whole numbers below this are the same in text, float32 and float64
_NEVER_MEASURED = (-999.0, 1e6)
"""From here on downwards and upwards, a nodata value is none that a sensor gives."""


_MOST_VALUES = 16  # an alpha band with more values than this above zero may be none
_LEAST_OPAQUE, _NEAR_OPAQUE = 0.2, 0.9
"""Share of the pixels above zero that have one value in an alpha band, and how near to its greatest
that value lies; the rest is its edge."""


@dataclass(frozen=True, slots=True)
class Alpha:
    """A band that tells which pixels are valid.

    Attributes:
        number: The band, from 1.
        opaque: The value that means wholly valid; half of it is valid.
    """

    number: int
    opaque: float


def marked_alpha(dataset: DatasetReader) -> int | None:
    """The band that a raster marks as alpha, from 1; None where it marks none."""
    colors = list(dataset.colorinterp)
    if is_palette(dataset) or ColorInterp.alpha not in colors:
        return None
    return colors.index(ColorInterp.alpha) + 1


def read_alpha(dataset: DatasetReader) -> Alpha | None:
    """The alpha band of a raster, told by its values; None where none is marked or it holds data.

    Alpha is 0 in a hole and one value elsewhere (255, 65535 or 1), but for the edge between, where
    it may be feathered; a measured band has many values, and few pixels have the greatest.

    Raises:
        RasterioError: If the band cannot be read.
    """
    number = marked_alpha(dataset)
    if number is None:
        return None
    values = read_coarse(dataset, [number])[0]
    values = values[np.isfinite(values) & (values > 0)] if values.dtype.kind != "c" else values[:0]
    if not values.size:
        return Alpha(number, 255.0)
    kinds, counts = np.unique(values, return_counts=True)
    is_opaque = counts.max() >= _LEAST_OPAQUE * values.size
    is_greatest = kinds[counts.argmax()] >= _NEAR_OPAQUE * kinds[-1]
    if len(kinds) > _MOST_VALUES and not (is_opaque and is_greatest):
        return None
    return Alpha(number, float(kinds[-1]))


def nodata_of(dataset: DatasetReader, number: int, options: DateOptions) -> float | None:
    """The value that means "no measurement" in a band; None where none does.

    Args:
        dataset: The raster as it lies on disk.
        number: The band, from 1.
        options: How the date is read.

    Raises:
        OptionError: If a value was given by hand that the band cannot hold.
    """
    if options.nodata is None:
        value: float | None = dataset.nodatavals[number - 1]
        return value
    for given_nodata in options.nodata:
        if not any(_can_hold(dtype, given_nodata) for dtype in dataset.dtypes):
            raise OptionError(
                f"nodata {given_nodata:.15g} is no value that {shown_name(dataset.name)} can hold: "
                f"its bands are of {dataset.dtypes[0]}",
                "give a value for each date, such as --nodata none,0",
            )
        return given_nodata if _can_hold(dataset.dtypes[number - 1], given_nodata) else None
    return None


def mask_kind(dataset: DatasetReader, alpha: Alpha | None, options: DateOptions) -> str:
    """Where validity comes from, in a word: `alpha`, `mask`, `nodata` or `none`."""
    if alpha is not None or is_palette(dataset):
        return "alpha"
    flags = [set(mask_flags) for mask_flags in dataset.mask_flag_enums]
    has_nodata = any(MaskFlags.nodata in mask_flags for mask_flags in flags)
    if bool(options.nodata) if options.nodata is not None else has_nodata:
        return "nodata"
    is_masked = any(not mask_flags or mask_flags == {MaskFlags.per_dataset} for mask_flags in flags)
    return "mask" if is_masked else "none"


def validity_of(
    dataset: DatasetReader,
    band_numbers: Sequence[int],
    alpha: Alpha | None,
    options: DateOptions | None = None,
) -> Validity:
    """What tells which pixels of a raster are valid.

    Args:
        dataset: The raster as it lies on disk.
        band_numbers: Numbers of the bands in use, from 1.
        alpha: The alpha band; None where there is none, or where it is data.
        options: How the date is read; the defaults when None.

    Raises:
        OptionError: As `nodata_of`.
    """
    options = options or DateOptions()
    if is_palette(dataset):
        nodata = nodata_of(dataset, 1, options)
        is_index = nodata is not None and math.isfinite(nodata)
        opacity = MaskTest("1", palette_opacity(dataset, nodata if is_index else None))
        return ((opacity,), *_whole_mask(dataset, (1,)))
    whole_mask = _whole_mask(dataset, band_numbers)
    groups: list[tuple[MaskTest, ...]]
    if options.nodata is not None:
        groups = [
            *_masks_alone(dataset, band_numbers),
            *_given_values(dataset, band_numbers, options),
        ]
    elif whole_mask:
        groups = [*whole_mask, *_values_beside(dataset, band_numbers)]
    else:
        groups = _own_masks(dataset, band_numbers)
    if alpha is not None and alpha.number not in band_numbers:
        groups.append((MaskTest(str(alpha.number), _step(alpha.opaque / 2)),))
    return tuple(groups)


def _whole_mask(dataset: DatasetReader, band_numbers: Sequence[int]) -> list[tuple[MaskTest, ...]]:
    """A mask, or the nodata values of whole pixels, that hold for every band."""
    flags = set(dataset.mask_flag_enums[band_numbers[0] - 1])
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
        return [(_mask_test(band_numbers[0]),)]
    return []


def _own_masks(dataset: DatasetReader, band_numbers: Sequence[int]) -> list[tuple[MaskTest, ...]]:
    """What each wanted band says of itself."""
    tests_by_band = {
        number: _band_test(dataset, number)
        for number in band_numbers
        if not set(dataset.mask_flag_enums[number - 1]) & {MaskFlags.all_valid, MaskFlags.alpha}
    }
    nodata = [dataset.nodatavals[number - 1] for number in band_numbers]
    return _grouped_tests(nodata, band_numbers, tests_by_band)


def _values_beside(
    dataset: DatasetReader, band_numbers: Sequence[int]
) -> list[tuple[MaskTest, ...]]:
    """What nodata values say beside a mask of the whole raster, which hides them from GDAL."""
    nodata = [dataset.nodatavals[number - 1] for number in band_numbers]
    tests_by_band = {
        number: _value_test(dataset, number, value)
        for number, value in zip(band_numbers, nodata, strict=True)
        if MaskFlags.nodata not in dataset.mask_flag_enums[number - 1]
        and value is not None
        and math.isfinite(value)
    }
    return _grouped_tests(nodata, band_numbers, tests_by_band)


def _masks_alone(dataset: DatasetReader, band_numbers: Sequence[int]) -> list[tuple[MaskTest, ...]]:
    """What masks say that are made of no nodata value."""
    groups: list[tuple[MaskTest, ...]] = []
    for number in band_numbers:
        flags = set(dataset.mask_flag_enums[number - 1])
        if not flags & {MaskFlags.all_valid, MaskFlags.alpha, MaskFlags.nodata}:
            groups.append((_mask_test(number),))
            if MaskFlags.per_dataset in flags:
                break
    return groups


def _given_values(
    dataset: DatasetReader, band_numbers: Sequence[int], options: DateOptions
) -> list[tuple[MaskTest, ...]]:
    """What a value says that was given by hand; pixels that are no numbers need no test."""
    nodata = [nodata_of(dataset, number, options) for number in band_numbers]
    tests = {
        number: _value_test(dataset, number, value)
        for number, value in zip(band_numbers, nodata, strict=True)
        if value is not None and math.isfinite(value)
    }
    return _grouped_tests(nodata, band_numbers, tests)


def _value_test(dataset: DatasetReader, number: int, nodata: float) -> MaskTest:
    """A test of our own for a nodata value, whatever GDAL says of the band."""
    dtype = np.dtype(dataset.dtypes[number - 1])
    reach = 0.25 if dtype.kind in "iu" else max(abs(nodata) * _ROUNDING, 1e-6)
    return MaskTest(str(number), _rounding_table(nodata, dtype) or zero_around(nodata, reach))


def _can_hold(dtype_name: str, value: float) -> bool:
    """Whether a band of a type can have a value; text may have rounded the greatest ones."""
    if dtype_name.startswith(("int", "uint")):
        limits = np.iinfo(dtype_name)
        return math.isnan(value) or (limits.min <= value <= limits.max and value == int(value))
    if dtype_name in ("float16", "float32"):
        greatest = float(np.finfo(dtype_name).max) * (1 + _ROUNDING)
        return not math.isfinite(value) or abs(value) <= greatest
    return True


def _grouped_tests(
    nodata: Sequence[float | None], band_numbers: Sequence[int], tests_by_band: dict[int, MaskTest]
) -> list[tuple[MaskTest, ...]]:
    """Tests of bands: all must fail where they share a value that could be measured, else any."""
    if len(tests_by_band) == len(band_numbers) and _one_measurable(nodata):
        return [tuple(tests_by_band.values())]
    return [(test,) for test in tests_by_band.values()]


def _one_measurable(nodata: Sequence[float | None]) -> bool:
    """Whether all bands have one nodata value, and it could as well be measured."""
    first = nodata[0]
    if first is None or math.isnan(first):
        return False
    low, high = _NEVER_MEASURED
    return all(value == first for value in nodata) and low < first < high


def _band_test(dataset: DatasetReader, number: int) -> MaskTest:
    """GDAL's mask of a band; for a nodata value that rounding may have moved, one of our own."""
    nodata = dataset.nodatavals[number - 1]
    if MaskFlags.nodata not in dataset.mask_flag_enums[number - 1] or nodata is None:
        return _mask_test(number)
    table = _rounding_table(nodata, np.dtype(dataset.dtypes[number - 1]))
    return MaskTest(str(number), table) if table else MaskTest(f"mask,{number}")


def _rounding_table(nodata: float, dtype: np.dtype[Any]) -> Table:
    """255 but for what lies within rounding of a nodata value; empty where GDAL's test will do."""
    if not math.isfinite(nodata) or dtype.kind not in "fiu":
        return ()
    is_whole = nodata == int(nodata)
    if dtype.kind == "f":
        if is_whole and abs(nodata) < _EXACT:
            return ()
        if abs(nodata) >= _HUGE:
            return _beyond(nodata)
        return zero_around(nodata, abs(nodata) * _ROUNDING)
    limits = np.iinfo(dtype)
    if is_whole and limits.min <= nodata <= limits.max:
        return ()
    return zero_around(float(min(max(round(nodata), limits.min), limits.max)), 0.25)


def _beyond(value: float) -> Table:
    """255 but for what lies as far from zero as a value, or farther."""
    near, nearer = value * (1 - _ROUNDING_OF_HUGE), value * (1 - 2 * _ROUNDING_OF_HUGE)
    return ((near, 0.0), (nearer, 255.0)) if value < 0 else ((nearer, 255.0), (near, 0.0))


def _mask_test(number: int) -> MaskTest:
    """GDAL's mask of a band; masks of some writers hold 1 where others hold 255."""
    return MaskTest(f"mask,{number}", ((0.0, 0.0), (1.0, 255.0)))


def _step(half: float) -> Table:
    """0 below a value, 255 from there on."""
    return ((float(np.nextafter(np.float32(half), np.float32(0))), 0.0), (float(half), 255.0))
