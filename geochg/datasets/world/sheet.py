"""Contact sheets: before, after and mask side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from geochg import __version__
from geochg.datasets.world.kinds import ByteArray
from geochg.datasets.world.pair import WorldPair

COLOURS = np.array(
    ((0, 0, 0), (235, 60, 60), (240, 200, 60), (60, 190, 80), (70, 130, 240), (190, 130, 80)),
    np.uint8,
)
"""Colour of each class on the mask."""

_DIM = np.array((0.0, 1.0, 0.45, 0.75), np.float32)


def painted_mask(pair: WorldPair) -> ByteArray:
    """`(size, size, 3)` uint8: class by colour; appeared is bright, disappeared dark."""
    tone = _DIM[pair.directions][..., None]
    painted: ByteArray = (COLOURS[pair.classes] * tone).astype(np.uint8)
    return painted


def strip(pair: WorldPair, caption: bool = True) -> ByteArray:
    """`(size, 3 * size, 3)` uint8: the pair and its mask."""
    pictures = [np.moveaxis(band, 0, -1) for band in (pair.before, pair.after)]
    whole = np.concatenate([*pictures, painted_mask(pair)], 1)
    if not caption:
        return whole
    image = Image.fromarray(whole)
    words = ",".join(event.name for event in pair.events) or "-"
    text = f"{pair.seed} {pair.family} {pair.setting} {pair.gsd_m:.2f} m {words}"
    ImageDraw.Draw(image).text((3, 1), text, fill=(255, 255, 0))
    return np.asarray(image)


def contact_sheet(pairs: Iterable[WorldPair], path: Path, columns: int = 2) -> None:
    """Writes strips of pairs, some side by side, as one PNG that says who wrote it."""
    strips = [strip(pair) for pair in pairs]
    rows = [
        np.concatenate(strips[start : start + columns], 1)
        for start in range(0, len(strips) - columns + 1, columns)
    ]
    written_by = PngInfo()
    written_by.add_text("geochg", __version__)
    Image.fromarray(np.concatenate(rows, 0)).save(path, format="PNG", pnginfo=written_by)
