"""The map tool that shows two dates on one map, with a line between them to drag."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem, QgsMapMouseEvent
from qgis.PyQt.QtCore import QPoint, QPointF, QRectF, QSizeF, Qt
from qgis.PyQt.QtGui import QColor, QKeyEvent, QPainter, QPen

from geochg_qgis.i18n import tr
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.date_renderer import DateRenderer, single_date_settings
from geochg_qgis.panel.interim_tool import InterimTool

_ABOVE_MAP = -1.0  # z value above the map, which is at -10, and below rubber bands and flashes
_GAP_PX = 6
_LEAST_LABEL_PX = 60

# Visible on imagery, whatever the theme: light with a dark rim.
_LIGHT, _DARK = QColor(255, 255, 255), QColor(0, 0, 0, 170)


class SwipeTool(InterimTool):
    """Shows the earlier date on one side of a line and the later on the other.

    The dates are rendered when the map is, not when the line moves. All other layers are on both
    sides. Escape, or another tool, ends the swipe.
    """

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.share = 0.5
        self.is_vertical = True
        self._pair: tuple[QgsRasterLayer, QgsRasterLayer] | None = None
        self._item: SwipeItem | None = None
        self.before, self.after = DateRenderer(self), DateRenderer(self)
        self._render_timer = single_shot_timer(self, 0, self._render)
        for renderer in (self.before, self.after):
            renderer.rendered.connect(self._repaint)
        self.set_vertical(True)

    def begin(self, before: QgsRasterLayer, after: QgsRasterLayer) -> None:
        """Compares two images, in place of the map's former tool."""
        self.end()
        self._pair = before, after
        self.take_over()

    def set_vertical(self, is_vertical: bool) -> None:
        """Sets whether the line is vertical, with a date left and right, or horizontal."""
        self.is_vertical = is_vertical
        shape = Qt.CursorShape.SplitHCursor if is_vertical else Qt.CursorShape.SplitVCursor
        self.setCursor(shape)
        self._repaint()

    def activate(self) -> None:
        """Draws the swipe; called by the map."""
        super().activate()
        if self._pair is None:
            return
        before, after = self._pair
        self._item = SwipeItem(self.canvas(), self, before.name(), after.name())
        for signal in self._render_signals(before, after):
            signal.connect(self._render_soon)
        QgsProject.instance().layersWillBeRemoved.connect(self._end_if_removed)
        self._render()

    def deactivate(self) -> None:
        """Removes the swipe; called by the map."""
        super().deactivate()
        if self._pair is None:
            return
        for signal in self._render_signals(*self._pair):
            signal.disconnect(self._render_soon)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._end_if_removed)
        self._render_timer.stop()
        self._pair = None
        for renderer in (self.before, self.after):
            renderer.clear()
        if self._item is not None:
            self.canvas().scene().removeItem(self._item)
            self._item = None

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Moves the line to where the map is pressed."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._move(event.pixelPoint())

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Moves the line with the mouse."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._move(event.pixelPoint())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ends the swipe on Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.end()
        else:
            super().keyPressEvent(event)

    def _move(self, point: QPoint) -> None:
        view = self.canvas().viewport()
        share = point.x() / view.width() if self.is_vertical else point.y() / view.height()
        self.share = min(1.0, max(0.0, share))
        self._repaint()

    def _render_soon(self, *_: object) -> None:
        self._render_timer.start()

    def _render(self) -> None:
        if self._pair is None:
            return
        before, after = self._pair
        settings = self.canvas().mapSettings()
        self.before.render(single_date_settings(settings, before, after))
        self.after.render(single_date_settings(settings, after, before))

    def _repaint(self) -> None:
        if self._item is not None:
            self._item.update()

    def _render_signals(self, before: QgsRasterLayer, after: QgsRasterLayer) -> tuple[Any, ...]:
        """Signals at which the dates are rendered; the map does not follow hidden layers."""
        return self.canvas().renderStarting, before.repaintRequested, after.repaintRequested

    def _end_if_removed(self, layers: list[str]) -> None:
        if self._pair is not None and any(layer.id() in layers for layer in self._pair):
            self.end()


class SwipeItem(QgsMapCanvasItem):
    """The canvas item that paints a swipe over the map.

    Args:
        canvas: Map canvas.
        tool: Tool whose images and line it shows.
        before: Name of the earlier image.
        after: Name of the later image.
    """

    def __init__(self, canvas: QgsMapCanvas, tool: SwipeTool, before: str, after: str) -> None:
        super().__init__(canvas)
        self._canvas, self._tool = canvas, tool
        self._names = f"{tr('Before')}: {before}", f"{tr('After')}: {after}"
        self.setZValue(_ABOVE_MAP)

    def updatePosition(self) -> None:
        """Keeps its position: the line and names do not turn with the map, and the images do."""
        self.setPos(0, 0)
        self.setRotation(0)

    def boundingRect(self) -> QRectF:
        """The whole canvas."""
        return QRectF(self._canvas.viewport().rect())

    def paint(self, painter: QPainter, *_: object) -> None:
        """Paints the dates on their sides, then the line and the names."""
        canvas_map = self._canvas.getCoordinateTransform()
        sides = self._sides()
        for side, renderer in zip(sides, (self._tool.before, self._tool.after)):
            painter.save()
            painter.setClipRect(side)
            renderer.paint(painter, canvas_map)
            painter.restore()
        self._draw_line(painter, sides[0])
        for side, name, is_first in zip(sides, self._names, (True, False)):
            self._draw_name(painter, side, name, is_first)

    def _sides(self) -> tuple[QRectF, QRectF]:
        """The sides left and right of the line, or above and below it."""
        bounds = self.boundingRect()
        first, second = QRectF(bounds), QRectF(bounds)
        if self._tool.is_vertical:
            line = round(bounds.width() * self._tool.share)
            first.setRight(line)
            second.setLeft(line)
        else:
            line = round(bounds.height() * self._tool.share)
            first.setBottom(line)
            second.setTop(line)
        return first, second

    def _draw_line(self, painter: QPainter, first: QRectF) -> None:
        is_vertical = self._tool.is_vertical
        ends = (
            (first.topRight(), first.bottomRight())
            if is_vertical
            else (first.bottomLeft(), first.bottomRight())
        )
        middle = (ends[0] + ends[1]) / 2
        along_offset = QPointF(0, 7) if is_vertical else QPointF(7, 0)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for color, width_px in ((_DARK, 5), (_LIGHT, 2)):
            painter.setPen(QPen(color, width_px))
            painter.drawLine(*ends)
        painter.setPen(QPen(_DARK, 1.5))
        painter.setBrush(_LIGHT)
        painter.drawEllipse(middle, 11, 11)
        across_offset = QPointF(3, 0) if is_vertical else QPointF(0, 3)
        for shift in (-across_offset, across_offset):
            painter.drawLine(middle + shift - along_offset / 2, middle + shift + along_offset / 2)

    def _draw_name(self, painter: QPainter, side: QRectF, name: str, is_first: bool) -> None:
        """Paints a name beside the line where it fits: at the bottom, as messages cover the top."""
        metrics = painter.fontMetrics()
        max_width_px = side.width() - 4 * _GAP_PX
        height_px = metrics.height() + _GAP_PX
        if max_width_px < _LEAST_LABEL_PX or side.height() < height_px + 2 * _GAP_PX:
            return
        text = metrics.elidedText(
            name, Qt.TextElideMode.ElideMiddle, round(max_width_px - 2 * _GAP_PX)
        )
        width_px = metrics.horizontalAdvance(text) + 2 * _GAP_PX
        inner = side.adjusted(2 * _GAP_PX, 2 * _GAP_PX, -2 * _GAP_PX, -2 * _GAP_PX)
        box = QRectF(inner.topLeft(), QSizeF(width_px, height_px))
        if is_first and self._tool.is_vertical:
            box.moveRight(inner.right())
        if is_first or self._tool.is_vertical:
            box.moveBottom(inner.bottom())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_DARK)
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(_LIGHT)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
