"""Images with collars of several shapes, and what a pair says of them."""

import warnings

import numpy as np
from rasterio.errors import NotGeoreferencedWarning
from rasters import texture

from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.pair import open_pair
from geochg.tiling.read import PairReader

SIDE = 200
ROWS, COLS = np.mgrid[:SIDE, :SIDE]


def wedge():
    return ROWS + COLS < 90


def frame():
    return (ROWS < 8) | (ROWS >= SIDE - 12) | (COLS < 5)


def rotated():
    """The corners of an image that was turned by 20 degrees."""
    angle = np.radians(20)
    x, y = COLS - SIDE / 2, ROWS - SIDE / 2
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (np.abs(across) > 75) | (np.abs(along) > 75)


def half():
    return ROWS < 0.6 * COLS + 20


def opened(make_raster, after, before=None, **more):
    options = AnalyzeOptions(**more.pop("options", {}))
    b = make_raster("b.tif", texture(SIDE, SIDE, 3) if before is None else before)
    return open_pair(b, make_raster("a.tif", after, **more), options, "all")


def valid_of(pair):
    height_px, width_px = pair.grid.shape
    with warnings.catch_warnings(), PairReader(pair.plan()) as reader:
        warnings.simplefilter("error", NotGeoreferencedWarning)
        return reader.read_values(PixelWindow(0, height_px, 0, width_px))[2]


def told(pair):
    return [remark.text for remark in pair.remarks if "is a collar" in remark.message]
