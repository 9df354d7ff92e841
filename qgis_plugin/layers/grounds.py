"""Coordinate reference systems and areas as the worker takes them."""

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

from geochg_qgis.link.errors import LinkError
from geochg_qgis.words import tr


def crs_text(crs: QgsCoordinateReferenceSystem) -> str:
    """A CRS as PROJ and GDAL read it: its code where it has one of EPSG's, else WKT."""
    if crs.authid().startswith("EPSG:"):
        return str(crs.authid())
    return str(crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED))


def moved(
    area: QgsRectangle, start: QgsCoordinateReferenceSystem, end: QgsCoordinateReferenceSystem
) -> QgsRectangle:
    """A rectangle in another CRS.

    Raises:
        LinkError: If it has no place there.
    """
    if start == end:
        return QgsRectangle(area)
    try:
        return _transform(start, end).transformBoundingBox(area)
    except QgsCsException as error:
        raise _no_place(end) from error


def overlap_of(before: QgsRasterLayer, after: QgsRasterLayer) -> QgsRectangle:
    """What both layers cover, in the CRS of the first.

    Raises:
        LinkError: If that is nothing.
    """
    shared = before.extent().intersect(moved(after.extent(), after.crs(), before.crs()))
    if shared.isEmpty():
        raise LinkError(
            tr("{0} and {1} do not overlap").format(before.name(), after.name()),
            tr("choose two layers of one place, and check their coordinate reference systems"),
        )
    return shared


def aoi_text(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    shared: QgsRectangle,
    shared_crs: QgsCoordinateReferenceSystem,
) -> str:
    """An area of interest for the worker, in the CRS of the before layer.

    Args:
        geometry: Polygons.
        crs: Their CRS.
        shared: What both layers cover.
        shared_crs: Its CRS.

    Raises:
        LinkError: If the area covers nothing of that.
    """
    there = QgsGeometry(geometry)
    try:
        if crs != shared_crs:
            there = there.densifyByCount(8)
            there.transform(_transform(crs, shared_crs))
    except QgsCsException as error:
        raise _no_place(shared_crs) from error
    there = there.makeValid() if not there.isGeosValid() else there
    if there.isEmpty() or not there.intersects(shared) or there.area() == 0:
        raise LinkError(
            tr("The area lies outside what the two layers share"), tr("choose another area")
        )
    return f"{crs_text(shared_crs)};{there.asWkt(9)}"


def lonlat(point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> tuple[float, float]:
    """A point in degrees.

    Raises:
        LinkError: If it has no place on the ground.
    """
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    try:
        there = _transform(crs, degrees).transform(point)
    except QgsCsException as error:
        raise _no_place(degrees) from error
    return there.x(), there.y()


def _transform(
    start: QgsCoordinateReferenceSystem, end: QgsCoordinateReferenceSystem
) -> QgsCoordinateTransform:
    return QgsCoordinateTransform(start, end, QgsProject.instance())


def _no_place(crs: QgsCoordinateReferenceSystem) -> LinkError:
    return LinkError(
        tr("The area has no place in {}").format(crs.userFriendlyIdentifier()),
        tr("choose another area"),
    )
