"""An image of the map with one date of a pair, rendered in the background."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qgis.core import (
    QgsMapLayer,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsMapToPixel,
    QgsPointXY,
    QgsRasterLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QPointF, QRectF, pyqtSignal
from qgis.PyQt.QtGui import QImage, QPainter


class DateRenderer(QObject):
    """Renders map settings and paints the latest image in its place on the map.

    Signals:
        rendered: There is a new image.
    """

    rendered = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job: QgsMapRendererParallelJob | None = None
        self._image = QImage()
        self._image_map = QgsMapToPixel()

    @property
    def image(self) -> QImage:
        """The latest image; null before the first."""
        return self._image

    def render(self, settings: QgsMapSettings) -> None:
        """Starts rendering in place of the former job."""
        self.stop()
        job = QgsMapRendererParallelJob(settings)
        # Owned by Qt: a job must outlive its signal that it is done.
        job.setParent(self)
        job.finished.connect(partial(self._use_image, job))
        self._job = job
        job.start()

    def stop(self) -> None:
        """Cancels the job, without waiting."""
        job, self._job = self._job, None
        if job is not None:
            # A job that is deleted with its parent signals once more, half deleted.
            job.finished.disconnect()
            job.finished.connect(job.deleteLater)
            job.cancelWithoutBlocking()

    def clear(self) -> None:
        """Cancels the job and drops the image."""
        self.stop()
        self._image = QImage()

    def paint(self, painter: QPainter, canvas: QgsMapToPixel) -> None:
        """Paints the image where it belongs on a map that may have moved since."""
        if self._image.isNull():
            return
        image_map = self._image_map
        size = QRectF(0, 0, image_map.mapWidth(), image_map.mapHeight())
        center = canvas.transform(QgsPointXY(image_map.xCenter(), image_map.yCenter()))
        scale = image_map.mapUnitsPerPixel() / canvas.mapUnitsPerPixel()
        rotation = canvas.mapRotation() - image_map.mapRotation()
        painter.save()
        painter.translate(QPointF(center.x(), center.y()))
        if rotation or abs(scale - 1) > 1e-9:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.rotate(rotation)
            painter.scale(scale, scale)
        painter.drawImage(size.translated(-size.center()), self._image)
        painter.restore()

    def _use_image(self, job: QgsMapRendererParallelJob) -> None:
        # A job that is deleted with its parent signals once more, when it is gone.
        if job is not self._job or sip.isdeleted(job):
            return
        self._job = None
        self._image = job.renderedImage()
        self._image_map = job.mapSettings().mapToPixel()
        job.deleteLater()
        self.rendered.emit()


def single_date_settings(
    canvas: QgsMapSettings, shown_layer: QgsRasterLayer, hidden: QgsRasterLayer
) -> QgsMapSettings:
    """The map's settings, with one date of a pair in place of both.

    Args:
        canvas: Settings of the map, which are not changed.
        shown_layer: Image to show, also where its layer is switched off.
        hidden: Image of the other date.
    """
    settings = QgsMapSettings(canvas)
    settings.setLayers(single_date_layers(canvas.layers(), shown_layer, hidden))
    if settings.isTemporal():
        _use_time_of(shown_layer, settings)
    return settings


def single_date_layers(
    layers: Sequence[QgsMapLayer], shown_layer: QgsRasterLayer, hidden: QgsRasterLayer
) -> list[QgsMapLayer]:
    """The layers of the map from the top, with one date of a pair where the upper of both was.

    Where neither is on the map, it goes on top of the rasters.
    """
    pair = {shown_layer.id(), hidden.id()}
    rows = [row for row, layer in enumerate(layers) if layer.id() in pair]
    if not rows:
        rows = [row for row, layer in enumerate(layers) if isinstance(layer, QgsRasterLayer)]
    top = rows[0] if rows else len(layers)
    above = list(layers[:top])
    below = [layer for layer in layers[top:] if layer.id() not in pair]
    return [*above, shown_layer, *below]


def _use_time_of(layer: QgsRasterLayer, settings: QgsMapSettings) -> None:
    """Replaces the temporal controller's time by the layer's own."""
    properties = layer.temporalProperties()
    time = properties.fixedTemporalRange()
    if properties.isActive() and not time.isInfinite():
        settings.setTemporalRange(time)
    else:
        settings.setIsTemporal(False)
