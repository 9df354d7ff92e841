"""The widget in which the area of interest is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsMapLayer,
    QgsPointXY,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgisInterface, QgsMapToolExtent, QgsRubberBand
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import aoi_parameter, area_of_interest, shared_extent
from geochg_qgis.layers.result_layers import RESULT
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.layouts import choice_box, name_widget, row_layout

OVERLAP, VIEW, SELECTION, DRAWN = "overlap", "view", "selection", "drawn"
PAIR_KINDS = (OVERLAP, VIEW, SELECTION, DRAWN)
"""Kinds of areas of a pair, in the order in which they are offered."""

PLACE_KINDS = (VIEW, DRAWN, SELECTION)
"""Kinds of areas that need no pair."""


class AreaOfInterest(NamedTuple):
    """The area to analyse.

    Attributes:
        aoi: The worker's parameter; None for all that both images share.
        bounds: Bounds of the area, in `crs`.
        crs: CRS of the before layer.
    """

    aoi: str | None
    bounds: QgsRectangle
    crs: QgsCoordinateReferenceSystem


class AreaWidget(QWidget):
    """Offers all that both images share, the map view, selected polygons, or a drawn rectangle.

    Args:
        iface: Interface of QGIS.
        parent: Parent widget.
        kinds: What is offered.
        draw_name: Object name of the button that draws.

    Signals:
        changed: Another area was chosen.
    """

    changed = pyqtSignal()

    def __init__(
        self,
        iface: QgisInterface,
        parent: QWidget | None = None,
        kinds: Sequence[str] = PAIR_KINDS,
        draw_name: str = "GeochgDrawArea",
    ) -> None:
        super().__init__(parent)
        self._iface = iface
        texts = {
            OVERLAP: tr("All that both share"),
            VIEW: tr("Map view"),
            SELECTION: tr("Selected polygons of the active layer"),
            DRAWN: tr("Drawn rectangle"),
        }
        self.kind = choice_box(self, [(kind, texts[kind]) for kind in kinds])
        self._draw = QPushButton(tr("Draw"), self)
        name_widget(self._draw, draw_name, tr("Draw"), tr("Draws a rectangle on the map"))
        self._draw.setVisible(False)
        row_layout(self.kind, self._draw, parent=self)
        self._drawn: QgsRectangle | None = None
        self._drawn_crs = QgsCoordinateReferenceSystem()
        self._band: QgsRubberBand | None = None
        self.tool = QgsMapToolExtent(iface.mapCanvas())
        self.tool.extentChanged.connect(self.set_drawn)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self._draw.clicked.connect(self.draw)
        canvas = iface.mapCanvas()
        # Methods, not lambdas, so that Qt disconnects them with the panel.
        canvas.extentsChanged.connect(self._view_changed)
        canvas.destinationCrsChanged.connect(self._view_changed)
        canvas.selectionChanged.connect(self._selection_changed)
        canvas.currentLayerChanged.connect(self._selection_changed)

    def choose(self, kind: str) -> None:
        """Chooses a kind of area."""
        self.kind.setCurrentIndex(self.kind.findData(kind))

    def area(self, before: QgsRasterLayer, after: QgsRasterLayer) -> AreaOfInterest:
        """The chosen area of a pair.

        Raises:
            LinkError: If nothing is drawn or selected, or the area lies outside the pair.
        """
        shared, crs = shared_extent(before, after), before.crs()
        kind = self.kind.currentData()
        if kind == OVERLAP:
            return AreaOfInterest(None, shared, crs)
        area = area_of_interest(*self._geometry(kind), shared, crs)
        return AreaOfInterest(aoi_parameter(area, crs), area.boundingBox().intersect(shared), crs)

    def place(self) -> str:
        """The chosen area as the worker takes it, of no pair.

        Raises:
            LinkError: If nothing is drawn or selected.
        """
        return aoi_parameter(*self._geometry(self.kind.currentData()))

    def draw(self) -> None:
        """Lets the user draw a rectangle on the map."""
        self._iface.mapCanvas().setMapTool(self.tool)

    def set_drawn(self, rectangle: QgsRectangle) -> None:
        """Uses a rectangle in the map's CRS."""
        canvas = self._iface.mapCanvas()
        canvas.unsetMapTool(self.tool)
        if rectangle.isEmpty():
            return
        self._drawn = QgsRectangle(rectangle)
        self._drawn_crs = canvas.mapSettings().destinationCrs()
        self._show_drawn()
        self.changed.emit()

    def clear(self) -> None:
        """Removes the drawn rectangle from the map."""
        if self._band is not None:
            self._iface.mapCanvas().scene().removeItem(self._band)
            self._band = None

    def _kind_changed(self, _: int) -> None:
        is_drawn = self.kind.currentData() == DRAWN
        self._draw.setVisible(is_drawn)
        self.clear()
        if is_drawn and self._drawn is not None:
            self._show_drawn()
        elif is_drawn:
            self.draw()
        self.changed.emit()

    def _view_changed(self) -> None:
        if self.kind.currentData() == VIEW:
            self.changed.emit()

    def _selection_changed(self, layer: QgsMapLayer | None) -> None:
        # A review selects in the result; that is no choice of an area.
        is_area = layer is not None and not layer.customProperty(RESULT)
        if is_area and self.kind.currentData() == SELECTION:
            self.changed.emit()

    def _geometry(self, kind: str) -> tuple[QgsGeometry, QgsCoordinateReferenceSystem]:
        canvas = self._iface.mapCanvas()
        if kind == VIEW:
            settings = canvas.mapSettings()
            corners = [QgsPointXY(corner) for corner in settings.visiblePolygon()]
            # Qt leaves the ring open, which QGIS would make a line of.
            view = QgsGeometry.fromPolygonXY([[*corners, corners[0]]])
            return view, settings.destinationCrs()
        if kind == SELECTION:
            return self._selected_polygons()
        if self._drawn is None:
            raise LinkError(tr("No area is drawn"), tr("press Draw and drag a rectangle"))
        return QgsGeometry.fromRect(self._drawn), self._drawn_crs

    def _selected_polygons(self) -> tuple[QgsGeometry, QgsCoordinateReferenceSystem]:
        layer = self._iface.activeLayer()
        is_polygons = (
            isinstance(layer, QgsVectorLayer)
            and layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry
        )
        if is_polygons and layer.customProperty(RESULT):
            # A run makes its result the active layer: its selection is for the review.
            raise LinkError(
                tr("The active layer is a result of geochg, not an area"),
                tr("click a polygon layer in the layer list and select polygons in it"),
            )
        if not is_polygons or not layer.selectedFeatureCount():
            raise LinkError(
                tr("No polygon is selected in the active layer"),
                tr("click a polygon layer in the layer list and select polygons in it"),
            )
        shapes = [feature.geometry() for feature in layer.getSelectedFeatures()]
        return QgsGeometry.unaryUnion(shapes), layer.crs()

    def _show_drawn(self) -> None:
        self.clear()
        kind = QgsWkbTypes.GeometryType.PolygonGeometry
        self._band = QgsRubberBand(self._iface.mapCanvas(), kind)
        self._band.setColor(QColor(215, 72, 47, 200))
        self._band.setFillColor(QColor(215, 72, 47, 30))
        self._band.setWidth(2)
        self._band.setToGeometry(QgsGeometry.fromRect(self._drawn), self._drawn_crs)
