"""A scene of a window of days, fetched, masked and written as a cloud-optimised GeoTIFF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from geochg.errors import OptionError
from geochg.events import Listener, ignore

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from geochg.stac.collection import Collection
    from geochg.stac.date_window import DateWindow
    from geochg.stac.known import KnownCatalogs
    from geochg.stac.options import CloudSource, FetchOptions
    from geochg.stac.scene_reader import ScenePlan
    from geochg.stac.search import FoundScenes
    from geochg.stac.search_area import SearchArea


@dataclass(frozen=True)
class FetchedScene:
    """A scene that was written.

    Attributes:
        path: The file: bands that were asked for, in reflectance times 10,000 (int16, nodata
            -32768) where the collection has reflectance, else as they are with a mask.
        dates: Days of the scenes in it, ISO 8601, sorted.
        items: Ids of the scenes in it, sorted.
        hidden_share: Share of the area, 0-1, that is nodata: clouds, shadow, snow, or not covered.
        warnings: Sentences on scenes that were left out, and on what else matters for the result.
        metadata: What the tag `geochg` of the file holds, as plain JSON values.
    """

    path: Path
    dates: tuple[str, ...]
    items: tuple[str, ...]
    hidden_share: float
    warnings: tuple[str, ...]
    metadata: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The scene as plain JSON values."""
        return {
            "path": str(self.path),
            "dates": list(self.dates),
            "items": list(self.items),
            "hidden_share": self.hidden_share,
            "warnings": list(self.warnings),
            **{key: self.metadata[key] for key in ("collection", "catalog", "bands", "composite")},
        }


def fetch_scene(
    area: SearchArea | None,
    window: DateWindow,
    output: Path,
    options: FetchOptions,
    *,
    scenes: FoundScenes | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> FetchedScene:
    """Fetches what a catalogue has of an area and a window of days, and writes it.

    Two windows of one area and collection give images on one grid, pixel on pixel.

    Args:
        area: The area; None for that of `options.like`.
        window: The days, in UTC.
        output: Where to write, `.tif`.
        options: Collection, catalogue, composite, bands and grid.
        scenes: The scenes of area and window that `search_scenes` found; searched when None.
        overwrite: Whether a file may be replaced that geochg did not write.
        listener: Is told the progress (stages `clouds` and `scenes`) and warnings.
        cancel: A flag; once it is set, the run stops at the next block.

    Raises:
        InputError: If the catalogue cannot be asked, has no such collection or no scene of area
            and window, or the output may not be written.
        NothingSeenError: If no scene can be read, or clouds hide all of the area.
        OptionError: If options make no sense.
        RunError: If the file cannot be written.
        CancelledRunError: If it was cancelled; nothing is written.
    """
    from geochg.stac.composite_writer import CompositeWriter
    from geochg.stac.known import read_known_catalogs
    from geochg.stac.scene_grid import grid_of_raster
    from geochg.stac.search import refuse_none, search_scenes
    from geochg.stac.search_area import SearchArea
    from geochg.writers.checks import Output, check_outputs
    from geochg.writers.cog import COG_SUFFIXES

    inputs = [Path(options.like)] if options.like else []
    check_outputs([Output(output, COG_SUFFIXES)], inputs, overwrite=overwrite)
    like_grid = grid_of_raster(options.like) if options.like else None
    if area is None:
        if like_grid is None:
            raise OptionError("no area is given", "give --bbox, --aoi or --like")
        area = SearchArea.of_grid(like_grid, str(options.like))
    tables = read_known_catalogs()
    scenes = scenes or search_scenes(area, window, options, listener=listener, tables=tables)
    refuse_none(scenes, area, window, options)
    plan, grid = _plan_and_grid(scenes, tables, area, options, like_grid)
    writer = CompositeWriter(scenes, plan, grid, area, window, options, listener, cancel or Flag())
    return writer.write(output, overwrite=overwrite)


def _plan_and_grid(
    scenes: FoundScenes,
    tables: KnownCatalogs,
    area: SearchArea,
    options: FetchOptions,
    like_grid: GeoBox | None,
) -> tuple[ScenePlan, GeoBox]:
    """What is read of each scene, and the grid."""
    from geochg.stac.asset_reader import ReadSettings
    from geochg.stac.scene_grid import scene_grid
    from geochg.stac.scene_reader import ScenePlan

    collection = scenes.collection(tables)
    plan = ScenePlan(
        collection=collection,
        bands=collection.band_sources(options.bands),
        clouds=_cloud_source(collection, options),
        margin_m=_margin_m(collection, options),
        settings=ReadSettings(
            options.timeout_s, _token(scenes, options), scenes.catalog.token_host
        ),
    )
    if like_grid is not None:
        return plan, like_grid
    resolution_m = collection.resolution_m
    if resolution_m is None and options.resolution is None:
        resolution_m = _resolution_of_files(scenes, plan)
    grid = scene_grid(area, options, resolution_m=resolution_m or 1.0, anchor_m=collection.anchor_m)
    return plan, grid


def _cloud_source(collection: Collection, options: FetchOptions) -> CloudSource:
    """What tells clouds from ground; not `AUTO`."""
    from geochg.extras import is_installed, require_packages
    from geochg.stac.cloud_model import NEEDED_BANDS, model_bands
    from geochg.stac.options import CloudSource

    if options.clouds == CloudSource.AUTO:
        if collection.mask is not None:
            return CloudSource.TABLE
        can_predict = collection.reflectance and set(NEEDED_BANDS) <= set(collection.bands)
        is_there = can_predict and is_installed("ukis_csmask")
        return CloudSource.MODEL if is_there else CloudSource.NONE
    if options.clouds == CloudSource.TABLE and collection.mask is None:
        raise OptionError(
            f"no table tells the clouds of {collection.id}", "give --clouds model, or none"
        )
    if options.clouds == CloudSource.MODEL:
        require_packages("clouds", "ukis_csmask")
        model_bands(tuple(collection.bands))
        if not collection.reflectance:
            raise OptionError(
                f"the cloud model needs reflectance, which {collection.id} does not tell",
                "give --clouds table, or none",
            )
    return options.clouds


def _margin_m(collection: Collection, options: FetchOptions) -> float:
    """Metres by which clouds are grown."""
    from geochg.stac.cloud_masks import CLOUD_MARGIN_M, margin_of
    from geochg.stac.options import CloudSource

    if options.cloud_margin_m is not None:
        return options.cloud_margin_m
    if options.clouds != CloudSource.MODEL and collection.mask is not None:
        return margin_of(collection.mask)
    return CLOUD_MARGIN_M


def _token(scenes: FoundScenes, options: FetchOptions) -> str:
    """What is put behind addresses of assets; empty where they are open."""
    from urllib.parse import quote

    from geochg.stac.catalog_reader import CatalogError, CatalogReader

    if not scenes.catalog.token:
        return ""
    address = scenes.catalog.token.replace("{collection}", quote(scenes.collection_id, safe=""))
    token = CatalogReader(scenes.rules, options.timeout_s).read(address).get("token")
    if not isinstance(token, str) or not token.strip() or not token.isprintable():
        raise CatalogError(f"{address} gives no token", "try again later, or another --catalog")
    return token.strip().removeprefix("?")


def _resolution_of_files(scenes: FoundScenes, plan: ScenePlan) -> float:
    """The size of a pixel in metres, of the first scene that can be read."""
    from geochg.errors import InputError
    from geochg.stac.asset_reader import SceneError, pixel_size_m

    reason = ""
    source = next(iter(plan.bands.values()))
    for item in sorted(scenes.items, key=lambda item: item.id)[:10]:
        try:
            return pixel_size_m(item, source.asset, plan.settings)
        except SceneError as error:
            reason = reason or str(error)
    raise InputError(f"no scene can be read: {reason}", "give --resolution, or another --catalog")
