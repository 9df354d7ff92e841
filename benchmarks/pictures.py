"""Small pictures of pairs that may be shipped: before, after, truth, and the features found.

Held-out ground of open imagery and the example pairs; the labelled pairs that models are judged by
are none of them, since their terms allow no redistribution.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import ponds
import rasterio
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import rasterize

from geochg import AnalyzeOptions, analyze
from geochg.datasets.georeferenced_mask import GeoreferencedMask, bands_on
from geochg.datasets.ground.series import SAVANNA_LEARNED, floods, savanna_plots, split_grounds
from geochg.models.base import ChangeModel

sys.path.append(str(Path(__file__).parents[1] / "docs"))

from picture import COLORS, OTHER

PANEL_PX = 300
GAP_PX = 4
MOST_BYTES = 60_000
TRUTH_COLOR = (255, 255, 255)
FLOODED_SHARE = 0.2
"""Of the held-out floods the one is shown whose flooded share comes closest to this."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shown:
    """A pair that is shown.

    Attributes:
        name: Of the file.
        before: The earlier raster.
        after: The later raster.
        truth: `(height, width)` bool on the grid of before; None where it is not known.
        text: What is seen and whose it is.
    """

    name: str
    before: Path
    after: Path
    truth: NDArray[np.bool_] | None
    text: str


def shown_pairs(data: Path) -> Iterator[Shown]:
    """The pairs whose imagery is there, each with the terms of its imagery."""
    yield Shown(
        "ponds",
        ponds.BEFORE,
        ponds.AFTER,
        ponds.new_water().changed,
        "Ponds in North Dakota, 5 m, 2012 and 2014; truth: new water by the near infrared. "
        "USDA NAIP, public domain. Neither date was learned from.",
    )
    yield Shown(
        "dubai",
        ponds.EXAMPLES / "dubai_2015.tif",
        ponds.EXAMPLES / "dubai_2018.tif",
        None,
        "South of Dubai, 10 m, 2015 and 2018; nobody has drawn the truth. Contains modified "
        "Copernicus Sentinel data. Not learned from.",
    )
    yield from _flood(data / "floods_s2", data)
    yield from _savanna(data)


def _flood(folder: Path, data: Path) -> Iterator[Shown]:
    held_out = split_grounds(list(floods(data)))[1]
    masks = {}
    for ground in held_out:
        with rasterio.open(folder / "mask" / f"{ground.name}.tif") as raster:
            masks[ground.name] = raster.read(1) > 0
    if masks:
        name = min(masks, key=lambda each: abs(masks[each].mean() - FLOODED_SHARE))
        yield Shown(
            "flood",
            folder / "before" / f"{name}.tif",
            folder / "after" / f"{name}.tif",
            masks[name],
            "A flood, 10 m, in false colour (short-wave infrared, near infrared, visible), held "
            "out; truth: the mask of rapid mapping. Contains modified Copernicus Sentinel data; "
            "mask © European Union, Copernicus Emergency Management Service.",
        )


def _savanna(data: Path) -> Iterator[Shown]:
    for before, after in savanna_plots(data)[SAVANNA_LEARNED : SAVANNA_LEARNED + 1]:
        with rasterio.open(before) as raster:
            truth = np.zeros(raster.shape, bool)
        yield Shown(
            "savanna",
            before,
            after,
            truth,
            "Oak savanna in California, 0.1 m, 2017 and 2018; truth: hardly anything changed. "
            "NEON, CC0. Not learned from, but other plots of the place.",
        )


def draw_pictures(
    pairs: Sequence[Shown], name: str, model: ChangeModel, folder: Path
) -> dict[str, str]:
    """Writes a JPEG a pair; gives the texts by the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {}
    for pair in pairs:
        options = AnalyzeOptions(model=name)
        layer = analyze(pair.before, pair.after, options, model=model).features
        file = f"{pair.name}.jpg"
        (folder / file).write_bytes(small_jpeg(drawn(pair, layer)))
        texts[file] = pair.text
    return texts


def drawn(pair: Shown, layer: GeoDataFrame) -> Picture:
    """Before, after, truth where it is known, and the features over the later image."""
    with rasterio.open(pair.before) as raster:
        known = np.ones(raster.shape, bool)
        label = GeoreferencedMask(known, known, raster.transform, raster.crs)
    before, after = (stretched(bands_on(path, label)) for path in (pair.before, pair.after))
    panels = [before, after]
    if pair.truth is not None:
        panels.append(_tinted(after // 3, pair.truth, TRUTH_COLOR, 0.9))
    panels.append(_with_features(after, layer.to_crs(label.crs), label))
    return joined([scaled(panel) for panel in panels])


def stretched(bands: NDArray[np.float64]) -> Picture:
    """Three bands, or the first one, between their 1st and 99th percentile; `(..., 3)` uint8."""
    color = bands[:3] if len(bands) >= 3 else np.repeat(bands[:1], 3, axis=0)
    low, high = np.percentile(color, (1, 99), axis=(1, 2), keepdims=True)
    image = 255 * ((color - low) / np.maximum(high - low, 1e-6)).clip(0, 1)
    return np.rint(image).astype(np.uint8).transpose(1, 2, 0)


def _with_features(image: Picture, layer: GeoDataFrame, label: GeoreferencedMask) -> Picture:
    for (class_name, change), group in layer.groupby(["class", "change"]) if len(layer) else ():
        color = COLORS.get((class_name, change), OTHER)
        rgb = tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))
        inside = rasterize(group.geometry, label.shape, transform=label.transform).astype(bool)
        image = _tinted(image, inside, rgb, 0.6)
    return image


def _tinted(
    image: Picture, where: NDArray[np.bool_], color: tuple[int, ...], strength: float
) -> Picture:
    tinted = image.astype(np.float32)
    tinted[where] = (1 - strength) * tinted[where] + strength * np.array(color, np.float32)
    return np.asarray(np.rint(tinted), np.uint8)


def scaled(image: Picture) -> Picture:
    """The image `PANEL_PX` high."""
    width = round(image.shape[1] * PANEL_PX / image.shape[0])
    shrinks = image.shape[0] > PANEL_PX
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, PANEL_PX), interpolation=way), np.uint8)


def joined(panels: Sequence[Picture]) -> Picture:
    """Panels side by side, white between them."""
    gap = np.full((PANEL_PX, GAP_PX, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (gap, panel)]
    return np.hstack(parts[1:])


def small_jpeg(image: Picture) -> bytes:
    """The best JPEG of no more than `MOST_BYTES`; smaller where that would look bad."""
    for quality in range(85, 45, -5):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, optimize=True)
        if len(file.getvalue()) <= MOST_BYTES:
            return file.getvalue()
    smaller = cv2.resize(image, None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
    return small_jpeg(np.asarray(smaller, np.uint8))
