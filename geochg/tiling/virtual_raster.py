"""A raster seen through GDAL's virtual format: palettes as colours, validity as one alpha band.

GDAL knows many ways to say which pixels are valid, and reading and warping heed different ones.
Seen through one alpha band they mean the same on every path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio import DatasetReader
from rasterio.enums import ColorInterp

from geochg.tiling.absent_blocks import without_absent_blocks

PALETTE = ("Red", "Green", "Blue", "Alpha")
"""The bands that a palette image is shown as."""

_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
    "complex_int16": "CInt16",
    "complex64": "CFloat32",
    "complex128": "CFloat64",
}
_PLACE = ("SRS", "GeoTransform", "GCPList")

Table = tuple[tuple[float, float], ...]
"""Values and what becomes of them, ascending; linear between them, constant beyond the ends."""


@dataclass(frozen=True, slots=True)
class MaskTest:
    """One thing that tells of each pixel whether it is valid.

    Attributes:
        band: The band whose values tell it, as GDAL's virtual format writes it: `3`, or `mask,3`.
        table: What becomes of the values; they must end as 0 (a hole) or 255.
        path: Another raster whose band is meant, stretched over this one; empty for this one.
        shape_px: Rows and columns of that other raster.
    """

    band: str
    table: Table = ()
    path: str = ""
    shape_px: tuple[int, int] = (0, 0)


Validity = tuple[tuple[MaskTest, ...], ...]
"""A pixel is valid where, in every group, at least one test says so."""


def is_palette(dataset: DatasetReader) -> bool:
    """Whether the first band holds indexes into a palette."""
    return bool(dataset.count) and dataset.colorinterp[0] is ColorInterp.palette


def is_negative(dataset: DatasetReader) -> bool:
    """Whether its highest value is black, as in scans of film: GDAL gives such values as stored."""
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    return structure.get("MINISWHITE") == "YES" and set(dataset.dtypes) <= {"uint8", "uint16"}


def palette_opacity(dataset: DatasetReader, nodata: float | None) -> Table:
    """Which indexes of a palette image are valid: not the nodata value, not transparent."""
    values = {index: 255 if color[3] else 0 for index, color in dataset.colormap(1).items()}
    if dataset.nodata is not None:  # GDAL gives a GeoTIFF's as a transparent colour
        values[int(dataset.nodata)] = 255
    if nodata is not None:
        values[int(nodata)] = 0
    return _ascending_table(values)


def zero_around(value: float, reach: float, edge: float | None = None) -> Table:
    """255 but for what lies within reach of a value; between the two it rises within the edge."""
    edge = reach if edge is None else edge
    return (
        (value - reach - edge, 255.0),
        (value - reach, 0.0),
        (value + reach, 0.0),
        (value + reach + edge, 255.0),
    )


def open_view(
    dataset: DatasetReader,
    validity: Validity = (),
    dtype: str | None = None,
    band_numbers: Sequence[int] = (),
    step_px: int = 1,
) -> DatasetReader:
    """Opens a raster anew through a document of the virtual format.

    Args:
        dataset: The raster as it lies on disk; it may be closed afterwards.
        validity: What tells which pixels are valid; where there is anything, the view has one more
            band, marked as alpha, of 0 and 255. No other band of it is marked as alpha.
        dtype: Type that the wanted bands are brought to; None to leave them.
        band_numbers: Numbers of bands, from 1.
        step_px: Every how many-th pixel of a row and a column is read, from overviews where there
            are any; the place on the ground stays the same.

    Returns:
        The same bands; of a palette image red, green, blue and alpha, uint8; of a negative
        (`is_negative`) the positive.
    """
    root = ElementTree.Element(
        "VRTDataset", rasterXSize=str(dataset.width), rasterYSize=str(dataset.height)
    )
    template = virtual_copy(dataset)
    root.extend(element for element in template if element.tag in _PLACE)
    name = _gdal_name(dataset, template)
    if step_px > 1 and without_absent_blocks(template):
        name = ElementTree.tostring(template, encoding="unicode")
    bands = _palette_bands(dataset, name) if is_palette(dataset) else _plain_bands(dataset, name)
    for number, band in enumerate(bands, start=1):
        if dtype and number in band_numbers:
            band.set("dataType", _TYPES[dtype])
        root.append(band)
    if validity:
        root.append(_alpha_band(validity, name, dataset.shape, len(bands) + 1))
    if step_px > 1:
        _thin(root, dataset, step_px)
    return rasterio.open(ElementTree.tostring(root, encoding="unicode"))


def _thin(root: ElementTree.Element, dataset: DatasetReader, step_px: int) -> None:
    """Makes a document one of fewer pixels."""
    width_px, height_px = -(-dataset.width // step_px), -(-dataset.height // step_px)
    root.set("rasterXSize", str(width_px))
    root.set("rasterYSize", str(height_px))
    scale = Affine.scale(dataset.width / width_px, dataset.height / height_px)
    for element in root.findall("GeoTransform"):
        element.text = ", ".join(map(repr, (dataset.transform * scale).to_gdal()))
    full_rectangles = (("SrcRect", dataset.width, dataset.height), ("DstRect", width_px, height_px))
    for source in (element for band in root.iter("VRTRasterBand") for element in band):
        if source.find("SourceFilename") is None:
            continue
        for tag, x_size, y_size in full_rectangles:
            rect = source.find(tag)
            if rect is None:
                rect = ElementTree.SubElement(source, tag, xOff="0", yOff="0")
            elif tag == "SrcRect":
                continue
            rect.set("xSize", str(x_size))
            rect.set("ySize", str(y_size))


def virtual_copy(dataset: DatasetReader) -> ElementTree.Element:
    """What GDAL writes of a raster in its virtual format, for the place and the name in it."""
    name = f"/vsimem/geochg-{uuid4().hex}.vrt"
    rasterio.shutil.copy(dataset, name, driver="VRT")
    try:
        with rasterio.open(name) as plain:
            return ElementTree.fromstring(plain.tags(ns="xml:VRT")["xml:VRT"])
    finally:
        rasterio.shutil.delete(name, driver="VRT")


def _gdal_name(dataset: DatasetReader, template: ElementTree.Element) -> str:
    """The name by which GDAL opens a raster again; rasterio's own keep their `https://`."""
    if "://" in dataset.name and not dataset.name.startswith(("/vsi", "<")):
        source = template.find(".//SourceFilename")
        if dataset.driver != "VRT" and source is not None and source.text:
            return source.text
    return str(dataset.name)


def _plain_bands(dataset: DatasetReader, name: str) -> list[ElementTree.Element]:
    bands = []
    table: Table = ()
    for number, (dtype, color) in enumerate(
        zip(dataset.dtypes, dataset.colorinterp, strict=True), start=1
    ):
        band = ElementTree.Element("VRTRasterBand", dataType=_TYPES[dtype], band=str(number))
        color_name = (
            color.name.capitalize() if color.name in ("red", "green", "blue", "gray") else ""
        )
        ElementTree.SubElement(band, "ColorInterp").text = color_name or "Undefined"
        if is_negative(dataset):
            highest = _highest(dataset, number)
            table = ((0.0, highest), (highest, 0.0))
        band.append(_source(name, str(number), table))
        bands.append(band)
    return bands


def _highest(dataset: DatasetReader, number: int) -> float:
    """The highest value that a band of whole numbers can have, stored in its number of bits."""
    bits = dataset.tags(number, ns="IMAGE_STRUCTURE").get("NBITS")
    return float(2 ** (int(bits) if bits else np.iinfo(dataset.dtypes[number - 1]).bits) - 1)


def _palette_bands(dataset: DatasetReader, name: str) -> list[ElementTree.Element]:
    bands = []
    colors = dataset.colormap(1)
    for number, color in enumerate(PALETTE, start=1):
        band = ElementTree.Element("VRTRasterBand", dataType="Byte", band=str(number))
        color_name = color if color != "Alpha" else "Undefined"
        ElementTree.SubElement(band, "ColorInterp").text = color_name
        values = {index: entry[number - 1] for index, entry in colors.items()}
        band.append(_source(name, "1", _ascending_table(values)))
        bands.append(band)
    return bands


def _alpha_band(
    validity: Validity, name: str, shape_px: tuple[int, int], number: int
) -> ElementTree.Element:
    """The band that is 255 where a pixel is valid and 0 elsewhere."""
    alone = len(validity) == 1
    sources = [_group_source(group, name, shape_px, alone=alone) for group in validity]
    band = _combined_band(sources, "mul", number)
    ElementTree.SubElement(band, "ColorInterp").text = "Alpha"
    return band


def _group_source(
    group: Sequence[MaskTest], name: str, shape_px: tuple[int, int], *, alone: bool
) -> ElementTree.Element:
    """One source that is 255 where any test of a group says that a pixel is valid."""
    if len(group) == 1:
        return _test_source(group[0], name, shape_px, alone=alone)
    sources = [_test_source(test, name, shape_px, alone=False) for test in group]
    root = ElementTree.Element(
        "VRTDataset", rasterXSize=str(shape_px[1]), rasterYSize=str(shape_px[0])
    )
    root.append(_combined_band(sources, "sum", 1))
    return _source(ElementTree.tostring(root, encoding="unicode"), "1")


def _combined_band(
    sources: Sequence[ElementTree.Element], function: str, number: int
) -> ElementTree.Element:
    """A band of 0 and 255: of products or sums of such, cut off at 255 by its type."""
    band = ElementTree.Element("VRTRasterBand", dataType="Byte", band=str(number))
    if len(sources) > 1:
        band.set("subClass", "VRTDerivedRasterBand")
        ElementTree.SubElement(band, "PixelFunctionType").text = function
    band.extend(sources)
    return band


def _test_source(
    test: MaskTest, name: str, shape_px: tuple[int, int], *, alone: bool
) -> ElementTree.Element:
    source = _source(test.path or name, test.band, test.table)
    if alone and not test.table:
        # Of a mask that is passed on as it is, GDAL 3.10 warps every fourth pixel as a hole.
        source.tag = "ComplexSource"
        ElementTree.SubElement(source, "ScaleOffset").text = "0"
        ElementTree.SubElement(source, "ScaleRatio").text = "1"
    if test.path:
        for tag, (height_px, width_px) in (("SrcRect", test.shape_px), ("DstRect", shape_px)):
            ElementTree.SubElement(
                source, tag, xOff="0", yOff="0", xSize=str(width_px), ySize=str(height_px)
            )
    return source


def _source(name: str, band: str, table: Table = ()) -> ElementTree.Element:
    source = ElementTree.Element("ComplexSource" if table else "SimpleSource")
    # A shared source would stay open, and be read by threads that do not own it.
    ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0", shared="0").text = name
    ElementTree.SubElement(source, "SourceBand").text = band
    if table:
        text = ",".join(f"{value!r}:{result!r}" for value, result in table)
        ElementTree.SubElement(source, "LUT").text = text
    return source


def _ascending_table(values: dict[int, int] | Iterable[tuple[int, int]]) -> Table:
    return tuple((float(value), float(result)) for value, result in sorted(dict(values).items()))
