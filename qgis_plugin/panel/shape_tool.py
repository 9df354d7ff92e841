"""The map tool that draws a polygon or a line, corner by corner."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsPointXY, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

from geochg_qgis.panel.change_outlines import CASING_COLOR, OUTLINE_COLOR
from geochg_qgis.panel.interim_tool import InterimTool

_WIDTH_PX = 2
_FINISH_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class ShapeTool(InterimTool):
    """Draws one shape and gives the map its former tool again.

    A click sets a corner; a right click, a double click or Enter finishes, Backspace removes the
    last corner, Escape ends.

    Args:
        canvas: Map canvas.

    Signals:
        finished: The shape is drawn; carries its geometry in the map's CRS.
    """

    finished = pyqtSignal(QgsGeometry)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._kind = QgsWkbTypes.GeometryType.PolygonGeometry
        self._corners: list[QgsPointXY] = []
        self._band: QgsRubberBand | None = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    def begin(self, *, is_polygon: bool) -> None:
        """Begins to draw a polygon or a line."""
        self.end()
        geometry = QgsWkbTypes.GeometryType
        self._kind = geometry.PolygonGeometry if is_polygon else geometry.LineGeometry
        self.take_over()

    def deactivate(self) -> None:
        """Removes what is drawn; called by the map."""
        super().deactivate()
        self._corners = []
        if self._band is not None:
            self.canvas().scene().removeItem(self._band)
            self._band = None

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Sets a corner, or finishes with the right button."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._corners.append(self.toMapCoordinates(event.pos()))
            self._draw()
        elif event.button() == Qt.MouseButton.RightButton:
            self._finish()

    def canvasDoubleClickEvent(self, _: QgsMapMouseEvent) -> None:
        """Finishes: the first press of a double click has set the last corner."""
        self._finish()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Draws up to the mouse."""
        if self._corners:
            self._draw(self.toMapCoordinates(event.pos()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Finishes, removes a corner or ends."""
        if event.key() in _FINISH_KEYS:
            self._finish()
        elif event.key() == Qt.Key.Key_Backspace:
            self._corners = self._corners[:-1]
            self._draw()
        elif event.key() == Qt.Key.Key_Escape:
            self.end()
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _finish(self) -> None:
        is_polygon = self._kind == QgsWkbTypes.GeometryType.PolygonGeometry
        corners = list(self._corners)
        if len(corners) < (3 if is_polygon else 2):
            return
        shape = (
            QgsGeometry.fromPolygonXY([[*corners, corners[0]]])
            if is_polygon
            else QgsGeometry.fromPolylineXY(corners)
        )
        self.end()
        self.finished.emit(shape)

    def _draw(self, pointer: QgsPointXY | None = None) -> None:
        if self._band is None:
            self._band = QgsRubberBand(self.canvas(), self._kind)
            self._band.setFillColor(QColor(0, 0, 0, 0))
            self._band.setStrokeColor(OUTLINE_COLOR)
            self._band.setSecondaryStrokeColor(CASING_COLOR)
            self._band.setWidth(_WIDTH_PX)
        self._band.reset(self._kind)
        for corner in (*self._corners, *([pointer] if pointer is not None else [])):
            self._band.addPoint(corner)
