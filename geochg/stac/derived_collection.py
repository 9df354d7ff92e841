"""A collection that no table knows, by what its items tell of their assets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from geochg.errors import InputError
from geochg.stac.cloud_masks import quality_band
from geochg.stac.collection import BandSource, Collection, MaskTable
from geochg.stac.items import SceneAsset, SceneItem
from geochg.stac.known import user_file

_BAND_NAMES = {
    **{name: name for name in ("coastal", "blue", "green", "yellow", "red", "nir", "nir08")},
    **{"rededge": "rededge", "rededge071": "rededge", "rededge075": "rededge2"},
    **{"rededge078": "rededge3", "swir16": "swir", "swir22": "swir2"},
}
"""What geochg calls a band, by its common name in STAC."""

_PICTURES = {"visual", "thumbnail", "overview", "preview"}
_DEFAULT = ("red", "green", "blue", "nir")


def derived_collection(catalog: str, collection_id: str, item: SceneItem) -> Collection:
    """The bands, values and mask of a collection as one of its items tells them.

    Args:
        catalog: Name of the catalogue.
        collection_id: Id of the collection.
        item: Any of its items.

    Raises:
        InputError: If nothing tells which asset is which band.
    """
    measured = {key: asset for key, asset in item.assets.items() if not _is_picture(key, asset)}
    bands = _named_bands(measured)
    if not bands:
        bands = _named_bands(item.assets) or _picture_bands(item.assets)
    if not bands:
        assets = ", ".join(list(item.assets)[:20])
        raise InputError(
            f"nothing tells which asset of {collection_id} is which band: {assets or 'none'}",
            f"name them in {user_file()}, which `geochg scenes collections --edit` makes",
        )
    first = next(iter(bands.values()))
    asset = item.assets[first.asset]
    gsd = item.properties.get("gsd")
    resolution = asset.resolution_m or (float(gsd) if isinstance(gsd, int | float) else None)
    return Collection(
        id=collection_id,
        catalog=catalog,
        bands=bands,
        default=tuple(name for name in _DEFAULT if name in bands) or tuple(bands)[:4],
        resolution_m=resolution if resolution and resolution > 0 else None,
        # Values whose scale nobody tells stay as they are.
        reflectance=asset.scale_of(first.number) is not None,
        level="l1c" if "l1c" in collection_id.lower() else "l2a",
        mask=_mask(collection_id, item.assets),
    )


def _is_picture(key: str, asset: SceneAsset) -> bool:
    return key.lower() in _PICTURES or not _PICTURES.isdisjoint(asset.roles)


def _named_bands(assets: Mapping[str, SceneAsset]) -> dict[str, BandSource]:
    """Bands by the common names that assets tell, in the order of the table."""
    sources: dict[str, BandSource] = {}
    for key, asset in assets.items():
        for number, name in enumerate(asset.names, start=1):
            if name in _BAND_NAMES:
                sources.setdefault(_BAND_NAMES[name], BandSource(key, number))
    if "nir" not in sources and "nir08" in sources:
        # Landsat has the narrow band alone.
        sources["nir"] = sources.pop("nir08")
    return {name: sources[name] for name in dict.fromkeys(_BAND_NAMES.values()) if name in sources}


def _picture_bands(assets: Mapping[str, SceneAsset]) -> dict[str, BandSource]:
    """Red, green and blue of the one picture that a scene has."""
    for key in ("visual", "image", "data"):
        asset = assets.get(key)
        if asset is not None and re.search(r"tiff|geotiff|jp2|^$", asset.media_type):
            return {
                name: BandSource(key, number)
                for number, name in enumerate(("red", "green", "blue"), start=1)
            }
    return {}


def _mask(collection_id: str, assets: Mapping[str, SceneAsset]) -> MaskTable | None:
    """The quality band of a well-known product, by the names of assets."""
    quality = quality_band(collection_id, assets)
    return None if quality is None else MaskTable(quality[0], quality[1].kind)
