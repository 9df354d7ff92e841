"""Tables of polygons on the grid: the parts that all layers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from geochg.geometry.placement import crs_of

if TYPE_CHECKING:
    import numpy as np
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from pandas import Series


def series(values: Iterable[Any], dtype: str) -> Series[Any]:
    """A column; `object` for lists, which pandas keeps as they are."""
    import pandas as pd

    return pd.Series(list(values), dtype=dtype)


def layer_frame(
    columns: Mapping[str, Series[Any]], polygons: NDArray[np.object_], grid: GeoBox
) -> GeoDataFrame:
    """A table of features: columns of one length, and `(n,)` polygons in the grid's CRS."""
    from geopandas import GeoDataFrame

    return GeoDataFrame(dict(columns), geometry=polygons, crs=crs_of(grid).proj)
