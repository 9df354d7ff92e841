"""Copies results that cannot be reviewed where they are, so that the copy is reviewed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsFeedback, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.i18n import tr
from geochg_qgis.layers.editable_results import ResultCopy
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.run_plan import user_folders
from geochg_qgis.tasks import BackgroundTask, start_unlisted

_LAYER = "layer"


class ReviewCopier(QObject):
    """Writes copies on a thread, and puts them on the map above what they are copies of.

    Signals:
        done: A copy is on the map; carries its layer and the path of its file.
        failed: A copy failed; carries the `LinkError`.
    """

    done = pyqtSignal(object, str)
    failed = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._task: BackgroundTask | None = None
        self._feedback = QgsFeedback()

    def copy(self, result_id: str) -> None:
        """Copies a result, unless its layer is gone or another is being copied."""
        layer = QgsProject.instance().mapLayer(result_id)
        if self._task is not None or not isinstance(layer, QgsVectorLayer):
            return
        try:
            copy = ResultCopy(layer, user_folders())
        except LinkError as error:
            self.failed.emit(error)
            return
        task = BackgroundTask(tr("geochg: copy"), lambda _: {_LAYER: copy.write(self._feedback)})
        task.answered.connect(lambda answer: self._place(answer, result_id, copy.path))
        task.failed.connect(self._fail)
        self._task = start_unlisted(task)

    def close_down(self) -> None:
        """Abandons a copy that is being made; nothing is left of it."""
        self._feedback.cancel()
        if self._task is not None:
            self._task.abandon()
            self._task = None

    def _place(self, answer: Mapping[str, Any], result_id: str, path: Path) -> None:
        self._task = None
        project, layer = QgsProject.instance(), answer[_LAYER]
        project.addMapLayer(layer, False)
        root = project.layerTreeRoot()
        node = root.findLayer(result_id)
        group = node.parent() if node is not None else root
        group.insertLayer(group.children().index(node) if node is not None else 0, layer)
        if node is not None:
            node.setItemVisibilityChecked(False)
        self.done.emit(layer, str(path))

    def _fail(self, error: LinkError) -> None:
        self._task = None
        self.failed.emit(error)
