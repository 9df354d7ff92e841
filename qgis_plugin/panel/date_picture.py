"""A picture of the map with one date on it, drawn in the background."""

from __future__ import annotations

from functools import partial

from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsMapToPixel, QgsPointXY
from qgis.PyQt.QtCore import QObject, QPointF, QRectF, pyqtSignal
from qgis.PyQt.QtGui import QImage, QPainter


class DatePicture(QObject):
    """The latest picture there is, on its spot whatever the map shows meanwhile.

    Signals:
        drawn: There is a new one.
    """

    drawn = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job: QgsMapRendererParallelJob | None = None
        self._image = QImage()
        self._place = QgsMapToPixel()

    def render(self, settings: QgsMapSettings) -> None:
        """Begins a picture; one that is under way is given up."""
        self.stop()
        job = QgsMapRendererParallelJob(settings)
        # Qt's from now on: a job must outlive the signal in which it says that it is done.
        job.setParent(self)
        job.finished.connect(partial(self._take, job))
        self._job = job
        job.start()

    def stop(self) -> None:
        """Gives up the picture that is under way, without waiting."""
        job, self._job = self._job, None
        if job is not None:
            job.cancelWithoutBlocking()

    def clear(self) -> None:
        """Forgets the picture, and the one under way."""
        self.stop()
        self._image = QImage()

    def paint(self, painter: QPainter, canvas: QgsMapToPixel) -> None:
        """Draws the picture where it belongs on a map that may have moved on."""
        if self._image.isNull():
            return
        place = self._place
        size = QRectF(0, 0, place.mapWidth(), place.mapHeight())
        there = canvas.transform(QgsPointXY(place.xCenter(), place.yCenter()))
        scale = place.mapUnitsPerPixel() / canvas.mapUnitsPerPixel()
        turn = canvas.mapRotation() - place.mapRotation()
        painter.save()
        painter.translate(QPointF(there.x(), there.y()))
        if turn or abs(scale - 1) > 1e-9:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.rotate(turn)
            painter.scale(scale, scale)
        painter.drawImage(size.translated(-size.center()), self._image)
        painter.restore()

    def _take(self, job: QgsMapRendererParallelJob) -> None:
        if job is self._job:
            self._job = None
            self._image = job.renderedImage()
            self._place = job.mapSettings().mapToPixel()
            self.drawn.emit()
        job.deleteLater()
