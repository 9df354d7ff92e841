"""Markers on the map at the places of dialogues."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand, QgsVertexMarker
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtGui import QColor

from geochg_qgis.layers.extents import lonlat

# Visible on imagery, whatever the theme.
_COLOR = QColor("#d7482f")
_CHOSEN_PX, _OTHER_PX = 18, 9
_NEAR_PX = 12  # distance from a place within which a click chooses it


class PlaceMarkers(QObject):
    """A ring at the chosen place, small ones at the others, and the ground that answers are about.

    They follow the map's CRS.

    Args:
        canvas: Map canvas.
        parent: Parent object.
    """

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._places: list[tuple[float, float]] = []
        self._chosen = -1
        self._is_shown = False
        self.markers: list[QgsVertexMarker] = []
        self._outline: list[list[float]] = []
        self.band: QgsRubberBand | None = None
        canvas.destinationCrsChanged.connect(self._draw)

    def set_places(
        self,
        places: Sequence[tuple[float, float]],
        chosen_index: int,
        outline: Sequence[list[float]] = (),
    ) -> None:
        """Sets the places, the chosen one, and the ground that its answers are about.

        Args:
            places: Longitude and latitude in degrees.
            chosen_index: Position of the chosen place; -1 for none.
            outline: Ring of longitudes and latitudes; may be empty.
        """
        self._places, self._chosen = list(places), chosen_index
        self._outline = list(outline)
        self._draw()

    def set_shown(self, is_shown: bool) -> None:
        """Shows the markers, or removes them from the map."""
        self._is_shown = is_shown
        self._draw()

    def near(self, point: QgsPointXY) -> list[int]:
        """Positions of the places that a click on a map point may mean, the nearest first."""
        radius = _NEAR_PX * self._canvas.mapUnitsPerPixel()
        distances = []
        for position, (lon, lat) in enumerate(self._places):
            center = self._map_point(lon, lat)
            if center is not None and center.distance(point) <= radius:
                distances.append((center.distance(point), position))
        return [position for _, position in sorted(distances)]

    def lonlat(self, point: QgsPointXY) -> tuple[float, float]:
        """Longitude and latitude of a map point, in degrees.

        Raises:
            LinkError: If the point lies outside what the map's CRS covers.
        """
        return lonlat(point, self._canvas.mapSettings().destinationCrs())

    def go_to_chosen(self) -> None:
        """Moves the map to the chosen place."""
        point = self._map_point(*self._places[self._chosen]) if self._chosen >= 0 else None
        if point is not None:
            self._canvas.setCenter(point)
            self._canvas.refresh()

    def _draw(self) -> None:
        for marker in self.markers:
            self._canvas.scene().removeItem(marker)
        self.markers = []
        if self.band is not None:
            self._canvas.scene().removeItem(self.band)
            self.band = None
        if not self._is_shown:
            return
        self._draw_outline()
        for position, (lon, lat) in enumerate(self._places):
            point = self._map_point(lon, lat)
            if point is not None:
                self.markers.append(self._marker(point, position == self._chosen))

    def _draw_outline(self) -> None:
        points = [self._map_point(lon, lat) for lon, lat in self._outline]
        if len(points) < 3 or None in points:
            return
        kind = QgsWkbTypes.GeometryType.LineGeometry
        self.band = QgsRubberBand(self._canvas, kind)
        # A light line with a dark rim is seen on any image.
        self.band.setColor(_COLOR)
        self.band.setSecondaryStrokeColor(QColor("white"))
        self.band.setWidth(2)
        self.band.setLineStyle(Qt.PenStyle.DashLine)
        self.band.setToGeometry(QgsGeometry.fromPolylineXY(points), None)

    def _marker(self, point: QgsPointXY, is_chosen: bool) -> QgsVertexMarker:
        marker = QgsVertexMarker(self._canvas)
        marker.setIconType(QgsVertexMarker.IconType.ICON_CIRCLE)
        marker.setColor(_COLOR)
        marker.setPenWidth(3 if is_chosen else 2)
        marker.setIconSize(_CHOSEN_PX if is_chosen else _OTHER_PX)
        marker.setCenter(point)
        return marker

    def _map_point(self, lon: float, lat: float) -> QgsPointXY | None:
        """A place in the map's CRS; None where that does not cover it."""
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        crs = self._canvas.mapSettings().destinationCrs()
        transform = QgsCoordinateTransform(degrees, crs, QgsProject.instance())
        try:
            return transform.transform(QgsPointXY(lon, lat))
        except QgsCsException:
            return None
