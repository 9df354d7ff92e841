"""What tells clouds from ground in one scene: its mask asset, or the cloud model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.records import PixelWindow
from geochg.stac.asset_reader import (
    AssetPixels,
    AssetReader,
    ReadSettings,
    SceneError,
    open_asset,
)
from geochg.stac.cloud_masks import CLEAR, NO_DATA, cloud_classes, with_margin
from geochg.stac.cloud_model import COARSEST_M, CloudModel, Level
from geochg.stac.collection import BandSource, Collection
from geochg.stac.items import SceneItem
from geochg.stac.options import CloudSource
from geochg.stac.packing import packing_of
from geochg.tiling.grid import pixel_m

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MODEL_BANDS = ("blue", "green", "red", "nir", "swir", "swir2")
"""Bands that the cloud model looks at, as far as a collection has them."""

_CONTEXT_M = 960.0
"""Metres around a part of an image that the cloud model looks at, so that no edge shows."""


def numbers_by_asset(sources: Iterable[BandSource]) -> dict[str, list[int]]:
    """The bands that are read of each asset, from 1."""
    numbers: dict[str, list[int]] = {}
    for source in sources:
        asset_numbers = numbers.setdefault(source.asset, [])
        if source.number not in asset_numbers:
            asset_numbers.append(source.number)
    return numbers


def model_sources(collection: Collection) -> dict[str, BandSource]:
    """The bands of a collection that the cloud model looks at."""
    sources = {name: collection.bands[name] for name in _MODEL_BANDS if name in collection.bands}
    if "nir" not in sources and "nir08" in collection.bands:
        sources["nir"] = collection.bands["nir08"]
    return sources


@dataclass(frozen=True)
class SceneClouds:
    """The cloud mask of one scene, made part by part.

    It is made of more than the part itself, so that clouds are grown, and seen by the model,
    across the edges of parts and of the image.

    Attributes:
        item: The scene.
        collection: Its collection.
        source: What tells clouds.
        margin_m: Metres by which clouds and their shadows are grown.
        halo_px: How far around a part is read.
        pixel_m: Side of a pixel in metres.
        assets: What is read, by asset, on the grid with the halo around it.
        numbers: Which of their bands, from 1.
    """

    item: SceneItem
    collection: Collection
    source: CloudSource
    margin_m: float
    halo_px: int
    pixel_m: float
    assets: Mapping[str, AssetReader]
    numbers: Mapping[str, list[int]]

    @classmethod
    def open(
        cls,
        item: SceneItem,
        collection: Collection,
        source: CloudSource,
        margin_m: float,
        grid: GeoBox,
        settings: ReadSettings,
        stack: ExitStack,
    ) -> SceneClouds:
        """Opens what tells the clouds of a scene.

        Args:
            item: The scene.
            collection: Its collection.
            source: What tells clouds.
            margin_m: Metres by which clouds are grown.
            grid: The grid of the image.
            settings: How assets are read.
            stack: Closes the assets.

        Raises:
            SceneError: If an asset is missing, cannot be read, or is not what its item says.
        """
        side_m, uses_model = pixel_m(grid), source == CloudSource.MODEL
        # A pixel that is wider than the margin, but for its projection, is not grown by one.
        margin_m = margin_m if margin_m >= 0.98 * side_m else 0.0
        halo_px = math.ceil((margin_m + (_CONTEXT_M if uses_model else 0)) / side_m)
        table, nodata = collection.mask, collection.nodata
        numbers: dict[str, list[int]] = {}
        if uses_model:
            numbers = numbers_by_asset(model_sources(collection).values())
        elif source == CloudSource.TABLE and table is not None:
            numbers, nodata = {table.asset: [1]}, table.nodata
        padded = grid.pad(halo_px)
        assets = {
            key: open_asset(
                item, key, bands, padded, settings, stack, nodata=nodata, classes=not uses_model
            )
            for key, bands in numbers.items()
        }
        return cls(item, collection, source, margin_m, halo_px, side_m, assets, numbers)

    def around(self, window: PixelWindow) -> PixelWindow:
        """The window of the grid with the halo that holds a window of the image and its halo."""
        return PixelWindow(
            window.row_start,
            window.row_stop + 2 * self.halo_px,
            window.col_start,
            window.col_stop + 2 * self.halo_px,
        )

    def clear(self, reads: Mapping[str, AssetPixels]) -> NDArray[np.bool_]:
        """Which pixels of a part show ground, bool.

        Args:
            reads: What was read of each asset around the part.

        Raises:
            SceneError: If the assets hold what no mask, or no reflectance, can.
        """
        try:
            classes = (
                self._by_model(reads) if self.source == CloudSource.MODEL else self._by_table(reads)
            )
        except InputError as error:
            raise SceneError(
                self.item, f"has clouds that cannot be told: {error.message}"
            ) from error
        classes = with_margin(classes, self.pixel_m, self.margin_m)
        height_px, width_px = classes.shape
        inner = classes[
            self.halo_px : height_px - self.halo_px, self.halo_px : width_px - self.halo_px
        ]
        return np.asarray(inner == CLEAR)

    def _by_table(self, reads: Mapping[str, AssetPixels]) -> NDArray[np.uint8]:
        table = self.collection.mask
        assert table is not None
        values, is_valid = reads[table.asset]
        classes = np.full(is_valid.shape, NO_DATA, np.uint8)
        # What lies beyond the scene has no value of a mask.
        classes[is_valid] = cloud_classes(values[0][is_valid][None], table)[0]
        return classes

    def _by_model(self, reads: Mapping[str, AssetPixels]) -> NDArray[np.uint8]:
        reflectance, is_valid = {}, np.ones(next(iter(reads.values()))[1].shape, dtype=bool)
        for name, source in model_sources(self.collection).items():
            values, is_measured = reads[source.asset]
            layer = values[self.numbers[source.asset].index(source.number)]
            packing = packing_of(self.item, self.collection, source)
            reflectance[name] = packing.reflectance(layer)
            is_valid &= is_measured
        classes = np.full(is_valid.shape, NO_DATA, np.uint8)
        if is_valid.any():
            # What lies beyond the scene is dark to the model, which then sees shadows beside it.
            inner = _bounds_of(is_valid)
            model = _cloud_model(tuple(reflectance), self.collection.level)
            parts = {name: values[inner] for name, values in reflectance.items()}
            # In a coarse view, by which days are ranked, clouds look as in pixels of 100 m.
            side_m = min(self.pixel_m, COARSEST_M)
            classes[inner] = model.classes(parts, is_valid[inner], side_m)
        return classes


def _bounds_of(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the box around what is True in a mask; something is."""
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


@lru_cache(maxsize=2)
def _cloud_model(bands: tuple[str, ...], level: Level) -> CloudModel:
    return CloudModel.open(bands, level)
