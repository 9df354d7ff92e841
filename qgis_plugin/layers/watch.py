"""Tells when another program, or another layer, writes to a result's file."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProviderRegistry, QgsVectorLayer
from qgis.PyQt.QtCore import QFileSystemWatcher, QObject, QTimer, pyqtSignal

_CALM_MS = 400
"""Time after the last write until it is told: a write is many."""


class FileWatch(QObject):
    """Watches the file of one layer.

    Signals:
        changed: It was written to.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._files: list[Path] = []
        self._state: list[tuple[int, int]] = []
        self._watcher = QFileSystemWatcher(self)
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self._compare)
        self._watcher.fileChanged.connect(self._stir)
        self._watcher.directoryChanged.connect(self._stir)

    def watch(self, layer: QgsVectorLayer | None) -> None:
        """Watches a layer's file, and no other any more; layers without one are never told of."""
        former = self._watcher.files() + self._watcher.directories()
        if former:
            self._watcher.removePaths(former)
        self._calm.stop()
        self._files = _files_of(layer) if layer is not None else []
        self._state = _state_of(self._files)
        if self._files:
            # The folder tells of files that come, or are put in another's place.
            self._watcher.addPath(str(self._files[0].parent))
            self._add_missing()

    def _stir(self, _: str) -> None:
        self._add_missing()
        self._calm.start()

    def _compare(self) -> None:
        state = _state_of(self._files)
        if state != self._state:
            self._state = state
            self.changed.emit()

    def _add_missing(self) -> None:
        known = set(self._watcher.files())
        new = [str(each) for each in self._files if str(each) not in known and each.exists()]
        if new:
            self._watcher.addPaths(new)


def _files_of(layer: QgsVectorLayer) -> list[Path]:
    """The file behind a layer, and the one SQLite writes to before it."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    path = Path(str(parts.get("path") or ""))
    if not path.is_absolute() or not path.is_file():
        return []
    return [path, path.with_name(f"{path.name}-wal")]


def _state_of(files: list[Path]) -> list[tuple[int, int]]:
    """Time and size of each; an empty one, as mere reading makes, is as good as none."""
    return [_stamp(path) for path in files]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return (found.st_mtime_ns, found.st_size) if found.st_size else (0, 0)
