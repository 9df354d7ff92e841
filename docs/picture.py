"""Draws a pair and its change layer side by side: the picture of the README.

    python docs/picture.py BEFORE AFTER CHANGES OUT.png

`CHANGES` is what `geochg analyze` wrote. It needs matplotlib, which `make install` brings.
"""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import rasterio
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

COLORS = {
    ("building", "appeared"): "#ff2a2a",
    ("building", "disappeared"): "#8f1020",
    ("building", "altered"): "#ff9a9a",
    ("road", "appeared"): "#ffe100",
    ("road", "disappeared"): "#a08800",
    ("road", "altered"): "#fff3a0",
    ("vegetation", "appeared"): "#2ca02c",
    ("vegetation", "disappeared"): "#ff9d1e",
    ("vegetation", "altered"): "#b5e61d",
    ("water", "appeared"): "#1f77ff",
    ("water", "disappeared"): "#8ecbff",
    ("water", "altered"): "#7a3fd0",
    ("bare", "appeared"): "#c46a2d",
    ("bare", "disappeared"): "#6e3f1e",
    ("bare", "altered"): "#e8bf98",
    ("other", "appeared"): "#00d5d5",
    ("other", "disappeared"): "#007a7a",
}
OTHER = "#e0218a"


def picture(path: Path) -> tuple[np.ndarray, list[float]]:
    """Red, green and blue stretched to 0-1, and the extent in the raster's CRS."""
    with rasterio.open(path) as raster:
        pixels = raster.read([1, 2, 3]).astype(np.float32)
        bounds = raster.bounds
    low, high = np.percentile(pixels, [1, 99], axis=(1, 2), keepdims=True)
    extent = [bounds.left, bounds.right, bounds.bottom, bounds.top]
    return ((pixels - low) / (high - low)).clip(0, 1).transpose(1, 2, 0), extent


def drawing(before: Path, after: Path, changes: Path) -> Figure:
    """Before, after, and the changes over the after image."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    layer = gpd.read_file(changes)
    with rasterio.open(before) as raster:
        layer = layer.to_crs(raster.crs)
        latitude = (raster.bounds.bottom + raster.bounds.top) / 2 if raster.crs.is_geographic else 0
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.1), layout="constrained")
    for axis, path, title in zip(
        axes, (before, after, after), (before.stem, after.stem, changes.name), strict=True
    ):
        pixels, extent = picture(path)
        axis.imshow(pixels, extent=extent)
        axis.set(title=title, xticks=[], yticks=[], aspect=1 / np.cos(np.radians(latitude)))
    handles = _draw_layer(layer, axes[2])
    figure.legend(handles=handles, loc="outside lower right", ncols=6, fontsize=8, frameon=False)
    return figure


def main(before: Path, after: Path, changes: Path, out: Path) -> None:
    """Writes the drawing."""
    drawing(before, after, changes).savefig(out, dpi=80)


def _draw_layer(layer: gpd.GeoDataFrame, axis: Axes) -> list[Patch]:
    """Draws the features over an image, whose frame stays; gives the legend's entries."""
    handles = []
    frame = axis.axis()
    for (class_name, change), group in layer.groupby(["class", "change"]) if len(layer) else ():
        color = COLORS.get((class_name, change), OTHER)
        group.plot(
            ax=axis, aspect=None, facecolor=color, edgecolor=color, alpha=0.55, linewidth=0.8
        )
        handles.append(Patch(color=color, label=f"{class_name} {change} ({len(group)})"))
    axis.axis(frame)
    axis.set(xlabel="", ylabel="")
    return handles


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:5]))
