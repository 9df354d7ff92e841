"""The places of talks on the map."""

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

from geochg_qgis.layers.grounds import lonlat

# On imagery, whatever the theme.
_COLOR = QColor("#d7482f")
_CHOSEN_PX, _OTHER_PX = 18, 9
_NEAR_PX = 12
"""How far from a place a click still means it."""


class PlaceMarks(QObject):
    """A ring where the chosen talk is, small ones at the others; they follow the map's CRS.

    Args:
        canvas: The map.
        parent: Its parent.
    """

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._places: list[tuple[float, float]] = []
        self._chosen = -1
        self._is_shown = False
        self.marks: list[QgsVertexMarker] = []
        canvas.destinationCrsChanged.connect(self._draw)

    def set_places(self, places: Sequence[tuple[float, float]], chosen: int) -> None:
        """Takes other places, longitude and latitude in degrees; -1 when none is chosen."""
        self._places, self._chosen = list(places), chosen
        self._draw()

    def set_shown(self, is_shown: bool) -> None:
        """Shows them, or takes them off the map."""
        self._is_shown = is_shown
        self._draw()

    def near(self, point: QgsPointXY) -> list[int]:
        """Positions of the places that a click on a map point may mean, the nearest first."""
        most = _NEAR_PX * self._canvas.mapUnitsPerPixel()
        found = []
        for position, place in enumerate(self._places):
            there = self._on_map(place)
            if there is not None and there.distance(point) <= most:
                found.append((there.distance(point), position))
        return [position for _, position in sorted(found)]

    def lonlat(self, point: QgsPointXY) -> tuple[float, float]:
        """A map point in degrees.

        Raises:
            LinkError: If it has no place on the ground.
        """
        return lonlat(point, self._canvas.mapSettings().destinationCrs())

    def go_to_chosen(self) -> None:
        """Moves the map to the chosen place."""
        there = self._on_map(self._places[self._chosen]) if self._chosen >= 0 else None
        if there is not None:
            self._canvas.setCenter(there)
            self._canvas.refresh()

    def _draw(self) -> None:
        for mark in self.marks:
            self._canvas.scene().removeItem(mark)
        self.marks = []
        if not self._is_shown:
            return
        for position, place in enumerate(self._places):
            there = self._on_map(place)
            if there is not None:
                self.marks.append(self._mark(there, position == self._chosen))

    def _mark(self, there: QgsPointXY, is_chosen: bool) -> QgsVertexMarker:
        mark = QgsVertexMarker(self._canvas)
        mark.setIconType(QgsVertexMarker.IconType.ICON_CIRCLE)
        mark.setColor(_COLOR)
        mark.setPenWidth(3 if is_chosen else 2)
        mark.setIconSize(_CHOSEN_PX if is_chosen else _OTHER_PX)
        mark.setCenter(there)
        return mark

    def _on_map(self, place: tuple[float, float]) -> QgsPointXY | None:
        """None where the map's CRS has no such place."""
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        crs = self._canvas.mapSettings().destinationCrs()
        transform = QgsCoordinateTransform(degrees, crs, QgsProject.instance())
        try:
            return transform.transform(QgsPointXY(*place))
        except QgsCsException:
            return None
