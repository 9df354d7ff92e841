"""The widget with the earlier and the later cutout of a change, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.change_outlines import CASING_COLOR, OUTLINE_COLOR, context_of
from geochg_qgis.panel.date_renderer import DateRenderer

LEAST_SIDE_PX = 32
"""Least side of a cutout, in pixels of the later image."""

_RENDER_MS = 40
_LEAST_PX, _MOST_PX, _GAP_PX, _MARGIN_PX = 72, 220, 4, 3
_DARK, _LIGHT = QColor(0, 0, 0, 170), QColor(255, 255, 255)


class _Cutout(NamedTuple):
    """What is shown: two images, a polygon in the CRS of the later one, and what is above them."""

    before: QgsRasterLayer
    after: QgsRasterLayer
    shape: QgsGeometry
    extent: QgsRectangle
    names: tuple[str, str]


class CutoutsWidget(QWidget):
    """Shows the same square of both dates, with the same stretch and the outline of a change.

    Args:
        parent: Parent widget.
        name: Object name.
        least_frame_px: Side of a square that stands around what is smaller than that, in place of
            an outline which would hide it; 0 for outlines of any size.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        name: str = "GeochgCutouts",
        least_frame_px: int = 0,
    ) -> None:
        super().__init__(parent)
        self._least_frame_px = least_frame_px
        self._cutout: _Cutout | None = None
        self._stretched: tuple[QgsRasterLayer, QgsRasterLayer] | None = None
        self._stretched_key: tuple[str, ...] = ()
        self.renderers = DateRenderer(self), DateRenderer(self)
        for renderer in self.renderers:
            renderer.rendered.connect(self.update)
        self._timer = single_shot_timer(self, _RENDER_MS, self._render)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumHeight(_LEAST_PX)
        self.setObjectName(name)
        self.setAccessibleName(tr("The change before and after"))
        self.setToolTip(tr("The place before and after, in the same colours"))
        self.setVisible(False)
        QgsProject.instance().layersWillBeRemoved.connect(self._forget_layers)

    def show_change(
        self,
        shape: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        before: QgsRasterLayer,
        after: QgsRasterLayer,
        side: float | None = None,
    ) -> None:
        """Shows a polygon of a CRS on two images.

        Args:
            shape: The polygon.
            crs: Its CRS.
            before: The earlier image.
            after: The later image.
            side: Least side of a cutout in units of the later image's CRS; None for that of
                `LEAST_SIDE_PX`.
        """
        transform = QgsCoordinateTransform(crs, after.crs(), QgsProject.instance())
        polygon = QgsGeometry(shape)
        try:
            polygon.transform(transform)
        except QgsCsException:
            self.clear()
            return
        square = context_of(polygon.boundingBox(), least_side(after) if side is None else side)
        extent = _moved_into(square, after.extent())
        names = f"{tr('Before')}: {before.name()}", f"{tr('After')}: {after.name()}"
        self._cutout = _Cutout(before, after, polygon, extent, names)
        self.setVisible(True)
        self._timer.start()

    def clear(self) -> None:
        """Shows nothing."""
        self._timer.stop()
        for renderer in self.renderers:
            renderer.clear()
        self._cutout, self._stretched, self._stretched_key = None, None, ()
        self.setVisible(False)

    def _forget_layers(self, layer_ids: Sequence[str]) -> None:
        """Shows nothing of images that are about to be removed: to paint them would end QGIS."""
        cutout = self._cutout
        if cutout is not None and {cutout.before.id(), cutout.after.id()} & set(layer_ids):
            self.clear()

    def sizeHint(self) -> QSize:
        """Wide as the panel is, and as high as one of the two squares."""
        return QSize(2 * _MOST_PX, self.heightForWidth(self.width()))

    def hasHeightForWidth(self) -> bool:
        """Whether the height follows from the width."""
        return True

    def heightForWidth(self, width_px: int) -> int:
        """The side of a square where two are side by side."""
        return max(_LEAST_PX, min(_MOST_PX, (width_px - _GAP_PX) // 2))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Renders the cutouts in their new size."""
        super().resizeEvent(event)
        if self._cutout is not None:
            self._timer.start()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paints both cutouts, the outline on each, and their names."""
        if self._cutout is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for square, renderer, name in zip(self.squares(), self.renderers, self._cutout.names):
            painter.save()
            painter.setClipRect(square)
            if not renderer.image.isNull():
                painter.drawImage(square, renderer.image)
            self._draw_outline(painter, square)
            self._draw_name(painter, square, name)
            painter.restore()

    def squares(self) -> tuple[QRectF, QRectF]:
        """Where the earlier and the later cutout are."""
        side = min(self.height(), (self.width() - _GAP_PX) / 2)
        return QRectF(0, 0, side, side), QRectF(side + _GAP_PX, 0, side, side)

    def _render(self) -> None:
        if self._cutout is None:
            return
        ratio = self.devicePixelRatioF()
        side_px = max(1, round(self.squares()[0].width() * ratio))
        for renderer, layer in zip(self.renderers, self._same_stretch()):
            settings = QgsMapSettings()
            settings.setLayers([layer])
            settings.setDestinationCrs(self._cutout.after.crs())
            settings.setTransformContext(QgsProject.instance().transformContext())
            settings.setOutputSize(QSize(side_px, side_px))
            settings.setExtent(self._cutout.extent)
            settings.setBackgroundColor(self.palette().window().color())
            renderer.render(settings)

    def _same_stretch(self) -> tuple[QgsRasterLayer, QgsRasterLayer]:
        """The images, the earlier one in the later one's style where their bands are alike."""
        before, after = self._cutout.before, self._cutout.after
        if not are_alike(before, after):
            return before, after
        key = before.id(), before.source(), after.id()
        if self._stretched is None or key != self._stretched_key:
            # A copy, since the layer keeps its own style on the map.
            self._stretched, self._stretched_key = (before.clone(), after), key
        # Each time: nothing tells for sure that the later image has another style by now.
        self._stretched[0].setRenderer(after.renderer().clone())
        return self._stretched

    def _draw_outline(self, painter: QPainter, square: QRectF) -> None:
        extent = self._cutout.extent
        scale = square.width() / extent.width()

        def pixel(x: float, y: float) -> QPointF:
            return square.topLeft() + QPointF(
                (x - extent.xMinimum()) * scale, (extent.yMaximum() - y) * scale
            )

        shape = self._cutout.shape
        polygons = shape.asMultiPolygon() if shape.isMultipart() else [shape.asPolygon()]
        rings = [
            QPolygonF([pixel(point.x(), point.y()) for point in ring])
            for polygon in polygons
            for ring in polygon
        ]
        bounds = QRectF()
        for ring in rings:
            bounds = bounds.united(ring.boundingRect())
        if max(bounds.width(), bounds.height()) < self._least_frame_px:
            frame = QRectF(0, 0, self._least_frame_px, self._least_frame_px)
            frame.moveCenter(bounds.center())
            rings = [QPolygonF(frame)]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width_px in ((CASING_COLOR, 4), (OUTLINE_COLOR, 2)):
            painter.setPen(QPen(color, width_px))
            for ring in rings:
                painter.drawPolygon(ring)

    def _draw_name(self, painter: QPainter, square: QRectF, name: str) -> None:
        metrics = painter.fontMetrics()
        width_px = round(square.width() - 4 * _MARGIN_PX)
        text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, width_px)
        box = QRectF(square.left(), square.top(), square.width(), metrics.height() + _MARGIN_PX)
        painter.fillRect(box, _DARK)
        painter.setPen(_LIGHT)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def _moved_into(square: QgsRectangle, bounds: QgsRectangle) -> QgsRectangle:
    """A square moved into bounds, as far as it is not larger than these."""
    center, half_width, half_height = square.center(), square.width() / 2, square.height() / 2
    if 2 * half_width < bounds.width():
        left, right = bounds.xMinimum() + half_width, bounds.xMaximum() - half_width
        center.setX(min(max(center.x(), left), right))
    if 2 * half_height < bounds.height():
        bottom, top = bounds.yMinimum() + half_height, bounds.yMaximum() - half_height
        center.setY(min(max(center.y(), bottom), top))
    return QgsRectangle.fromCenterAndSize(center, 2 * half_width, 2 * half_height)


def least_side(image: QgsRasterLayer) -> float:
    """The least side of a cutout in units of the image's CRS."""
    return LEAST_SIDE_PX * max(image.rasterUnitsPerPixelX(), image.rasterUnitsPerPixelY())


def are_alike(before: QgsRasterLayer, after: QgsRasterLayer) -> bool:
    """Whether two images have the same bands of the same type, so that one style suits both."""
    first, second = before.dataProvider(), after.dataProvider()
    return (
        first is not None
        and second is not None
        and before.bandCount() == after.bandCount()
        and all(
            first.dataType(band) == second.dataType(band)
            for band in range(1, before.bandCount() + 1)
        )
    )
