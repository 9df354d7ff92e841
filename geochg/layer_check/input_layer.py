"""The layer that is checked: read as it is, and its polygons placed on the image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import InputError
from geochg.files.remote_files import refuse_remote
from geochg.geometry.placement import crs_of
from geochg.geometry.polygons_only import in_reach, polygon_part
from geochg.geometry.reprojected_areas import Bounds, areas_in_crs
from geochg.geometry.vector_file import LayerName, file_of, is_there, read_layer
from geochg.safety.untrusted_text import without_secrets

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

VERDICT, PROBABILITY, BEFORE = "verdict", "probability", "before_probability"
"""Columns that a check adds."""

_SHAPES = "geometry"
"""Column of the shapes in tables."""

_PARQUET = (".parquet", ".geoparquet")
_NUMBERS = {
    **{f"int{bits}": f"Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64)},
    "bool": "boolean",
}


@dataclass(frozen=True, eq=False)
class InputLayer:
    """A layer of polygons.

    Attributes:
        frame: Its features with their columns, in their order; shapes may be missing.
        shapes: `(n,)` valid polygons and multipolygons in the layer's CRS; empty where a feature
            has none.
        label: Its name, for messages.
        remarks: What its user should know, in sentences.
    """

    frame: GeoDataFrame
    shapes: NDArray[np.object_]
    label: str
    remarks: tuple[str, ...]


def read_input_layer(
    text: str, columns: tuple[str, ...], *, allow_remote: bool = False
) -> InputLayer:
    """Reads the layer that is checked.

    Args:
        text: A vector file, `FILE|layername=NAME` where it has several layers.
        columns: Columns that will be added.
        allow_remote: Whether a file on this machine may name data elsewhere.

    Raises:
        InputError: If it cannot be read, has no CRS, no features, something else than polygons, or
            columns of the names that a check adds.
    """
    refuse_remote(file_of(text), allow=allow_remote)
    label = without_secrets(text)
    if not is_there(text):
        raise InputError(f"the layer {label} is no file that is there", "check the path")
    frame = _with_types(read_layer(text), text)
    if getattr(frame, "crs", None) is None:
        raise InputError(
            f"{label} has no coordinate reference system",
            "assign one, for example in QGIS with Layer > Set CRS, and save it again",
        )
    if frame.empty:
        raise InputError(f"{label} has no features", "give a layer with polygons")
    taken_names = [str(name) for name in frame.columns if str(name).lower() in columns]
    if taken_names:
        raise InputError(
            f"{label} has a column {taken_names[0]!r} already, which a check adds",
            "rename or delete it, or give the layer that was checked before",
        )
    if _has_text_for_shapes(frame, text):
        raise InputError(
            f"{label} has a column 'geometry' beside its shapes, which stand under that name",
            "rename or delete it",
        )
    frame = frame.reset_index(drop=True)
    shapes, remarks = _polygons(frame, label)
    return InputLayer(frame, shapes, label, remarks)


def on_lattice(
    layer: InputLayer, grid: GeoBox, cell_px: float, image_name: str = "image"
) -> NDArray[np.object_]:
    """The polygons in cells of a lattice over a grid; empty where they lie far off it.

    Args:
        layer: The layer.
        grid: The grid of the image.
        cell_px: Side of a cell in pixels.
        image_name: What messages call the image.

    Raises:
        InputError: If no polygon lies on the image.
    """
    import shapely
    from pyproj import CRS

    bounds = Bounds(*grid.boundingbox.bbox)
    source, target = CRS(layer.frame.crs), crs_of(grid).proj
    placed_shapes = areas_in_crs(layer.shapes, source, target, bounds)
    to_pixels = ~grid.affine
    a, b, c, d, e, f = to_pixels[:6]

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy.T
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1) / cell_px

    cells: NDArray[np.object_] = shapely.transform(placed_shapes, place)
    height_px, width_px = grid.shape
    image = shapely.box(0, 0, width_px / cell_px, height_px / cell_px)
    if not shapely.intersects(image, cells).any():
        raise InputError(
            f"no polygon of {layer.label} lies on the {image_name}",
            "give a layer and an image of one place, or check that their CRSs are the right ones",
        )
    return cells


def _polygons(frame: GeoDataFrame, label: str) -> tuple[NDArray[np.object_], tuple[str, ...]]:
    """Valid polygons, and what is remarkable about the shapes."""
    import shapely

    given_shapes = frame.geometry.to_numpy()
    kinds = shapely.get_type_id(given_shapes)
    is_missing = shapely.is_missing(given_shapes) | shapely.is_empty(given_shapes)
    # Of a collection its polygons count.
    wrong = ~is_missing & ~np.isin(kinds, (3, 6, 7))
    if wrong.any():
        kind = given_shapes[int(np.flatnonzero(wrong)[0])].geom_type
        count = int(wrong.sum())
        raise InputError(
            f"{label} holds {count:,} of other shapes than polygons, such as a {kind}",
            "give polygons: buffer lines and points in QGIS first, or leave them out",
        )
    if is_missing.all():
        raise InputError(f"no feature of {label} has a shape", "give a layer with polygons")
    shapes = np.full(len(given_shapes), shapely.Polygon(), dtype=object)
    flat = shapely.force_2d(given_shapes)
    for number in np.flatnonzero(~is_missing).tolist():
        if not in_reach(flat[number]):
            raise InputError(
                f"a shape of {label} has coordinates that are not finite, or far beyond any CRS",
                "mend or remove it in QGIS",
            )
        shapes[number] = polygon_part(shapely.make_valid(flat[number]))
    invalid = int((~shapely.is_valid(given_shapes) & ~is_missing).sum())
    remarks = []
    if count := int(is_missing.sum()):
        remarks.append(f"{count:,} features without a shape are kept, and cannot be told")
    if invalid:
        remarks.append(f"{invalid:,} invalid polygons are judged as mended, and kept as they are")
    return shapes, tuple(remarks)


def _has_text_for_shapes(frame: GeoDataFrame, text: str) -> bool:
    """Whether a column that holds no shapes is named as those of the output are."""
    if frame.geometry.name != _SHAPES:
        return _SHAPES in frame.columns
    # GDAL's reader puts the shapes in place of such a column.
    return _SHAPES in _file_types(_layer_name(text))


def _layer_name(text: str) -> LayerName:
    return LayerName(text) if Path(text).is_file() else LayerName.of(text)


def _with_types(frame: GeoDataFrame, text: str) -> GeoDataFrame:
    """The table with the types of its file: whole numbers stay so where some are missing."""
    from pandas.api.types import is_object_dtype, is_string_dtype

    types: dict[str, Any] = {}
    types.update(_file_types(_layer_name(text)))
    geometry = frame.geometry.name if hasattr(frame, "geometry") and "geometry" in frame else None
    casts = {}
    for column in frame.columns:
        if column == geometry:
            continue
        if (type_name := _NUMBERS.get(str(types.get(str(column))))) is not None:
            casts[column] = type_name
        elif _is_text(frame[column], is_object_dtype, is_string_dtype):
            casts[column] = "string"
    return frame.astype(casts)


def _is_text(column: Any, *checks: Any) -> bool:  # noqa: ANN401
    if not any(check(column.dtype) for check in checks):
        return False
    return all(isinstance(value, str) for value in column.dropna())


def _file_types(name: LayerName) -> dict[str, Any]:
    """The types of the fields as the file tells them; nothing where it does not."""
    if Path(name.file).suffix.lower() in _PARQUET:
        return {}
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    layer: str | int | None = name.layer or name.number
    try:
        info = pyogrio.read_info(name.file, layer=layer)
    except (DataSourceError, DataLayerError, ValueError):
        return {}
    return dict(zip(map(str, info["fields"]), info["dtypes"], strict=True))
