"""Assets of a scene, opened and checked, and read on the grid of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geochg.errors import InputError
from geochg.geometry.placement import crs_of
from geochg.safety.untrusted_text import cleaned
from geochg.stac.items import SceneItem
from geochg.stac.scene_grid import metres_a_unit
from geochg.stac.search_area import SearchArea
from geochg.tiling.gdal import forget_address, gdal_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import PixelWindow

AssetPixels = tuple["NDArray[Any]", "NDArray[np.bool_]"]
"""Values of bands, `(bands, height, width)`, and where all of them were measured."""

_DRIVERS = ["GTiff", "JP2OpenJPEG"]
"""Formats of scenes; none of them reads what another file names."""

_LEAST_INSIDE = 0.5
"""Share of a scene's footprint that its files must cover; footprints are drawn roughly."""


class SceneError(Exception):
    """A scene that cannot be used; the message says why, in words that follow its id.

    Attributes:
        item: The scene.
    """

    def __init__(self, item: SceneItem, reason: str) -> None:
        super().__init__(f"{item.id} {reason}")
        self.item = item


class NothingSeenError(InputError):
    """A window of days of which no scene can be read, or all are under clouds."""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """How assets are read.

    Attributes:
        timeout_s: Longest wait for a server to say anything.
        token: What is put behind addresses of servers that want it; empty for nothing.
        token_host: End of the names of these servers.
    """

    timeout_s: float = 30.0
    token: str = ""
    token_host: str = ""

    def address(self, href: str) -> str:
        """The address that is opened."""
        from urllib.parse import urlsplit

        if not self.token or not href.lower().startswith("https://"):
            return href
        host = urlsplit(href).hostname or ""
        if not host.endswith(self.token_host):
            return href
        return f"{href}{'&' if '?' in href else '?'}{self.token}"

    @contextmanager
    def gdal(self, name: str) -> Iterator[None]:
        """GDAL's settings while it lasts, in this thread."""
        seconds = str(max(1, round(self.timeout_s)))
        with (
            gdal_settings(name),
            rasterio.Env(
                GDAL_HTTP_CONNECTTIMEOUT=seconds,
                GDAL_HTTP_LOW_SPEED_TIME=seconds,
                GDAL_HTTP_LOW_SPEED_LIMIT="1",
                GDAL_HTTP_MAX_RETRY="2",
                GDAL_HTTP_RETRY_DELAY="0.5",
                GDAL_HTTP_RETRY_CODES="429,500,502,503,504",
                # Signed addresses often take no other request than GET.
                CPL_VSIL_CURL_USE_HEAD="NO",
            ),
        ):
            yield


@dataclass(frozen=True)
class AssetReader:
    """An asset of a scene on a grid; to be used by one thread at a time.

    Attributes:
        item: The scene.
        key: Key of the asset.
        address: What is opened.
        settings: How it is read.
        raster: The asset warped onto the grid; its last band tells where it has data.
        dtype: Type of its values.
    """

    item: SceneItem
    key: str
    address: str
    settings: ReadSettings
    raster: WarpedVRT
    dtype: np.dtype[Any]

    def read(self, numbers: Sequence[int], window: PixelWindow) -> AssetPixels:
        """Values of bands within a window of the grid, and where all of them were measured.

        Args:
            numbers: The bands, from 1.
            window: The window.

        Returns:
            `(bands, height, width)` of the asset's type, and `(height, width)` bool.

        Raises:
            SceneError: If the asset cannot be read.
        """
        part = Window(window.col_start, window.row_start, window.width_px, window.height_px)
        try:
            with self.settings.gdal(self.address):
                bands = self.raster.read([*numbers, self.raster.count], window=part)
        except RasterioError as error:
            raise _unreadable(self.item, self.key, error) from error
        values, alpha = bands[:-1], bands[-1]
        is_valid: NDArray[np.bool_] = alpha > 0
        if values.dtype.kind == "f":
            is_valid &= np.isfinite(values).all(axis=0)
        return values, is_valid


def open_asset(
    item: SceneItem,
    key: str,
    numbers: Sequence[int],
    grid: GeoBox,
    settings: ReadSettings,
    stack: ExitStack,
    *,
    nodata: float | None,
    classes: bool = False,
) -> AssetReader:
    """Opens an asset on a grid, and checks that it is what its item says.

    Args:
        item: The scene.
        key: Key of the asset.
        numbers: Bands that will be read, from 1.
        grid: The grid.
        settings: How it is read.
        stack: Closes the asset.
        nodata: Value of "no measurement" where the file tells none; None for none.
        classes: Whether values are classes or bits, which are not mixed.

    Raises:
        SceneError: If it is missing, cannot be read, or is not what its item says.
    """
    address = settings.address(_href(item, key))
    try:
        forget_address(address)
        with settings.gdal(address):
            # `rasterio.open` takes one driver only.
            dataset = stack.enter_context(DatasetReader(address, driver=_DRIVERS))
            _check_asset(item, key, dataset, numbers)
            value = dataset.nodata if dataset.nodata is not None else nodata
            raster = stack.enter_context(
                WarpedVRT(
                    dataset,
                    crs=rasterio.crs.CRS.from_wkt(crs_of(grid).to_wkt()),
                    transform=grid.transform,
                    height=grid.shape[0],
                    width=grid.shape[1],
                    resampling=Resampling.nearest if classes else Resampling.bilinear,
                    # An alpha band of the file's own is kept as the last one.
                    add_alpha=ColorInterp.alpha not in dataset.colorinterp,
                    **({} if value is None else {"src_nodata": value, "nodata": value}),
                )
            )
    except (RasterioError, CRSError) as error:
        raise _unreadable(item, key, error) from error
    dtype = np.dtype(dataset.dtypes[numbers[0] - 1])
    return AssetReader(item, key, address, settings, raster, dtype)


def pixel_size_m(item: SceneItem, key: str, settings: ReadSettings) -> float:
    """The size of a pixel of an asset in metres.

    Raises:
        SceneError: If it cannot be read.
    """
    address = settings.address(_href(item, key))
    try:
        with settings.gdal(address), DatasetReader(address, driver=_DRIVERS) as dataset:
            _check_asset(item, key, dataset, [1])
            crs = CRS(dataset.crs.to_wkt())
            size = abs(dataset.transform.determinant) ** 0.5
    except (RasterioError, CRSError) as error:
        raise _unreadable(item, key, error) from error
    return float(size * metres_a_unit(crs))


def _href(item: SceneItem, key: str) -> str:
    asset = item.assets.get(key)
    if asset is None:
        raise SceneError(item, f"has no asset {key!r}, only {', '.join(list(item.assets)[:20])}")
    if not asset.href:
        raise SceneError(item, f"has an asset {key!r} that is not read: {asset.refusal}")
    return asset.href


def _unreadable(item: SceneItem, key: str, error: Exception) -> SceneError:
    return SceneError(item, f"has an asset {key!r} that cannot be read: {cleaned(error, 200)}")


def _check_asset(item: SceneItem, key: str, dataset: DatasetReader, numbers: Sequence[int]) -> None:
    """Refuses a file that is not what its item says."""
    if max(numbers) > dataset.count:
        raise SceneError(item, f"has an asset {key!r} of {dataset.count} bands, not {max(numbers)}")
    if dataset.crs is None or dataset.transform == Affine.identity():
        raise SceneError(item, f"has an asset {key!r} without georeference")
    if dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
        raise SceneError(item, f"has an asset {key!r} that names another file")
    told_shape = item.assets[key].shape_px
    if told_shape is not None and told_shape != dataset.shape:
        raise SceneError(
            item,
            f"has an asset {key!r} of {dataset.width} x {dataset.height} px, which the catalogue "
            f"says has {told_shape[1]} x {told_shape[0]}",
        )
    grid = GeoBox(dataset.shape, dataset.transform, CRS(dataset.crs.to_wkt()))
    ground = SearchArea.of_grid(grid, key)
    footprint = SearchArea(item.footprint, item.id)
    if footprint.share_in(ground.polygon) < _LEAST_INSIDE:
        west, south, east, north = ground.polygon.bounds
        raise SceneError(
            item,
            f"has an asset {key!r} that lies elsewhere than the catalogue says: "
            f"{west:.3f},{south:.3f},{east:.3f},{north:.3f}",
        )
