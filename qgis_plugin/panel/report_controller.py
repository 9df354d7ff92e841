"""Makes the report of a result, beside its file, and opens it in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices

from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.image_identity import AFTER, BEFORE, source_layer
from geochg_qgis.layers.layer_source import gdal_name
from geochg_qgis.layers.result_layers import readable_source
from geochg_qgis.link.errors import LinkError
from geochg_qgis.tasks import BackgroundTask, start_listed

_MARK = b'<meta name="generator" content="geochg '
"""Stands near the beginning of every report of geochg's."""

_HEAD_BYTES = 8_192


class ReportController(QObject):
    """Asks the worker for reports, one at a time.

    Args:
        connection: Connection to the worker.
        parent: Parent object.

    Signals:
        done: A report was written; carries its path and what it says of itself, in sentences.
        failed: A report failed; carries the `LinkError`.
    """

    done = pyqtSignal(str, object)
    failed = pyqtSignal(object)

    def __init__(self, connection: Connection, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._task: BackgroundTask | None = None

    def make(self, layer: QgsVectorLayer | None) -> None:
        """Makes the report of a result, unless one is being made."""
        if self._task is not None or layer is None:
            return
        try:
            parameters = _parameters(layer)
        except LinkError as error:
            self.failed.emit(error)
            return
        has_edits = layer.isModified()
        task = BackgroundTask(tr("geochg: report"), lambda task: self._ask_worker(task, parameters))
        task.answered.connect(lambda answer: self._open(answer, has_edits=has_edits))
        task.failed.connect(self._fail)
        self._task = start_listed(task)

    def close_down(self) -> None:
        """Abandons a report that is being made."""
        if self._task is not None:
            self._task.abandon()
            self._task = None

    def _ask_worker(self, task: BackgroundTask, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        client = self._connection.client(task.isCanceled)
        return client.ask("report", parameters, is_cancelled=task.isCanceled)

    def _open(self, answer: Mapping[str, Any], *, has_edits: bool) -> None:
        self._task = None
        path, notes = str(answer["report"]), [str(note) for note in answer.get("notes", ())]
        if has_edits:
            notes.append(tr("Edits of the layer that are not saved are not in the report"))
        QDesktopServices.openUrl(QUrl.fromLocalFile(path))
        self.done.emit(path, notes)

    def _fail(self, error: LinkError) -> None:
        self._task = None
        self.failed.emit(error)


def _parameters(layer: QgsVectorLayer) -> dict[str, Any]:
    """What the worker is asked; read on the main thread, which layers belong to."""
    features = readable_source(layer)
    parameters = {"features": features, "output": str(report_path(features))}
    # The worker looks where the images were at the time of the run; the project may know better.
    for name, role in (("before", BEFORE), ("after", AFTER)):
        image = source_layer(layer, role)
        if image is not None and image.providerType() == "gdal":
            parameters[name] = gdal_name(image)
    return parameters


def report_path(features: str) -> Path:
    """A file beside a layer that is free, or holds a report already.

    Args:
        features: The layer, as `FILE|layername=NAME`.
    """
    return free_page_path(features, "")


def free_page_path(features: str, ending: str) -> Path:
    """A file for a page beside a layer that is free, or holds a page of geochg's already.

    Args:
        features: The layer, as `FILE|layername=NAME`.
        ending: What stands behind the name of the layer's file; empty for a report.
    """
    file, _, rest = features.partition("|")
    layer = rest.partition("|")[0].partition("=")[2]
    path = Path(file)
    is_usual = layer in ("", "changes", "sample", path.stem)
    stem = path.stem if is_usual else f"{path.stem}_{''.join(filter(str.isalnum, layer))}"
    others = ending or "_report"
    endings = [ending, others, *(f"{others}{number}" for number in range(2, 100))]
    candidates = [path.with_name(f"{stem}{suffix}.html") for suffix in endings]
    return next(filter(_may_be_written, candidates), candidates[0])


def _may_be_written(path: Path) -> bool:
    """Whether nothing lies there but a report of geochg's."""
    if not path.exists():
        return True
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD_BYTES)
    except OSError:
        return False
