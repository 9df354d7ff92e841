"""Draws a pair and its change layer side by side: the picture of the README.

    python docs/picture.py BEFORE AFTER CHANGES OUT.png

`CHANGES` is what `geochg analyze` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import rasterio
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

COLORS = {
    ("water", "appeared"): "#1f77ff",
    ("water", "disappeared"): "#8ecbff",
    ("water", "altered"): "#7a3fd0",
    ("vegetation", "appeared"): "#2ca02c",
    ("vegetation", "disappeared"): "#ff9d1e",
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


def main(before: Path, after: Path, changes: Path, out: Path) -> None:
    """Draws before, after, and the changes over the after image."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    layer = gpd.read_file(changes)
    with rasterio.open(before) as raster:
        layer = layer.to_crs(raster.crs)
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.1), layout="constrained")
    for axis, path, title in zip(
        axes, (before, after, after), (before.stem, after.stem, changes.name), strict=True
    ):
        pixels, extent = picture(path)
        axis.imshow(pixels, extent=extent)
        axis.set(title=title, xticks=[], yticks=[])
    handles = []
    for (class_name, change), group in layer.groupby(["class", "change"]):
        color = COLORS.get((class_name, change), OTHER)
        group.plot(ax=axes[2], facecolor=color, edgecolor=color, alpha=0.55, linewidth=0.8)
        handles.append(Patch(color=color, label=f"{class_name} {change} ({len(group)})"))
    axes[2].set(xlabel="", ylabel="")
    figure.legend(handles=handles, loc="outside lower right", ncols=6, fontsize=8, frameon=False)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:5]))
