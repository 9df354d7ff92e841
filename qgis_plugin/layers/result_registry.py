"""Notices when a layer of the project becomes a result or a sample, or ceases to be one."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.layers.result_layers import RESULT
from geochg_qgis.layers.sample_layers import SAMPLE
from geochg_qgis.main_thread import single_shot_timer


class ResultRegistry(QObject):
    """Watches the vector layers of the project.

    A layer may be marked as a result after it was added: Processing styles it then, and a style
    with the mark may be loaded or pasted.

    Signals:
        changed: A layer was marked as a result or a sample, or its mark was removed.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = single_shot_timer(self, 0, self.changed)
        project = QgsProject.instance()
        project.layersAdded.connect(self._watch)
        self._watch(project.mapLayers().values())

    def _watch(self, layers: Iterable[QgsMapLayer]) -> None:
        for layer in layers:
            if isinstance(layer, QgsVectorLayer):
                layer.customPropertyChanged.connect(self._note_property)
                layer.styleLoaded.connect(self._note_style)

    def _note_property(self, name: str) -> None:
        if name in (RESULT, SAMPLE):
            self._timer.start()

    def _note_style(self, *_: object) -> None:
        self._timer.start()
