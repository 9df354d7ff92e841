"""Extents and areas of interest, and their CRS, as the worker takes them."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)

from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError

_POINTS = 8  # points put on each side of an area before it is reprojected: straight lines bend
_MARGIN = 0.02  # share of its side by which a rectangle is enlarged before an area is clipped to it
_MAX_AREA_ERROR = 0.2  # share by which an outline's area may differ when it is reprojected and back


def crs_parameter(crs: QgsCoordinateReferenceSystem) -> str:
    """A CRS as PROJ and GDAL read it: its code where it has one of EPSG's, else WKT."""
    if crs.authid().startswith("EPSG:"):
        return str(crs.authid())
    return str(crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED))


def transformed_extent(
    extent: QgsRectangle, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsRectangle:
    """The bounding box of an extent in another CRS.

    Raises:
        LinkError: If the extent cannot be brought into that CRS.
    """
    if source == target:
        return QgsRectangle(extent)
    try:
        return _transform(source, target).transformBoundingBox(extent)
    except QgsCsException as error:
        raise _outside_crs(target) from error


def shared_extent(before: QgsRasterLayer, after: QgsRasterLayer) -> QgsRectangle:
    """The overlap of two layers, in the CRS of the first.

    Raises:
        LinkError: If one has no CRS, or they do not overlap.
    """
    for layer in (before, after):
        check_crs(layer)
    footprint = QgsGeometry.fromRect(after.extent())
    shared = clipped_to_extent(footprint, after.crs(), before.extent(), before.crs())
    if shared.isEmpty():
        raise LinkError(
            tr("{0} and {1} do not overlap").format(before.name(), after.name()),
            tr("choose two layers of one place, and check their coordinate reference systems"),
        )
    return shared.boundingBox().intersect(before.extent())


def check_crs(layer: QgsRasterLayer) -> None:
    """Checks that a layer has a CRS.

    Raises:
        LinkError: If it has none.
    """
    if not layer.crs().isValid():
        raise LinkError(
            tr("{} has no CRS").format(layer.name()),
            tr("set it in Layer, Properties, Source, or right-click the layer, Layer CRS"),
        )


def area_of_interest(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    shared: QgsRectangle,
    shared_crs: QgsCoordinateReferenceSystem,
) -> QgsGeometry:
    """The area of interest, clipped to the overlap of two layers and in its CRS.

    Args:
        geometry: Polygons, however far they reach.
        crs: CRS of the polygons.
        shared: Overlap of the layers.
        shared_crs: CRS of the overlap.

    Raises:
        LinkError: If the polygons lie outside the overlap.
    """
    part = clipped_to_extent(geometry, crs, shared, shared_crs)
    if part.isEmpty() or part.intersection(QgsGeometry.fromRect(shared)).area() == 0:
        raise LinkError(
            tr("The area lies outside what the two layers share"), tr("choose another area")
        )
    return part


def aoi_parameter(area: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> str:
    """An area of interest as the worker takes it."""
    return f"{crs_parameter(crs)};{area.asWkt(9)}"


def clipped_to_extent(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    extent: QgsRectangle,
    extent_crs: QgsCoordinateReferenceSystem,
) -> QgsGeometry:
    """The part of polygons that lies on an extent or close by, in the extent's CRS.

    A map view may show the whole world, of which a CRS takes only a part: the polygons are clipped
    in their own CRS, before they are reprojected.

    Raises:
        LinkError: If the polygons cannot be brought into the extent's CRS.
    """
    polygons = geometry if geometry.isGeosValid() else geometry.makeValid()
    box = QgsGeometry.fromRect(_with_margin(extent))
    if crs == extent_crs:
        return polygons.intersection(box)
    box_in_crs = _reprojected_polygon(box, extent_crs, crs)
    if box_in_crs is None and _covers(polygons, crs, extent, extent_crs):
        return box
    if box_in_crs is not None:
        if polygons.contains(box_in_crs):
            return box
        polygons = polygons.intersection(box_in_crs)
    polygons = polygons.densifyByCount(_POINTS)
    try:
        polygons.transform(_transform(crs, extent_crs))
    except QgsCsException as error:
        raise _outside_crs(extent_crs) from error
    polygons = polygons if polygons.isGeosValid() else polygons.makeValid()
    return polygons.intersection(box)


def _reprojected_polygon(
    polygon: QgsGeometry, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsGeometry | None:
    """A polygon in another CRS; None where it is cut apart there, as by the antimeridian."""
    outline = polygon.densifyByCount(_POINTS)
    try:
        outline.transform(_transform(source, target))
        dense_outline = outline.densifyByCount(_POINTS)
        dense_outline.transform(_transform(target, source))
    except QgsCsException:
        return None
    is_whole = (
        outline.isGeosValid() and abs(dense_outline.area() / polygon.area() - 1) < _MAX_AREA_ERROR
    )
    return outline if is_whole else None


def _covers(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    extent: QgsRectangle,
    extent_crs: QgsCoordinateReferenceSystem,
) -> bool:
    """Whether polygons hold an extent that is cut apart in their CRS, by points all over it."""
    steps = [step / _POINTS for step in range(_POINTS + 1)]
    transform = _transform(extent_crs, crs)
    try:
        return all(
            geometry.contains(
                transform.transform(
                    extent.xMinimum() + right * extent.width(),
                    extent.yMinimum() + up * extent.height(),
                )
            )
            for right in steps
            for up in steps
        )
    except QgsCsException:
        return False


def _with_margin(extent: QgsRectangle) -> QgsRectangle:
    """A larger extent, so that no pixel is lost to the straight lines between points."""
    return extent.buffered(_MARGIN * max(extent.width(), extent.height()))


def holds_place(layer: QgsRasterLayer, lon: float, lat: float) -> bool:
    """Whether a layer's extent holds a place, given longitude and latitude in degrees."""
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    try:
        point = _transform(degrees, layer.crs()).transform(QgsPointXY(lon, lat))
    except QgsCsException:
        return False
    return bool(layer.extent().contains(point))


def lonlat(point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> tuple[float, float]:
    """Longitude and latitude of a point, in degrees.

    Raises:
        LinkError: If the point lies outside what its CRS maps.
    """
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    try:
        position = _transform(crs, degrees).transform(point)
    except QgsCsException as error:
        raise _outside_crs(degrees) from error
    return position.x(), position.y()


def _transform(
    source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsCoordinateTransform:
    return QgsCoordinateTransform(source, target, QgsProject.instance())


def _outside_crs(crs: QgsCoordinateReferenceSystem) -> LinkError:
    return LinkError(
        tr("The area lies outside what {} covers").format(crs.userFriendlyIdentifier()),
        tr("choose another area"),
    )
