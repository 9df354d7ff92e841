"""The layer that a check writes: the input's features, verdicts, and what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.geometry.placement import crs_of, on_ground
from geochg.layer_check.input_layer import BEFORE, PROBABILITY, VERDICT, InputLayer
from geochg.layer_check.judgement import PolygonVerdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from pandas import Series

    from geochg.layer_check.findings import Findings

_DECIMALS = 3


def verdict_frame(
    layer: InputLayer,
    verdict_names: Sequence[str],
    findings: Findings,
    before: NDArray[np.float64] | None,
    grid: GeoBox,
) -> GeoDataFrame:
    """The table of the output, in the layer's own CRS.

    Args:
        layer: The layer.
        verdict_names: The verdict of each polygon.
        findings: What the image tells.
        before: `(n,)` probability that the object was there before; None without such an image.
        grid: The grid of the image.
    """
    import pandas as pd
    import shapely
    from geopandas import GeoDataFrame, GeoSeries

    features = _storable_columns(layer.frame)
    missing = GeoSeries(on_ground(findings.missing, grid), crs=crs_of(grid).proj).to_crs(
        features.crs
    )
    probability = np.concatenate([findings.probability, findings.missing_probability])
    further = pd.DataFrame(
        index=range(len(missing)), columns=features.columns.drop(features.geometry.name)
    )
    for name in further.columns:
        is_list = features[name].dtype == object
        empty: list[Any] = [[] if is_list else None for _ in range(len(missing))]
        further[name] = pd.Series(empty, dtype=features[name].dtype)
    rows = GeoDataFrame(further, geometry=np.asarray(missing), crs=features.crs)
    features = features.set_geometry(
        shapely.force_2d(features.geometry.to_numpy()), crs=features.crs
    )
    if features.geometry.name != "geometry":
        features = features.rename_geometry("geometry")
    table = pd.concat([features, rows], ignore_index=True) if len(rows) else features
    table[VERDICT] = pd.Series(
        [*verdict_names, *[PolygonVerdict.MISSING] * len(rows)], dtype="string"
    )
    table[PROBABILITY] = pd.Series(np.round(probability, _DECIMALS), dtype="float64")
    if before is not None:
        values = np.concatenate([before, np.full(len(rows), np.nan)])
        table[BEFORE] = pd.Series(np.round(values, _DECIMALS), dtype="float64")
    return GeoDataFrame(table, geometry="geometry", crs=layer.frame.crs)


def _storable_columns(frame: GeoDataFrame) -> GeoDataFrame:
    """The table with columns that hold nothing for what is missing, and that formats can store."""
    casts: dict[str, Any] = {}
    for name in frame.columns.drop(frame.geometry.name):
        column = frame[name]
        kind = str(column.dtype)
        if column.dtype == object:
            casts[name] = _as_text_or_lists(column)
        elif kind == "bool":
            casts[name] = column.astype("boolean")
        elif kind.startswith(("int", "uint")):
            casts[name] = column.astype(kind.replace("int", "Int").replace("uInt", "UInt"))
        elif kind == "category":
            casts[name] = column.astype("string")
    return frame.assign(**casts)


def _as_text_or_lists(column: Series[Any]) -> Series[Any]:
    """Lists stay lists; all else that is no plain value becomes text."""
    values = column.dropna()
    if len(values) and all(isinstance(value, list | np.ndarray) for value in values):
        return column.map(lambda value: list(value) if isinstance(value, list | np.ndarray) else [])
    return column.map(_as_text, na_action="ignore").astype("string")


def _as_text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
