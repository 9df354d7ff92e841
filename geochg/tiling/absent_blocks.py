"""Blocks of a GeoTIFF that were never written: known without reading, and read but once.

GDAL fills the buffer of each such block anew, which takes minutes where there are many. Seen
through a document of the virtual format, one pixel of one of them stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.errors import RasterioError, WindowError
from rasterio.windows import Window

_BIG = 43  # what a BigTIFF has for 42
_OFFSET_TAGS = (273, 324)  # offsets of strips and of tiles
_INTEGERS = {3: "u2", 4: "u4", 16: "u8"}  # TIFF's numbers of the types of whole numbers
_MOST_CELLS = 64  # blocks are taken together until there are no more than so many along a side
_MOST_WRITTEN = 0.5  # with a greater share written than this there is little to gain
_SOURCES = ("SimpleSource", "ComplexSource")


def without_absent_blocks(document: ElementTree.Element) -> bool:
    """Has a virtual raster read only what was written of the GeoTIFFs behind it.

    Args:
        document: As GDAL writes it; changed in place. Masks in it stay as they are.

    Returns:
        Whether anything was changed.
    """
    changed = False
    for band in document.findall("VRTRasterBand"):
        for position, source in reversed(list(enumerate(band))):
            if source.tag not in _SOURCES:
                continue
            name, number = source.findtext("SourceFilename", ""), source.findtext("SourceBand", "")
            if not number.isdecimal():  # a mask: its blocks may be written where the bands' are not
                continue
            written_area = _written_part(name, _state(name))
            if written_area is not None:
                band[position : position + 1] = list(_divided_source(source, written_area))
                changed = True
    return changed


def _divided_source(
    source: ElementTree.Element, written_area: _Written
) -> Iterator[ElementTree.Element]:
    """Sources that together are one: nothing everywhere, and above it what was written."""
    source_window, target_window = _window(source, "SrcRect"), _window(source, "DstRect")
    if source_window is None or target_window is None:
        yield source
        return
    yield _moved_source(source, written_area.absent, target_window)
    scale = target_window.width / source_window.width, target_window.height / source_window.height
    for window in written_area.windows:
        try:
            part = window.intersection(source_window)
        except WindowError:  # it lies elsewhere
            continue
        offset = part.col_off - source_window.col_off, part.row_off - source_window.row_off
        yield _moved_source(
            source,
            part,
            Window(
                target_window.col_off + offset[0] * scale[0],
                target_window.row_off + offset[1] * scale[1],
                part.width * scale[0],
                part.height * scale[1],
            ),
        )


def _window(source: ElementTree.Element, tag: str) -> Window | None:
    rect = source.find(tag)
    if rect is None:
        return None
    return Window(*(float(rect.get(key, "nan")) for key in ("xOff", "yOff", "xSize", "ySize")))


def _moved_source(
    source: ElementTree.Element, source_window: Window, target_window: Window
) -> ElementTree.Element:
    """A source of another window, put elsewhere."""
    moved_element = deepcopy(source)
    for tag, window in (("SrcRect", source_window), ("DstRect", target_window)):
        rect = moved_element.find(tag)
        assert rect is not None
        for key, value in zip(("xOff", "yOff", "xSize", "ySize"), window.flatten(), strict=True):
            rect.set(key, repr(float(value)))
    return moved_element


class _Written:
    """Of a GeoTIFF, windows that hold all that was written, and a pixel of a block that was not."""

    def __init__(
        self, dataset: DatasetReader, cells: NDArray[np.bool_], cell_px: tuple[int, int]
    ) -> None:
        row, col = map(int, np.argwhere(~cells)[0])
        self.absent = Window(col * cell_px[1], row * cell_px[0], 1, 1)
        full_window = Window(0, 0, dataset.width, dataset.height)
        self.windows = [
            Window(
                start * cell_px[1], row * cell_px[0], (stop - start) * cell_px[1], cell_px[0]
            ).intersection(full_window)
            for row, start, stop in _runs(cells)
        ]


def _state(name: str) -> tuple[int, int]:
    """What tells whether a file is the one that was looked at before; zeros for no local file."""
    try:
        state = Path(name).stat()
    except (OSError, ValueError):
        return 0, 0
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=16)
def _written_part(name: str, _: tuple[int, int]) -> _Written | None:
    """What was written of a raster; None where that is most of it, or not known."""
    try:
        with rasterio.open(name) as dataset:
            if dataset.driver != "GTiff" or dataset.overviews(1):
                return None
            height_px, width_px = dataset.block_shapes[0]
            shape = -(-dataset.height // height_px), -(-dataset.width // width_px)
            offsets = _offsets(Path(name), int(dataset.get_tag_item("IFD_OFFSET", "TIFF", bidx=1)))
            # Of bands that lie one after the other, a block is absent if it is in all of them.
            blocks = offsets.reshape(-1, *shape).any(axis=0)
            step = (-(-shape[0] // _MOST_CELLS), -(-shape[1] // _MOST_CELLS))
            starts = (np.arange(0, shape[0], step[0]), np.arange(0, shape[1], step[1]))
            cells = np.logical_or.reduceat(np.logical_or.reduceat(blocks, starts[0]), starts[1], 1)
            if cells.mean() > _MOST_WRITTEN:
                return None
            return _Written(dataset, cells, (step[0] * height_px, step[1] * width_px))
    except (RasterioError, OSError, ValueError, IndexError, KeyError, TypeError):
        return None  # no file on this machine, or not laid out as it should be


def _offsets(path: Path, directory: int) -> NDArray[np.integer[Any]]:
    """Where the blocks of a TIFF lie, 0 for those that were never written, in the file's order.

    GDAL tells of one block at a time, which takes long for millions of them.
    """
    with path.open("rb") as file:
        head = file.read(4)
        order = "<" if head[:2] == b"II" else ">"
        is_big = int.from_bytes(head[2:], "little" if order == "<" else "big") == _BIG
        file.seek(directory)
        (count,) = np.fromfile(file, order + ("u8" if is_big else "u2"), 1)
        size = order + ("u8" if is_big else "u4")
        fields = ("tag", "u2"), ("type", "u2"), ("count", size), ("at", size)
        entry = np.dtype([(name, kind if kind == size else order + kind) for name, kind in fields])
        entries = np.fromfile(file, entry, int(count))
        offsets = entries[np.isin(entries["tag"], _OFFSET_TAGS)][0]
        integer = np.dtype(order + _INTEGERS[int(offsets["type"])])
        if int(offsets["count"]) * integer.itemsize <= entry["at"].itemsize:
            raise ValueError("so few that they lie in the entry itself")
        file.seek(int(offsets["at"]))
        return np.fromfile(file, integer, int(offsets["count"]))


def is_written(dataset: DatasetReader, row: int, col: int, band: int = 1) -> bool:
    """Whether a block of a GeoTIFF was written, by its place among the blocks."""
    return dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band) is not None


def _runs(cells: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, first column and column after the last of each run of cells that are set."""
    edges = np.diff(np.pad(cells, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    for (row, start), (_, stop) in zip(np.argwhere(edges > 0), np.argwhere(edges < 0), strict=True):
        yield int(row), int(start), int(stop)
