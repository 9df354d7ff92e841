"""The widget in which the two images are chosen."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import holds_place
from geochg_qgis.link.dates import guessed_pair
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.layouts import name_widget


class PairWidget(QWidget):
    """Shows two layers, which are guessed from names and dates until the user chooses.

    Signals:
        changed: Another layer was chosen.
        swapped: The layers are about to change places.
        scenes_wanted: The user wants to fetch scenes of a place and two months.
        check_wanted: The user wants to hold a layer of polygons against the later image.
    """

    changed = pyqtSignal()
    swapped = pyqtSignal()
    scenes_wanted = pyqtSignal()
    check_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.before, self.after = _layer_box(self), _layer_box(self)
        # Behind the images; the one that was chosen stays, because a check is no run of the pair.
        self.before.setAdditionalItems([tr("A layer of polygons…")])
        self._last_before = ""
        swap = QPushButton(tr("Swap"), self)
        tip = tr("Make the later image the earlier one")
        name_widget(swap, "GeochgSwap", tr("Swap"), tip)
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow(tr("&Before"), self.before)
        layout.addRow(tr("A&fter"), self.after)
        fetch = QPushButton(tr("Place and two months") + "…", self)
        tip = tr("Fetch satellite scenes of a place and two months, and run")
        name_widget(fetch, "GeochgPlace", tr("Place and two months"), tip)
        buttons = QHBoxLayout()
        buttons.addWidget(swap)
        buttons.addWidget(fetch, 1)
        layout.addRow("", buttons)
        self._is_chosen = False
        self._guess_timer = single_shot_timer(self, 0, self.guess)
        swap.clicked.connect(self._swap)
        fetch.clicked.connect(self.scenes_wanted)
        self.before.activated.connect(self._choose_before)
        self.after.activated.connect(self._keep_choice)
        for box in (self.before, self.after):
            box.layerChanged.connect(lambda _: self.changed.emit())
        self.before.layerChanged.connect(self._note_before)
        # Many layers may come and go at once.
        QgsProject.instance().layersAdded.connect(self._guess_later)
        QgsProject.instance().layersRemoved.connect(self._guess_later)
        self._note_before(self.before.currentLayer())
        self.guess()

    def layers(self) -> tuple[QgsRasterLayer | None, QgsRasterLayer | None]:
        """The layer before and the layer after."""
        return self.before.currentLayer(), self.after.currentLayer()

    def both_layers(self) -> tuple[QgsRasterLayer, QgsRasterLayer]:
        """The layer before and the layer after.

        Raises:
            LinkError: If one of them is missing.
        """
        before, after = self.layers()
        if before is None or after is None:
            raise LinkError(
                tr("The project does not have two raster layers"),
                tr("add an image before and one after"),
            )
        return before, after

    def holds(self, lon: float, lat: float) -> bool:
        """Whether the chosen layers reach to a place, given longitude and latitude in degrees."""
        layers = [layer for layer in self.layers() if layer is not None]
        return all(holds_place(layer, lon, lat) for layer in layers)

    def choose(self, before: QgsRasterLayer, after: QgsRasterLayer) -> None:
        """Chooses two layers of the project, which stay chosen."""
        self._is_chosen = True
        self.before.setLayer(before)
        self.after.setLayer(after)

    def guess(self) -> None:
        """Chooses the likeliest pair, unless the user chose one that is still in the project."""
        if self._is_chosen and all(self.layers()):
            return
        self._is_chosen = False
        layers = [self.before.layer(row) for row in range(self.before.count())]
        layers = [layer for layer in layers if layer is not None]
        pair = guessed_pair([layer.name() for layer in layers])
        if pair is not None:
            self.before.setLayer(layers[pair[0]])
            self.after.setLayer(layers[pair[1]])

    def _guess_later(self, _: object) -> None:
        self._guess_timer.start()

    def _choose_before(self, row: int) -> None:
        if self.before.layer(row) is not None:
            self._keep_choice(row)
            return
        layer = QgsProject.instance().mapLayer(self._last_before)
        if layer is not None:
            self.before.setLayer(layer)
        self.check_wanted.emit()

    def _note_before(self, layer: QgsRasterLayer | None) -> None:
        if layer is not None:
            self._last_before = layer.id()

    def _keep_choice(self, _: int) -> None:
        self._is_chosen = True

    def _swap(self) -> None:
        before, after = self.layers()
        self._is_chosen = True
        self.swapped.emit()
        self.before.setLayer(after)
        self.after.setLayer(before)


def _layer_box(parent: QWidget) -> QgsMapLayerComboBox:
    box = QgsMapLayerComboBox(parent)
    box.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
    box.setMinimumWidth(80)
    return box
