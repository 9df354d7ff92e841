"""Real pairs, and what `geochg.analyze` and image differencing make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.vrt import WarpedVRT
from scipy.ndimage import binary_opening
from scores import difference

from geochg import AnalyzeOptions, Outputs, analyze
from geochg.datasets.world.textures import CROP_YEARS
from geochg.records import HEAT_SCALE, PixelWindow
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import PairReader
from geochg.tiling.source import gdal_settings

RGB = ("red=1", "green=2", "blue=3")
"""Every model sees these, so that all are compared on the same pixels."""

IRMAD = "irmad"
"""What every model is put beside."""

CITIES = ("lasvegas", "dubai", "cupertino")
PONDS_YEARS = ("20120731", "20140720")
NEON_M = 0.5
"""What an analyst would choose for 0.1 m imagery."""


class RealPair(NamedTuple):
    """Two files of one place; `resolution_m` None takes them as they are."""

    name: str
    before: Path
    after: Path
    resolution_m: float | None = None


@dataclass(frozen=True, eq=False)
class Product:
    """What `analyze` makes of a pair with a model.

    Attributes:
        model: As `--model` takes it.
        layer: The features.
        layer_path: The same in a GeoJSON file.
        heat: `(height, width)` float32, probability of change 0-1.
        transform: Of the common grid.
    """

    model: str
    layer: gpd.GeoDataFrame
    layer_path: Path
    heat: NDArray[np.float32]
    transform: Affine

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """`(height, width)`: pixels whose centre lies in a feature."""
        return self.inside_of(self.layer)

    def inside_of(self, part: gpd.GeoDataFrame) -> NDArray[np.bool_]:
        """`(height, width)`: pixels whose centre lies in one of these features."""
        if part.empty:
            return np.zeros(self.heat.shape, bool)
        found: NDArray[np.bool_] = geometry_mask(
            part.geometry, self.heat.shape, self.transform, invert=True
        )
        return found


@dataclass(frozen=True, eq=False)
class Analysed:
    """A pair with what a model, irmad and image differencing make of it.

    Attributes:
        pair: Which.
        own: Of the model that is judged.
        irmad: Of `irmad`.
        distance: `(height, width)` float32 of image differencing on the pixels irmad saw,
            shifted as they were for it.
        valid: `(height, width)` bool.
    """

    pair: RealPair
    own: Product
    irmad: Product
    distance: NDArray[np.float32]
    valid: NDArray[np.bool_]


# --- pairs ---------------------------------------------------------------------------------------


def neon(data: Path, resolution_m: float | None = None) -> list[RealPair]:
    """The savanna plots of two years."""
    folder = data / "neon_pairs_sjer"
    return [
        RealPair(path.stem, path, folder / "2018" / path.name, resolution_m)
        for path in sorted((folder / "2017").glob("*.tif"))
    ]


def naip(data: Path, years: tuple[str, str]) -> RealPair:
    """Two dates of the North Dakota series."""
    before, after = (next((data / "naip_series_nd").glob(f"*_{day}.tif")) for day in years)
    return RealPair(f"naip_{years[0][:4]}_{years[1][:4]}", before, after)


def crops(data: Path) -> list[RealPair]:
    """Years between which the crops changed their colours and little else."""
    return [naip(data, years) for years in CROP_YEARS]


def ponds(data: Path) -> RealPair:
    """Years between which ponds grew."""
    return naip(data, PONDS_YEARS)._replace(name="ponds")


def city(data: Path, name: str, folder: Path) -> RealPair:
    """A Sentinel-2 pair, its three visible bands stacked into a GeoTIFF a date in `folder`."""
    stacks = []
    for date in ("imgs_1", "imgs_2"):
        stack = folder / f"{name}_{date}.tif"
        sources = [
            next((data / "s2_pairs" / name / date).glob(f"*_{band}.tif"))
            for band in ("B04", "B03", "B02")
        ]
        with rasterio.open(sources[0]) as first:
            profile = first.profile | {"driver": "GTiff", "count": 3}
        with rasterio.open(stack, "w", **profile) as target:
            for number, source in enumerate(sources, start=1):
                with rasterio.open(source) as band:
                    target.write(band.read(1), number)
        stacks.append(stack)
    return RealPair(name, stacks[0], stacks[1])


# --- truth ---------------------------------------------------------------------------------------

DARKEST_LAND_2012 = 120
"""Near infrared (8 bit) in the valley of its histogram: below it lies water."""

LEAST_WATER_2014 = 0.4
"""NDWI (McFeeters 1996) in the valley of its histogram: above it lies water."""


def new_water(ponds: Analysed) -> NDArray[np.bool_]:
    """`(height, width)`: land of 2012 that is water in 2014, by the infrared that no model saw.

    The two dates need measures of their own: muddy ponds of 2012 look like bare soil to NDWI, and
    dark soil of 2014 like water to the infrared alone. Specks of a few pixels are dropped.
    """
    infrared_before = _bands(ponds, ponds.pair.before, (4,))[0]
    green, infrared = _bands(ponds, ponds.pair.after, (2, 4))
    water = (green - infrared) / np.maximum(green + infrared, 1) > LEAST_WATER_2014
    opened: NDArray[np.bool_] = binary_opening(
        water & (infrared_before >= DARKEST_LAND_2012), iterations=2
    )
    return opened


def _bands(one: Analysed, path: Path, numbers: tuple[int, ...]) -> NDArray[np.float32]:
    """`(bands, height, width)` on the common grid."""
    height, width = one.valid.shape
    with (
        rasterio.open(path) as raster,
        WarpedVRT(raster, transform=one.own.transform, height=height, width=width) as common,
    ):
        pixels: NDArray[np.float32] = common.read(numbers, out_dtype="float32")
    return pixels


# --- looking -------------------------------------------------------------------------------------


def analysed(pair: RealPair, model: str, device: str, folder: Path) -> Analysed:
    """Runs `analyze` on a pair with the model and with irmad, with the files in a folder."""
    options = AnalyzeOptions(model=model, bands=RGB, resolution=pair.resolution_m, device=device)
    plain = replace(options, model=IRMAD)
    before, after, valid = _pixels(pair, plain)
    own = _product(pair, options, valid, folder)
    return Analysed(
        pair=pair,
        own=own,
        irmad=own if model == IRMAD else _product(pair, plain, valid, folder),
        distance=difference(before, after, valid),
        valid=valid,
    )


def _product(
    pair: RealPair, options: AnalyzeOptions, valid: NDArray[np.bool_], folder: Path
) -> Product:
    kind = "irmad" if options.model == IRMAD else "own"
    name = f"{pair.name}_{pair.resolution_m or 'full'}_{kind}"
    features_path, heat_path = folder / f"{name}.geojson", folder / f"{name}_heat.tif"
    outputs = Outputs(features=features_path, heatmap=heat_path)
    result = analyze(pair.before, pair.after, options, outputs=outputs)
    with rasterio.open(heat_path) as heatmap:
        heat, transform = heatmap.read(1), heatmap.transform
    return Product(
        model=options.model,
        layer=result.features,
        layer_path=features_path,
        heat=np.where(valid, heat.astype(np.float32) / HEAT_SCALE, 0),
        transform=transform,
    )


def _pixels(
    pair: RealPair, options: AnalyzeOptions
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Both dates on the common grid in source units, and where both are valid."""
    with gdal_settings():
        opened = open_pair(pair.before, pair.after, options, "rgb")
        plan = prepare(opened, options.align, pixels="values").plan(opened)
        height_px, width_px = opened.grid.shape
        with PairReader(plan) as reader:
            return reader.read_values(PixelWindow(0, height_px, 0, width_px))
