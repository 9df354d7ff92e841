"""Whether a raster is compressed so that its values are near those that were put into it."""

from __future__ import annotations

from rasterio import DatasetReader

_ALWAYS = ("JPEG", "YCBCR JPEG")
_STRUCTURE = "IMAGE_STRUCTURE"


def lossy_codec(dataset: DatasetReader) -> str:
    """The codec of a raster that keeps no exact values, as GDAL calls it; empty for others."""
    told = dataset.tags(ns=_STRUCTURE)
    codec = told.get("COMPRESSION", "").upper() or dataset.driver.upper()
    is_lossy = told.get("COMPRESSION_REVERSIBILITY", "").upper().startswith("LOSSY")
    return codec if is_lossy or codec in _ALWAYS else ""
