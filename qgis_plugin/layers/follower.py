"""Tells what happens to a result, whoever does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from geochg_qgis.layers.watch import FileWatch

_CALM_MS = 50
"""Edits come one feature at a time."""


class ResultFollower(QObject):
    """Follows one layer.

    Signals:
        changed: Features came, went or were written to: in the editing session, in the attribute
            table, by another program.
        filtered: Another filter is set.
        selected: Other features are selected.
    """

    changed = pyqtSignal()
    filtered = pyqtSignal()
    selected = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer: QgsVectorLayer | None = None
        self._watch = FileWatch(self)
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self.changed)
        self._watch.changed.connect(self.changed)

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The layer, until it is deleted."""
        return self._layer

    def follow(self, layer: QgsVectorLayer | None) -> None:
        """Follows a layer, and no other any more."""
        if self._layer is not None:
            for signal, slot in self._joined(self._layer):
                signal.disconnect(slot)
        self._calm.stop()
        self._layer = layer
        self._watch.watch(layer)
        if layer is not None:
            for signal, slot in self._joined(layer):
                signal.connect(slot)

    def _joined(self, layer: QgsVectorLayer) -> Iterator[tuple[Any, Any]]:
        """The layer's signals and what answers them."""
        for signal in (
            layer.featureAdded,
            layer.featuresDeleted,
            layer.attributeValueChanged,
            layer.afterRollBack,
            layer.dataChanged,
        ):
            yield signal, self._stir
        yield layer.subsetStringChanged, self._tell_filter
        yield layer.selectionChanged, self._tell_selection
        yield layer.willBeDeleted, self._let_go

    def _stir(self, *_: object) -> None:
        self._calm.start()

    def _tell_filter(self) -> None:
        self.filtered.emit()

    def _tell_selection(self, *_: object) -> None:
        self.selected.emit()

    def _let_go(self) -> None:
        # It has taken its signals with it.
        self._layer = None
        self.follow(None)
