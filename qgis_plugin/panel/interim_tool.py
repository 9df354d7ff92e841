"""A map tool that stands in for another one, which the map gets back."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas, QgsMapTool


class InterimTool(QgsMapTool):
    """Takes the place of the map's tool until it ends.

    Args:
        canvas: Map canvas.
    """

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._former: QgsMapTool | None = None

    def take_over(self) -> None:
        """Becomes the map's tool, and receives its keys."""
        former = self.canvas().mapTool()
        self._former = former if former is not self else None
        if self._former is not None:
            self._former.destroyed.connect(self._forget_former)
        self.canvas().setMapTool(self)
        self.canvas().setFocus()

    def end(self) -> None:
        """Gives the map its former tool again, unless that is gone."""
        canvas = self.canvas()
        if canvas.mapTool() is not self:
            return
        if self._former is not None:
            canvas.setMapTool(self._former)
        else:
            canvas.unsetMapTool(self)

    def deactivate(self) -> None:
        """Forgets the former tool; called by the map."""
        super().deactivate()
        if self._former is not None:
            self._former.destroyed.disconnect(self._forget_former)
        self._former = None

    def _forget_former(self) -> None:
        self._former = None
