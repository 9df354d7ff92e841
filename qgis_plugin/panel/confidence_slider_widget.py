"""The slider of the least confidence of the changes that a result shows."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QSlider, QWidget

from geochg_qgis.formatting import formatted_share
from geochg_qgis.i18n import tr
from geochg_qgis.layers.confidence_filter import confidence_filter, set_least_confidence
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.layouts import name_widget, row_layout

_FILTER_MS = 250


class ConfidenceSliderWidget(QWidget):
    """Sets the filter of a result's layer, shortly after the slider came to rest.

    Args:
        show_error: Function that shows an error to the user.
        parent: Parent widget.

    Signals:
        moved: The slider stands elsewhere; carries the least confidence in percent.
    """

    moved = pyqtSignal(int)

    def __init__(
        self, show_error: Callable[[LinkError], object], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._show_error = show_error
        self._layer: QgsVectorLayer | None = None
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, 100)
        self.least = QLabel(formatted_share(0), self)
        self._timer = single_shot_timer(self, _FILTER_MS, self._filter_layer)
        row_layout(self.slider, self.least, parent=self)
        tip = tr("Hide changes that are less sure")
        name_widget(self.slider, "GeochgLeastConfidence", tr("Least confidence"), tip)
        name_widget(self.least, "GeochgLeastConfidenceText", tr("Least confidence"), tip)
        self.slider.valueChanged.connect(self._change)

    def show_filter(self, layer: QgsVectorLayer | None) -> None:
        """Shows the filter of a layer, whoever set it."""
        if layer is not self._layer:
            self._timer.stop()
        self._layer = layer
        text = layer.subsetString() if layer is not None else ""
        self.slider.blockSignals(True)
        self.slider.setValue(confidence_filter(text).percent)
        self.slider.blockSignals(False)
        self.slider.setEnabled(layer is not None)
        self._announce()

    def close_down(self) -> None:
        """Leaves the layer's filter as it is."""
        self._timer.stop()
        self._layer = None

    def _change(self, _: int) -> None:
        self._announce()
        self._timer.start()

    def _announce(self) -> None:
        self.least.setText(formatted_share(self.slider.value() / 100))
        self.moved.emit(self.slider.value())

    def _filter_layer(self) -> None:
        if self._layer is None:
            return
        try:
            set_least_confidence(self._layer, self.slider.value())
        except LinkError as error:
            self._show_error(error)
            self.show_filter(self._layer)
