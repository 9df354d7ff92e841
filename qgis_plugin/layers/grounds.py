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

_POINTS = 8
"""Put on each side of an area before it is moved: a straight line in one CRS bends in another."""

_MARGIN = 0.02
"""By how much of its side a rectangle is grown before an area is cut to it."""

_TORN = 0.2
"""Share by which an outline's area may differ when it has been there and back."""


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
    cover = QgsGeometry.fromRect(after.extent())
    shared = part_on(cover, after.crs(), before.extent(), before.crs())
    if shared.isEmpty():
        raise LinkError(
            tr("{0} and {1} do not overlap").format(before.name(), after.name()),
            tr("choose two layers of one place, and check their coordinate reference systems"),
        )
    return shared.boundingBox().intersect(before.extent())


def area_of(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    shared: QgsRectangle,
    shared_crs: QgsCoordinateReferenceSystem,
) -> QgsGeometry:
    """The area of interest, in the CRS of the before layer.

    Args:
        geometry: Polygons, however far they reach.
        crs: Their CRS.
        shared: What both layers cover.
        shared_crs: Its CRS.

    Raises:
        LinkError: If the area covers nothing of that.
    """
    part = part_on(geometry, crs, shared, shared_crs)
    if part.isEmpty() or part.intersection(QgsGeometry.fromRect(shared)).area() == 0:
        raise LinkError(
            tr("The area lies outside what the two layers share"), tr("choose another area")
        )
    return part


def area_text(area: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> str:
    """An area of interest as the worker takes it."""
    return f"{crs_text(crs)};{area.asWkt(9)}"


def part_on(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    ground: QgsRectangle,
    ground_crs: QgsCoordinateReferenceSystem,
) -> QgsGeometry:
    """The part of polygons that lies on a rectangle or close by, in the rectangle's CRS.

    A map view may show the whole world, of which a CRS takes only a part: the polygons are cut in
    their own CRS, before they are moved.

    Raises:
        LinkError: If they have no place there.
    """
    there = geometry if geometry.isGeosValid() else geometry.makeValid()
    whole = QgsGeometry.fromRect(_grown(ground))
    if crs == ground_crs:
        return there.intersection(whole)
    window = _seen_from(whole, ground_crs, crs)
    if window is None and _covers(there, crs, ground, ground_crs):
        return whole
    if window is not None:
        if there.contains(window):
            return whole
        there = there.intersection(window)
    there = there.densifyByCount(_POINTS)
    try:
        there.transform(_transform(crs, ground_crs))
    except QgsCsException as error:
        raise _no_place(ground_crs) from error
    there = there if there.isGeosValid() else there.makeValid()
    return there.intersection(whole)


def _seen_from(
    ground: QgsGeometry,
    ground_crs: QgsCoordinateReferenceSystem,
    crs: QgsCoordinateReferenceSystem,
) -> QgsGeometry | None:
    """A polygon in another CRS; None where it is torn there, as by the antimeridian."""
    outline = ground.densifyByCount(_POINTS)
    try:
        outline.transform(_transform(ground_crs, crs))
        back = outline.densifyByCount(_POINTS)
        back.transform(_transform(crs, ground_crs))
    except QgsCsException:
        return None
    is_whole = outline.isGeosValid() and abs(back.area() / ground.area() - 1) < _TORN
    return outline if is_whole else None


def _covers(
    geometry: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    ground: QgsRectangle,
    ground_crs: QgsCoordinateReferenceSystem,
) -> bool:
    """Whether polygons hold a rectangle that is torn in their CRS, by points all over it."""
    steps = [step / _POINTS for step in range(_POINTS + 1)]
    transform = _transform(ground_crs, crs)
    try:
        return all(
            geometry.contains(
                transform.transform(
                    ground.xMinimum() + right * ground.width(),
                    ground.yMinimum() + up * ground.height(),
                )
            )
            for right in steps
            for up in steps
        )
    except QgsCsException:
        return False


def _grown(ground: QgsRectangle) -> QgsRectangle:
    """A little larger, so that no pixel is lost to the straight lines between points."""
    return ground.buffered(_MARGIN * max(ground.width(), ground.height()))


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
