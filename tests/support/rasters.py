"""Ground to make rasters of."""

import numpy as np
import rasterio
from affine import Affine
from scipy import ndimage

UTM = "EPSG:32633"
ORIGIN = Affine(10, 0, 500_000, 0, -10, 5_000_000)
"""Ten-metre pixels in UTM 33N, at 15 degrees east and 45 degrees north."""


def texture(height: int, width: int, bands: int = 1, seed: int = 0) -> np.ndarray:
    """Smooth random ground with detail at several scales, `(bands, height, width)` uint8 10-245."""
    rng = np.random.default_rng(seed)
    ground = sum(
        ndimage.gaussian_filter(rng.normal(size=(bands, height, width)), (0, sigma, sigma)) * sigma
        for sigma in (1, 3, 9)
    )
    low, high = ground.min(), ground.max()
    return (10 + 235 * (ground - low) / (high - low)).astype(np.uint8)


def put(path, values, nodata=None, **more):
    """Writes `(bands, height, width)` values; without the fixture `make_raster`."""
    profile = {
        "driver": "GTiff",
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": values.dtype,
        "crs": UTM,
        "transform": ORIGIN,
        "nodata": nodata,
    }
    with rasterio.open(path, "w", **{**profile, **more}) as dataset:
        dataset.write(values)
    return path


def virtual(folder, planes, nodata, name="a.vrt"):
    """A VRT of one file a band, each with a type and a nodata value of its own."""
    kinds = {"uint8": "Byte", "uint16": "UInt16", "float32": "Float32", "float64": "Float64"}
    a, (height, width) = ORIGIN, planes[0].shape
    text = f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{UTM}</SRS>'
    text += f"<GeoTransform>{a.c},{a.a},{a.b},{a.f},{a.d},{a.e}</GeoTransform>"
    for number, (plane, value) in enumerate(zip(planes, nodata, strict=True), start=1):
        put(folder / f"{name}{number}.tif", plane[None])
        text += f'<VRTRasterBand dataType="{kinds[str(plane.dtype)]}" band="{number}">'
        text += "" if value is None else f"<NoDataValue>{value}</NoDataValue>"
        text += f'<SimpleSource><SourceFilename relativeToVRT="1">{name}{number}.tif'
        text += "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
    path = folder / name
    path.write_text(f"{text}</VRTDataset>")
    return path
