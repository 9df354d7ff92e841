"""Arrays in GDAL's memory: their types, and what GDAL takes their bands for."""

import numpy as np
import pytest
import rasterio
import xarray
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM

from geochg.errors import OptionError
from geochg.options import AnalyzeOptions
from geochg.tiling.pair import open_pair
from geochg.tiling.raster_input import raster_input
from geochg.tiling.source import read_source

GRID = GeoBox((70, 80), ORIGIN, UTM)
COLOURS = ("red", "green", "blue")


@pytest.mark.parametrize("dtype", [">u2", ">i4", ">f4", ">f8", np.longdouble])
def test_arrays_of_other_byte_orders_and_lengths(dtype):
    values = (np.arange(2 * 70 * 80).reshape(2, 70, 80) % 200).astype(dtype)
    kept = values.copy()
    source = read_source(raster_input(values, GRID))
    with rasterio.open(source.path) as dataset:
        assert (dataset.read() == values).all()
    assert values.dtype == kept.dtype
    assert (values == kept).all()


@pytest.mark.parametrize("nodata", ["-9999", "300", "0.5"])
def test_memory_is_not_named_in_messages(nodata):
    values = np.zeros((2, 70, 80), np.uint8)
    with pytest.raises(OptionError, match="is no value that array can hold"):
        open_pair(values, values, AnalyzeOptions(nodata=(nodata,)), geobox=GRID)


@pytest.mark.parametrize("last", ["zeros", "few values", "one value", "zero and one value"])
@pytest.mark.parametrize("style", ["band", "long_name"])
def test_a_fourth_band_with_a_name_is_no_alpha(last, style):
    values = (np.arange(4 * 70 * 80).reshape(4, 70, 80) % 200).astype(np.uint8)
    values[3] = {
        "zeros": values[3] * 0,
        "few values": values[3] // 64,
        "one value": values[3] * 0 + 255,
        "zero and one value": np.where(values[3] > 60, 255, 0),
    }[last]

    def source(name):
        names = [*COLOURS, name]
        gdal = " ".join(map(str, ORIGIN.to_gdal()))
        mapping = {"crs_wkt": rasterio.CRS.from_user_input(UTM).to_wkt(), "GeoTransform": gdal}
        coords = {"spatial_ref": ((), 0, mapping)}
        coords |= {"band": names} if style == "band" else {}
        attrs = {"long_name": names} if style == "long_name" else {}
        return read_source(
            raster_input(xarray.DataArray(values, coords, ("band", "y", "x"), attrs=attrs))
        )

    assert (source("nir").alpha, source("nir").mask) == (None, "none")
    assert source("alpha").alpha.number == 4
    assert read_source(raster_input(values, GRID)).alpha.number == 4
