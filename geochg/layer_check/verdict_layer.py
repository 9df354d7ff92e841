"""The layer that a check writes: the input's features, verdicts, and what is missing."""

from __future__ import annotations

import json
from math import isfinite
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
    """Lists of plain values stay lists; all else that is no plain value becomes text."""
    values = [_plain_list(value) for value in column.dropna()]
    if values and all(value is not None for value in values) and _are_of_one_kind(values):
        return column.map(lambda value: _plain_list(value) or [])
    return column.map(_as_text, na_action="ignore").astype("string")


def _plain_list(value: Any) -> list[Any] | None:  # noqa: ANN401
    """A list of what JSON has a type for, all else as text; None where the value is no list."""
    if not isinstance(value, list | np.ndarray):
        return None
    items = json.loads(_json(list(value)))
    return [None if isinstance(item, float) and not isfinite(item) else item for item in items]


def _are_of_one_kind(lists: Sequence[Any]) -> bool:
    """Whether lists hold texts only, numbers only, or truth values only."""
    kinds = {type(item) for values in lists for item in values if item is not None}
    return kinds <= {int, float} or kinds in ({str}, {bool})


def _json(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, default=_unwrapped)


def _unwrapped(value: Any) -> Any:  # noqa: ANN401
    """What JSON has a type for, of a number or a list of numpy's; the text of all else."""
    return value.tolist() if isinstance(value, np.ndarray | np.number | np.bool_) else str(value)


def _as_text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bytes):
        return value.hex()
    return _json(value) if isinstance(value, dict | list | np.ndarray) else str(value)
