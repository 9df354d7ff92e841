"""Scenes on the grid of the image: pixels of their bands, and which of them show ground."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.records import PixelWindow
from geochg.stac.asset_reader import AssetReader, ReadSettings, SceneError, open_asset
from geochg.stac.cloud_masks import (
    CLEAR,
    CLOUD_MARGIN_M,
    NO_DATA,
    margin_of,
    margin_px,
    with_margin,
)
from geochg.stac.cloud_masks import cloud_classes as classes_of_table
from geochg.stac.cloud_model import COARSEST_M, context_px, level_of, opened_cloud_model
from geochg.stac.collection import BandSource, Collection
from geochg.stac.items import SceneItem
from geochg.stac.packing import packing_of, written_values
from geochg.tiling.grid import pixel_m

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 8
MODEL_BANDS = ("blue", "green", "red", "nir", "swir", "swir2")
"""Bands that the cloud model looks at, as far as a collection has them."""

_Read = tuple["NDArray[Any]", "NDArray[np.bool_]"]


@dataclass(frozen=True)
class ScenePlan:
    """What is read of each scene.

    Attributes:
        collection: The collection of the scenes.
        bands: Where the bands that are written are read, in their order.
        uses_table: Whether the mask asset tells clouds from ground.
        uses_model: Whether the cloud model does.
        settings: How assets are read.
        margin_m: Metres by which clouds are grown; None for what is usual.
    """

    collection: Collection
    bands: Mapping[str, BandSource]
    uses_table: bool
    uses_model: bool
    settings: ReadSettings
    margin_m: float | None = None

    @property
    def usual_margin_m(self) -> float:
        """Metres by which clouds are grown where nobody says else."""
        mask = self.collection.mask
        return margin_of(mask) if self.uses_table and mask is not None else CLOUD_MARGIN_M

    @property
    def model_bands(self) -> dict[str, BandSource]:
        """The bands for the cloud model; empty where it is not asked."""
        sources = self.collection.bands if self.uses_model else {}
        return {name: sources[name] for name in MODEL_BANDS if name in sources}

    def numbers(self, *, with_bands: bool = True) -> dict[str, list[int]]:
        """The bands that are read of each asset, from 1.

        Args:
            with_bands: Whether the bands that are written are read, beside those for clouds.
        """
        sources = [*(self.bands.values() if with_bands else ()), *self.model_bands.values()]
        numbers: dict[str, list[int]] = {}
        for source in sources:
            asset_numbers = numbers.setdefault(source.asset, [])
            if source.number not in asset_numbers:
                asset_numbers.append(source.number)
        return numbers


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
        with_bands: Whether bands are read, beside what tells clouds.

    Raises:
        SceneError: If an asset is missing, cannot be read, or is not what its item says.
    """

    def __init__(
        self,
        item: SceneItem,
        plan: ScenePlan,
        grid: GeoBox,
        stack: ExitStack,
        *,
        with_bands: bool = True,
    ) -> None:
        self.item, self._plan = item, plan
        self._frame, self._pixel_m = PixelWindow.whole(grid.shape), pixel_m(grid)
        self._bands = plan.bands if with_bands else {}
        self._numbers = plan.numbers(with_bands=with_bands)
        collection = plan.collection
        self._assets: dict[str, AssetReader] = {
            key: open_asset(
                item, key, numbers, grid, plan.settings, stack, nodata=collection.nodata
            )
            for key, numbers in self._numbers.items()
        }
        self._mask: AssetReader | None = None
        if plan.uses_table and collection.mask is not None:
            self._mask = open_asset(
                item,
                collection.mask.asset,
                [1],
                grid,
                plan.settings,
                stack,
                nodata=collection.mask.nodata,
                classes=True,
            )

    @property
    def dtypes(self) -> list[np.dtype[Any]]:
        """Types of the values of its bands."""
        return [self._assets[source.asset].dtype for source in self._bands.values()]

    @property
    def _margin_m(self) -> float:
        """Metres by which clouds are grown: by none in a coarse view whose pixels are wider."""
        plan = self._plan
        if not (plan.uses_table or plan.uses_model):
            return 0.0
        margin_m = plan.usual_margin_m if plan.margin_m is None else plan.margin_m
        return margin_m if self._bands or self._pixel_m <= margin_m else 0.0

    def _outer(self, window: PixelWindow) -> PixelWindow:
        """What is read for a window: what lies around it may reach into it, or is context."""
        reach = margin_px(self._margin_m, self._pixel_m)
        if self._plan.uses_model:
            reach += context_px(self._pixel_m)
        grown_window = PixelWindow(
            window.row_start - reach,
            window.row_stop + reach,
            window.col_start - reach,
            window.col_stop + reach,
        )
        return grown_window.cut_to(self._frame) or window

    def begin_read(self, window: PixelWindow, threads: ThreadPoolExecutor) -> _PendingPixels:
        """Begins to read a window; each asset in a thread of its own."""
        outer = self._outer(window)
        assets = {
            key: threads.submit(asset.read, self._numbers[key], outer)
            for key, asset in self._assets.items()
        }
        mask = None if self._mask is None else threads.submit(self._mask.read, [1], outer)
        return _PendingPixels(self, assets, mask, window)

    def read_at_once(self, window: PixelWindow) -> ScenePixels:
        """Reads a window in this thread.

        Raises:
            SceneError: If an asset cannot be read.
        """
        outer = self._outer(window)
        assets = {key: asset.read(self._numbers[key], outer) for key, asset in self._assets.items()}
        mask = None if self._mask is None else self._mask.read([1], outer)
        return self.pixels(assets, mask, window)

    def pixels(
        self, assets: Mapping[str, _Read], mask: _Read | None, window: PixelWindow
    ) -> ScenePixels:
        """The pixels of a window, of what was read of it and around it.

        Raises:
            SceneError: If the mask asset is none.
        """
        outer = self._outer(window)
        clear = np.ones((outer.height_px, outer.width_px), dtype=bool)
        for _, is_valid in assets.values():
            clear &= is_valid
        for classes in self._cloud_masks(assets, mask, clear):
            clear &= with_margin(classes, self._pixel_m, self._margin_m) == CLEAR
        part = window.slices_within(outer)
        layers = [self._layer(assets, source)[part] for source in self._bands.values()]
        values = np.stack(layers) if layers else np.empty((0, *clear[part].shape), np.int16)
        return ScenePixels(values, clear[part])

    def _cloud_masks(
        self, assets: Mapping[str, _Read], mask: _Read | None, clear: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.uint8]]:
        """The cloud masks of what was read: that of the mask asset, and that of the model."""
        table = self._plan.collection.mask
        if mask is not None and table is not None:
            values, is_valid = mask
            try:
                classes = classes_of_table(values[0], table)
            except InputError as error:
                reason = f"has an asset {table.asset!r} that tells no clouds: {error.message}"
                raise SceneError(self.item, reason) from error
            yield np.where(is_valid, classes, np.uint8(NO_DATA))
        if self._plan.uses_model and clear.any():
            yield self._predicted_classes(assets, clear)

    def _layer(self, assets: Mapping[str, _Read], source: BandSource) -> NDArray[Any]:
        """A band as it is written."""
        values = self._raw(assets, source)
        if not self._plan.collection.reflectance:
            return values
        packing = packing_of(self.item, self._plan.collection, source)
        return written_values(packing.reflectance(values))

    def _raw(self, assets: Mapping[str, _Read], source: BandSource) -> NDArray[Any]:
        values, _ = assets[source.asset]
        layer: NDArray[Any] = values[self._numbers[source.asset].index(source.number)]
        return layer

    def _predicted_classes(
        self, assets: Mapping[str, _Read], clear: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """What the cloud model makes of what was read."""
        bands = {}
        for name, source in self._plan.model_bands.items():
            packing = packing_of(self.item, self._plan.collection, source)
            bands[name] = packing.reflectance(self._raw(assets, source))
        model = opened_cloud_model(tuple(bands), level_of(self._plan.collection.id))
        try:
            return model.classes(bands, clear, min(self._pixel_m, COARSEST_M))
        except InputError as error:
            raise SceneError(self.item, f"tells no clouds: {error.message}") from error


@dataclass(frozen=True)
class _PendingPixels:
    """Assets of a scene that are being read."""

    reader: SceneReader
    assets: Mapping[str, Future[_Read]]
    mask: Future[_Read] | None
    window: PixelWindow

    def result(self) -> ScenePixels:
        """The pixels, once they are read.

        Raises:
            SceneError: If an asset cannot be read.
        """
        assets = {key: future.result() for key, future in self.assets.items()}
        mask = None if self.mask is None else self.mask.result()
        return self.reader.pixels(assets, mask, self.window)


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
        _wait_for(pending)
        raise


def _wait_for(pending: Iterable[_PendingPixels]) -> None:
    for pixels in pending:
        for future in [*pixels.assets.values(), *([pixels.mask] if pixels.mask else [])]:
            if not future.cancel():
                future.exception()


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
