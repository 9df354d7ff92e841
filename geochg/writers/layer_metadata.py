"""The `geochg` member of a layer, read back from its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError

from geochg.errors import InputError
from geochg.extras import require_packages
from geochg.files.text_file import decoded_text
from geochg.geometry.vector_file import LayerName
from geochg.safety.untrusted_text import without_secrets
from geochg.writers.recognition import METADATA_KEY, PARQUET_SUFFIXES, json_members

_HEAD_BYTES = 1 << 20
_MOST_SIDE_PX = 10**8
_TILE = "tile"
"""A column that only layers of tiles have."""


def read_metadata(text: str) -> tuple[LayerName, dict[str, Any]]:
    """Finds the layer of features in a file of geochg's, and what the file says of its run.

    Args:
        text: The file, with `|layername=NAME` behind it where one of several layers is meant.

    Returns:
        The layer, named where its format names layers, and its metadata as plain JSON values.

    Raises:
        InputError: If there is no such file, geochg did not write it, or it has no layer of
            features or several of which none is named.
    """
    name = LayerName(text) if Path(text).is_file() else LayerName.of(text)
    path = Path(name.file)
    if not path.is_file():
        raise InputError(f"{without_secrets(text)} is not there", "check the path of the layer")
    suffix = path.suffix.lower()
    if suffix in (".geojson", ".json"):
        return name, _checked(_of_geojson(path), text)
    if suffix in PARQUET_SUFFIXES:
        return name, _checked(_of_parquet(path), text)
    return _of_named_layers(name, text)


def grid_of(metadata: Mapping[str, Any]) -> GeoBox | None:
    """The grid that metadata tells; None where it does not tell one."""
    grid = metadata.get("grid")
    try:
        if not isinstance(grid, Mapping):
            return None
        shape = int(grid["height_px"]), int(grid["width_px"])
        transform = Affine(*(float(value) for value in grid["transform"]))
        is_usable = all(0 < side < _MOST_SIDE_PX for side in shape) and transform.determinant != 0
        return GeoBox(shape, transform, str(grid["crs"])) if is_usable else None
    except (KeyError, TypeError, ValueError, OverflowError, CRSError):
        return None


def grid_facts(grid: GeoBox) -> dict[str, Any]:
    """A grid with a CRS as metadata tell it, in plain JSON values; `grid_of` reads it back."""
    height_px, width_px = grid.shape
    return {
        "crs": str(grid.crs),
        "transform": list(grid.transform[:6]),
        "width_px": width_px,
        "height_px": height_px,
    }


def _of_geojson(path: Path) -> object:
    """The member of the collection; it stands before the features, as we write it, or behind."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        value = _member(head.decode("utf-8-sig", "replace"))
        return value if value is not None else _member(decoded_text(path.read_bytes()))
    except (OSError, ValueError):
        return None


def _member(text: str) -> object:
    """The value of our member of an object in JSON, which may be cut off behind it."""
    try:
        for name, start in json_members(text):
            if name == METADATA_KEY:
                return json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        pass
    return None


def _of_parquet(path: Path) -> object:
    require_packages("parquet", "pyarrow")
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except (pyarrow.ArrowException, OSError):
        return None
    return _decoded(metadata.get(METADATA_KEY.encode()))


def _of_named_layers(name: LayerName, text: str) -> tuple[LayerName, dict[str, Any]]:
    """Of formats whose layers have names: the named one, or the only one that holds features."""
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        names = [str(layer) for layer, kind in pyogrio.list_layers(name.file) if kind is not None]
        wanted_layers = [layer for layer in names if name.layer in ("", layer)]
        if name.layer and not wanted_layers:
            raise InputError(
                f"{without_secrets(name.file)} has no layer {name.layer!r}",
                f"its layers are {', '.join(names[:20])}",
            )
        infos = {layer: pyogrio.read_info(name.file, layer=layer) for layer in wanted_layers}
    # An IndexError: a damaged file opens, and holds no layer.
    except (DataSourceError, DataLayerError, IndexError) as error:
        raise _refusal(text) from error
    ours = {
        layer: metadata
        for layer, info in infos.items()
        if isinstance(metadata := _decoded((info["layer_metadata"] or {}).get(METADATA_KEY)), dict)
    }
    if not ours:
        raise _refusal(text)
    layers = [layer for layer in ours if _TILE not in infos[layer]["fields"]]
    if not layers:
        raise InputError(
            f"{without_secrets(text)} is a layer of tiles", "name the layer of changes of that run"
        )
    if len(layers) > 1:
        raise InputError(
            f"{without_secrets(text)} has {len(layers)} layers of geochg's and none is named",
            f"name one by --layer: {', '.join(layers[:20])}",
        )
    return LayerName(name.file, layers[0], subset=name.subset), ours[layers[0]]


def _decoded(text: str | bytes | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _checked(metadata: object, text: str) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        raise _refusal(text)
    return metadata


def _refusal(text: str) -> InputError:
    return InputError(
        f"{without_secrets(text)} is no layer that geochg wrote",
        "give the output of geochg analyze, describe or series",
    )
