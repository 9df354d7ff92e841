"""Scenes on the grid of the image: pixels of their bands, and which of them show ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.records import PixelWindow
from geochg.stac.asset_reader import AssetPixels, ReadSettings, open_asset
from geochg.stac.collection import BandSource, Collection
from geochg.stac.items import SceneItem
from geochg.stac.options import CloudSource
from geochg.stac.packing import packing_of, written_values
from geochg.stac.scene_clouds import SceneClouds, numbers_by_asset

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 8


@dataclass(frozen=True)
class ScenePlan:
    """What is read of each scene.

    Attributes:
        collection: The collection of the scenes.
        bands: Where the bands that are written are read, in their order.
        clouds: What tells clouds from ground, one of `CloudSource` but `AUTO`.
        margin_m: Metres by which clouds and their shadows are grown.
        settings: How assets are read.
    """

    collection: Collection
    bands: Mapping[str, BandSource]
    clouds: CloudSource
    margin_m: float
    settings: ReadSettings

    @property
    def looks_for_clouds(self) -> bool:
        """Whether anything tells clouds from ground."""
        return self.clouds != CloudSource.NONE


@dataclass(frozen=True)
class ScenePixels:
    """A part of one scene on the grid.

    Attributes:
        values: `(bands, height, width)`: int16 reflectance times 10,000, or values as they are.
        clear: `(height, width)` bool, True where all bands were measured and ground is seen.
    """

    values: NDArray[Any]
    clear: NDArray[np.bool_]


class SceneReader:
    """Reads one scene on a grid; to be closed by the stack that opened it.

    Args:
        item: The scene.
        plan: What is read of it.
        grid: The grid.
        stack: Closes its files.

    Raises:
        SceneError: If an asset is missing, cannot be read, or is not what its item says.
    """

    def __init__(self, item: SceneItem, plan: ScenePlan, grid: GeoBox, stack: ExitStack) -> None:
        self.item, self._plan = item, plan
        collection, settings = plan.collection, plan.settings
        self._clouds = SceneClouds.open(
            item, collection, plan.clouds, plan.margin_m, grid, settings, stack
        )
        self._numbers = numbers_by_asset(plan.bands.values())
        self._assets = {
            key: open_asset(item, key, numbers, grid, settings, stack, nodata=collection.nodata)
            for key, numbers in self._numbers.items()
        }

    @property
    def dtypes(self) -> list[np.dtype[Any]]:
        """Types of the values of its bands."""
        return [asset.dtype for asset in self._assets.values()]

    def begin_read(self, window: PixelWindow, threads: ThreadPoolExecutor) -> PendingPixels:
        """Begins to read a window; each asset in a thread of its own."""
        assets = {
            key: threads.submit(asset.read, self._numbers[key], window)
            for key, asset in self._assets.items()
        }
        clouds = {
            key: threads.submit(asset.read, self._clouds.numbers[key], self._clouds.around(window))
            for key, asset in self._clouds.assets.items()
        }
        return PendingPixels(self, assets, clouds, window)

    def read(self, window: PixelWindow) -> ScenePixels:
        """Reads a window in this thread.

        Raises:
            SceneError: If an asset cannot be read.
        """
        assets = {
            key: asset.read(self._numbers[key], window) for key, asset in self._assets.items()
        }
        clouds = {
            key: asset.read(self._clouds.numbers[key], self._clouds.around(window))
            for key, asset in self._clouds.assets.items()
        }
        return self.pixels(assets, clouds, window)

    def pixels(
        self,
        assets: Mapping[str, AssetPixels],
        clouds: Mapping[str, AssetPixels],
        window: PixelWindow,
    ) -> ScenePixels:
        """The pixels of a window, of what was read of it and, for clouds, around it.

        Raises:
            SceneError: If what should tell clouds cannot.
        """
        shape = (window.height_px, window.width_px)
        clear = np.ones(shape, dtype=bool)
        for _, is_valid in assets.values():
            clear &= is_valid
        if clouds:
            clear &= self._clouds.clear(clouds)
        layers = []
        for source in self._plan.bands.values():
            values, _ = assets[source.asset]
            layer = values[self._numbers[source.asset].index(source.number)]
            if self._plan.collection.reflectance:
                packing = packing_of(self.item, self._plan.collection, source)
                layer = written_values(packing.reflectance(layer))
            layers.append(layer)
        values = np.stack(layers) if layers else np.empty((0, *shape), np.int16)
        return ScenePixels(values, clear)


@dataclass(frozen=True)
class PendingPixels:
    """A part of a scene that is being read.

    Attributes:
        reader: Reader of the scene.
        assets: Its bands by asset.
        clouds: What tells clouds, by asset.
        window: The part.
    """

    reader: SceneReader
    assets: Mapping[str, Future[AssetPixels]]
    clouds: Mapping[str, Future[AssetPixels]]
    window: PixelWindow

    def result(self) -> ScenePixels:
        """The pixels, once they are read.

        Raises:
            SceneError: If an asset cannot be read.
        """
        assets = {key: future.result() for key, future in self.assets.items()}
        clouds = {key: future.result() for key, future in self.clouds.items()}
        return self.reader.pixels(assets, clouds, self.window)

    def drop(self) -> None:
        """Waits until nothing is read any more."""
        for future in (*self.assets.values(), *self.clouds.values()):
            if not future.cancel():
                future.exception()


def read_scenes(
    readers: Sequence[SceneReader], window: PixelWindow, threads: ThreadPoolExecutor
) -> list[ScenePixels]:
    """A window of several scenes, read side by side.

    Raises:
        SceneError: If one cannot be read.
    """
    pending = [reader.begin_read(window, threads) for reader in readers]
    try:
        return [pixels.result() for pixels in pending]
    except BaseException:
        # No thread may still read what is closed after this.
        for pixels in pending:
            pixels.drop()
        raise


def mosaic_of(scenes: Sequence[ScenePixels]) -> ScenePixels:
    """Scenes of one day as one: of each pixel, the first scene that shows ground."""
    if len(scenes) == 1:
        return scenes[0]
    values, clear = scenes[0].values.copy(), scenes[0].clear.copy()
    for scene in scenes[1:]:
        fresh = scene.clear & ~clear
        values[:, fresh] = scene.values[:, fresh]
        clear |= fresh
    return ScenePixels(values, clear)


def median_of(scenes: Sequence[ScenePixels]) -> ScenePixels:
    """The median of the days on which a pixel is clear, band by band.

    Of an even number of days it is the mean of the two in the middle, rounded in whole numbers.
    """
    if len(scenes) == 1:
        return scenes[0]
    clear = np.stack([scene.clear for scene in scenes])
    count = clear.sum(axis=0)
    values = np.stack([scene.values for scene in scenes])
    dtype = values.dtype
    greatest = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
    values = np.where(clear[:, None], values, dtype.type(greatest))
    values.sort(axis=0)
    low = np.broadcast_to(np.maximum(count - 1, 0) // 2, values.shape[1:])[None]
    high = np.broadcast_to(np.minimum(count // 2, len(scenes) - 1), values.shape[1:])[None]
    pair = [
        np.take_along_axis(values, index, axis=0)[0].astype(np.float64) for index in (low, high)
    ]
    middle = (pair[0] + pair[1]) / 2
    if dtype.kind != "f":
        middle = np.rint(middle)
    return ScenePixels(np.where(count > 0, middle, 0).astype(dtype), count > 0)
