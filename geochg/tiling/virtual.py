"""Rasters seen through GDAL's virtual format: palettes as colours, alpha as data, fewer pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4
from xml.etree import ElementTree

import rasterio
import rasterio.shutil
from affine import Affine
from rasterio import DatasetReader

_COLORS = ("Red", "Green", "Blue", "Alpha")


@contextmanager
def expanded_palette(dataset: DatasetReader) -> Iterator[DatasetReader]:
    """Opens a one-band palette image as four uint8 bands: red, green, blue, alpha.

    Alpha is 0 where the index is the nodata value or its colour is fully transparent.
    """
    document = _virtual(dataset)
    for element in document.findall("VRTRasterBand"):
        document.remove(element)
    colors = dataset.colormap(1)
    for number, color in enumerate(_COLORS, start=1):
        values = {index: entry[number - 1] for index, entry in colors.items()}
        if color == "Alpha" and dataset.nodata is not None:
            values[int(dataset.nodata)] = 0
        document.append(_lookup_band(number, color, values, dataset))
    with _opened(document) as expanded:
        yield expanded


@contextmanager
def alpha_as_data(dataset: DatasetReader) -> Iterator[DatasetReader]:
    """Opens a raster whose fourth band is said to be alpha but holds data.

    GDAL marks the near-infrared band of many four-band images so.
    """
    document = _virtual(dataset)
    for color in document.iter("ColorInterp"):
        if color.text == "Alpha":
            color.text = "Undefined"
    with _opened(document) as plain:
        yield plain


@contextmanager
def thinned(dataset: DatasetReader, step_px: int) -> Iterator[DatasetReader]:
    """Opens a raster of which only every so many-th pixel of a row and a column is read.

    Overviews are read where there are any. The place on the ground stays the same.

    Args:
        dataset: A raster of a file, not a virtual one.
        step_px: Every how many-th pixel is read.
    """
    document = _virtual(dataset)
    width_px, height_px = -(-dataset.width // step_px), -(-dataset.height // step_px)
    document.set("rasterXSize", str(width_px))
    document.set("rasterYSize", str(height_px))
    scale = Affine.scale(dataset.width / width_px, dataset.height / height_px)
    for place in document.findall("GeoTransform"):
        place.text = ", ".join(map(repr, (dataset.transform * scale).to_gdal()))
    for target in document.iter("DstRect"):
        target.set("xSize", str(width_px))
        target.set("ySize", str(height_px))
    for band in document.iter("VRTRasterBand"):
        for overviews in band.findall("OverviewList"):
            band.remove(overviews)
    with _opened(document) as thin:
        yield thin


def _virtual(dataset: DatasetReader) -> ElementTree.Element:
    """The raster as a document of the virtual format, which keeps its place and its tags."""
    name = f"/vsimem/geochg-{uuid4().hex}.vrt"
    rasterio.shutil.copy(dataset, name, driver="VRT")
    try:
        with rasterio.open(name) as plain:
            return ElementTree.fromstring(plain.tags(ns="xml:VRT")["xml:VRT"])
    finally:
        rasterio.shutil.delete(name, driver="VRT")


def _opened(document: ElementTree.Element) -> DatasetReader:
    return rasterio.open(ElementTree.tostring(document, encoding="unicode"))


def _lookup_band(
    number: int, color: str, values: dict[int, int], dataset: DatasetReader
) -> ElementTree.Element:
    band = ElementTree.Element("VRTRasterBand", dataType="Byte", band=str(number))
    ElementTree.SubElement(band, "ColorInterp").text = color
    source = ElementTree.SubElement(band, "ComplexSource")
    ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0").text = dataset.name
    ElementTree.SubElement(source, "SourceBand").text = "1"
    whole = {"xOff": "0", "yOff": "0", "xSize": str(dataset.width), "ySize": str(dataset.height)}
    ElementTree.SubElement(source, "SrcRect", whole)
    ElementTree.SubElement(source, "DstRect", whole)
    table = ",".join(f"{index}:{value}" for index, value in sorted(values.items()))
    ElementTree.SubElement(source, "LUT").text = table
    return band
