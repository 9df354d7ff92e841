"""Types of pixels: which are taken, and which are refused with the way out."""

from __future__ import annotations

from collections.abc import Sequence

from geochg.errors import InputError
from geochg.tiling.source import RasterSource


def refuse_types(source: RasterSource, numbers: Sequence[int]) -> None:
    """Does nothing unless a band in use holds what cannot be compared.

    Args:
        source: The raster.
        numbers: The bands in use, from 1.

    Raises:
        InputError: If a band holds complex numbers.
    """
    for number in numbers:
        dtype = source.bands[number - 1].dtype
        if dtype.startswith("complex"):
            raise InputError(
                f"band {number} of {source.path} holds complex numbers ({dtype}), which have no "
                "order to compare",
                "make an image of their amplitude first: gdal_calc.py -A IN.tif "
                '--calc="numpy.abs(A)" --type=Float32 --outfile=OUT.tif',
            )
