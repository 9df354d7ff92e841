"""The outlines on the map of the chosen changes, above the map and the swipe."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtGui import QColor

OUTLINE_COLOR, CASING_COLOR = QColor("#ffee00"), QColor("#000000")
"""Colours of the outline and of the lines beside it: one is seen on dark imagery, the other on
bright."""

_WIDTH_PX = 3
_CONTEXT = 3.0
"""Side of the shown square in sides of the change."""

_FLASHES, _FLASH_MS = 2, 250


class ChangeOutlines(QObject):
    """Outlines with a casing, and no fill, around changes.

    Args:
        canvas: Map canvas.
        parent: Parent object.
    """

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.bands: list[QgsRubberBand] = []

    def show_shapes(self, shapes: Sequence[QgsGeometry], crs: QgsCoordinateReferenceSystem) -> None:
        """Outlines polygons of a CRS in place of the former ones."""
        self.clear()
        for shape in shapes:
            band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
            band.setFillColor(QColor(0, 0, 0, 0))
            band.setBrushStyle(Qt.BrushStyle.NoBrush)
            band.setStrokeColor(OUTLINE_COLOR)
            band.setSecondaryStrokeColor(CASING_COLOR)
            band.setWidth(_WIDTH_PX)
            band.setToGeometry(shape, crs)
            self.bands.append(band)

    def clear(self) -> None:
        """Removes the outlines from the map."""
        for band in self.bands:
            self._canvas.scene().removeItem(band)
        self.bands = []

    def zoom(
        self,
        shapes: Sequence[QgsGeometry],
        crs: QgsCoordinateReferenceSystem,
        least_side: float,
    ) -> None:
        """Moves the map to polygons with what is around them, and flashes their outlines.

        Args:
            shapes: Polygons.
            crs: CRS of the polygons.
            least_side: Least side of what is shown, in units of that CRS.
        """
        view = context_of(bounds_of(shapes), least_side)
        try:
            self._canvas.setExtent(map_extent(view, crs, self._canvas))
        except QgsCsException:
            return
        self._canvas.refresh()
        lines = [QgsGeometry(shape.constGet().boundary()) for shape in shapes]
        self._canvas.flashGeometries(
            lines, crs, OUTLINE_COLOR, QColor(255, 255, 255, 0), _FLASHES, _FLASH_MS
        )


def bounds_of(shapes: Sequence[QgsGeometry]) -> QgsRectangle:
    """The bounds of polygons."""
    bounds = QgsRectangle()
    bounds.setMinimal()
    for shape in shapes:
        bounds.combineExtentWith(shape.boundingBox())
    return bounds


def context_of(bounds: QgsRectangle, least_side: float) -> QgsRectangle:
    """A square around bounds with room on all sides.

    Args:
        bounds: Bounds of a change.
        least_side: Least side of the square, in units of the bounds.
    """
    side = max(_CONTEXT * max(bounds.width(), bounds.height()), least_side)
    center = bounds.center()
    half = side / 2
    return QgsRectangle(center.x() - half, center.y() - half, center.x() + half, center.y() + half)


def map_extent(
    extent: QgsRectangle, crs: QgsCoordinateReferenceSystem, canvas: QgsMapCanvas
) -> QgsRectangle:
    """An extent in the CRS of the map.

    Raises:
        QgsCsException: If the map's CRS does not cover it.
    """
    target = canvas.mapSettings().destinationCrs()
    transform = QgsCoordinateTransform(crs, target, QgsProject.instance())
    return transform.transformBoundingBox(extent)
