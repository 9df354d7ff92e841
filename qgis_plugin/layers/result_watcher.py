"""Signals what happens to a result: edits, filters, selections, and writes by other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import QgsProviderRegistry, QgsVectorLayer
from qgis.PyQt.QtCore import QFileSystemWatcher, QObject, pyqtSignal

from geochg_qgis.main_thread import single_shot_timer

_EDIT_CALM_MS = 50
"""Time after the last edit until it is signalled: edits come one feature at a time."""

_WRITE_CALM_MS = 400
"""Time after the last write until it is signalled: programs write several times."""


class ResultWatcher(QObject):
    """Watches one layer.

    Signals:
        changed: Features were added, removed or edited: in the editing session, in the attribute
            table, by another program.
        filtered: Another filter was set.
        selected: Other features were selected.
    """

    changed = pyqtSignal()
    filtered = pyqtSignal()
    selected = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer: QgsVectorLayer | None = None
        self._file_watcher = FileWatcher(self)
        self._calm = single_shot_timer(self, _EDIT_CALM_MS, self.changed)
        self._file_watcher.changed.connect(self.changed)

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The watched layer, until it is deleted."""
        return self._layer

    def watch(self, layer: QgsVectorLayer | None) -> None:
        """Watches a layer in place of the former one."""
        if self._layer is not None:
            for signal, slot in self._connections(self._layer):
                signal.disconnect(slot)
        self._calm.stop()
        self._layer = layer
        self._file_watcher.watch(layer)
        if layer is not None:
            for signal, slot in self._connections(layer):
                signal.connect(slot)

    def _connections(self, layer: QgsVectorLayer) -> Iterator[tuple[Any, Any]]:
        """The layer's signals with their slots."""
        for signal in (
            layer.featureAdded,
            layer.featuresDeleted,
            layer.attributeValueChanged,
            layer.afterRollBack,
            layer.dataChanged,
        ):
            yield signal, self._signal_soon
        yield layer.subsetStringChanged, self._signal_filter
        yield layer.selectionChanged, self._signal_selection
        yield layer.willBeDeleted, self._forget_layer

    def _signal_soon(self, *_: object) -> None:
        self._calm.start()

    def _signal_filter(self) -> None:
        self.filtered.emit()

    def _signal_selection(self, *_: object) -> None:
        self.selected.emit()

    def _forget_layer(self) -> None:
        # A deleted layer has no signals to disconnect.
        self._layer = None
        self.watch(None)


class FileWatcher(QObject):
    """Watches the file of one layer.

    Signals:
        changed: The file was written to.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._files: list[Path] = []
        self._state: list[tuple[int, int]] = []
        self._watcher = QFileSystemWatcher(self)
        self._calm = single_shot_timer(self, _WRITE_CALM_MS, self._compare)
        self._watcher.fileChanged.connect(self._compare_soon)
        self._watcher.directoryChanged.connect(self._compare_soon)

    def watch(self, layer: QgsVectorLayer | None) -> None:
        """Watches a layer's file in place of the former one; some layers have none."""
        former = self._watcher.files() + self._watcher.directories()
        if former:
            self._watcher.removePaths(former)
        self._calm.stop()
        self._files = _files_of(layer) if layer is not None else []
        self._state = _state_of(self._files)
        if self._files:
            # The folder signals files that are created, or put in the place of another.
            self._watcher.addPath(str(self._files[0].parent))
            self._add_missing()

    def _compare_soon(self, _: str) -> None:
        self._add_missing()
        self._calm.start()

    def _compare(self) -> None:
        state = _state_of(self._files)
        if state != self._state:
            self._state = state
            self.changed.emit()

    def _add_missing(self) -> None:
        known_files = set(self._watcher.files())
        new = [str(path) for path in self._files if str(path) not in known_files and path.exists()]
        if new:
            self._watcher.addPaths(new)


def _files_of(layer: QgsVectorLayer) -> list[Path]:
    """The file of a layer, and its write-ahead log."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    path = Path(str(parts.get("path") or ""))
    if not path.is_absolute() or not path.is_file():
        return []
    return [path, path.with_name(f"{path.name}-wal")]


def _state_of(files: list[Path]) -> list[tuple[int, int]]:
    """Time and size of each file; an empty one, as mere reading creates, counts as none."""
    return [_stamp(path) for path in files]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return (status.st_mtime_ns, status.st_size) if status.st_size else (0, 0)
