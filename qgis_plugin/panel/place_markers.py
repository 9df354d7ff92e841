"""Markers on the map at the places of dialogues."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas, QgsVertexMarker
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtGui import QColor

from geochg_qgis.layers.extents import lonlat

# Visible on imagery, whatever the theme.
_COLOR = QColor("#d7482f")
_CHOSEN_PX, _OTHER_PX = 18, 9
_NEAR_PX = 12  # distance from a place within which a click chooses it


class PlaceMarkers(QObject):
    """A ring at the chosen place and small ones at the others; they follow the map's CRS.

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
        canvas.destinationCrsChanged.connect(self._draw)

    def set_places(self, places: Sequence[tuple[float, float]], chosen_index: int) -> None:
        """Sets the places (longitude, latitude in degrees) and the chosen position; -1 for none."""
        self._places, self._chosen = list(places), chosen_index
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
        if not self._is_shown:
            return
        for position, (lon, lat) in enumerate(self._places):
            point = self._map_point(lon, lat)
            if point is not None:
                self.markers.append(self._marker(point, position == self._chosen))

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
