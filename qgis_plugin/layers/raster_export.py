"""Exports of layers that the worker cannot open: written once, kept while QGIS runs."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from uuid import uuid4
from weakref import WeakSet, finalize

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsProcessingUtils,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterPipe,
    QgsRectangle,
)

from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import Cancelled, LinkError

MAX_SIDE_PX = 4096
"""Side of the largest export."""

MAX_EXPORTS = 12
"""Number of exports kept at once, besides those in use; the largest takes about 70 MB."""

_POLL_S = 0.2


@dataclass(frozen=True)
class RasterExport:
    """An export of a layer that may be written.

    Attributes:
        name: Name of the layer.
        source: Provider and address of the layer.
        pipe: Data of the layer, for a thread of its own.
        extent: Area to export, in `crs`.
        crs: CRS of the layer.
        width_px: Number of columns.
        height_px: Number of rows.
        is_coarse: Whether the layer has more pixels there.
        context: QGIS's settings for reprojection.
    """

    name: str
    source: str
    pipe: QgsRasterPipe
    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    width_px: int
    height_px: int
    is_coarse: bool
    context: QgsCoordinateTransformContext

    @property
    def key(self) -> str:
        """A hash that is the same for the same layer, area and resolution."""
        box = self.extent
        corners = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
        identity = (self.source, self.crs.toWkt(), corners, self.width_px, self.height_px)
        return hashlib.sha256(repr(identity).encode("utf-8")).hexdigest()[:16]

    @property
    def notice(self) -> str:
        """Notice for the user."""
        text = tr("{}: geochg cannot open this layer; a picture of the area is exported").format(
            self.name
        )
        if self.is_coarse:
            size = tr("at {0} x {1} pixels, coarser than it is; choose a smaller area for more")
            text += " " + size.format(self.width_px, self.height_px)
        return text


def export_size(extent: QgsRectangle, pixel: float) -> tuple[int, int, bool]:
    """Columns and rows of an export, and whether it is coarser than its layer.

    Args:
        extent: Area to export.
        pixel: Pixel size of the layer, in the same units.
    """
    columns, rows = (max(1, math.ceil(side / pixel)) for side in (extent.width(), extent.height()))
    factor = max(columns, rows) / MAX_SIDE_PX
    if factor <= 1:
        return columns, rows, False
    return max(1, round(columns / factor)), max(1, round(rows / factor)), True


@dataclass
class _ExportEntry:
    """An export on disk, or one that is being written.

    Attributes:
        lock: Lock that is held while the file is written.
        users: Objects for which the file must stay.
    """

    lock: Lock = field(default_factory=Lock)
    users: WeakSet[object] = field(default_factory=WeakSet)


class ExportFolder:
    """The exports of this session, in a folder that is removed with it.

    Any thread may use it.

    Attributes:
        session: Id of this session.
    """

    def __init__(self) -> None:
        self.session = uuid4().hex
        self._lock = Lock()
        self._entries: OrderedDict[str, _ExportEntry] = OrderedDict()
        self._folder: Path | None = None
        self._removal: finalize | None = None

    def path(
        self, export: RasterExport, user: object, is_cancelled: Callable[[], bool] = bool
    ) -> Path:
        """Path of an export, which is written unless it exists.

        Args:
            export: Export of a layer.
            user: Object for whose lifetime the file stays at least.
            is_cancelled: Function that is polled while the file is written.

        Raises:
            LinkError: If the layer cannot be exported.
            Cancelled: If the user cancelled the export.
        """
        entry, path = self._entry(export.key, user)
        with _hold_lock(entry.lock, is_cancelled):
            if not path.is_file():
                _write_export(export, path, is_cancelled)
        self._remove_old()
        return path

    def clear(self) -> None:
        """Removes all exports; for when the plugin ends. When QGIS ends, they go by themselves."""
        with self._lock:
            self._entries.clear()
            self._folder = None
            if self._removal is not None:
                self._removal()

    def __len__(self) -> int:
        """Number of exports that are kept."""
        return len(self._entries)

    def _entry(self, key: str, user: object) -> tuple[_ExportEntry, Path]:
        with self._lock:
            if self._folder is None:
                # QGIS removes its own even where no Python runs at the end, as in qgis_process.
                parent = QgsProcessingUtils.tempFolder()
                self._folder = Path(tempfile.mkdtemp(prefix="geochg_exports_", dir=parent))
                self._removal = finalize(self, shutil.rmtree, self._folder, True)
            entry = self._entries.setdefault(key, _ExportEntry())
            self._entries.move_to_end(key)
            entry.users.add(user)
            return entry, self._folder / f"{key}.tif"

    def _remove_old(self) -> None:
        with self._lock:
            idle = [key for key, entry in self._entries.items() if not entry.users]
            for key in idle[: max(0, len(self._entries) - MAX_EXPORTS)]:
                del self._entries[key]
                if self._folder is not None:
                    _unlink(self._folder / f"{key}.tif")


EXPORTS = ExportFolder()
"""The exports of this QGIS, which the panel and the algorithms share."""


def _write_export(export: RasterExport, path: Path, is_cancelled: Callable[[], bool]) -> None:
    """Writes an export beside its path and renames it when it is complete."""
    partial = path.with_name(f"{path.stem}.part.tif")
    writer = QgsRasterFileWriter(str(partial))
    writer.setOutputFormat("GTiff")
    feedback = QgsRasterBlockFeedback()
    with _forward_cancellation(feedback, is_cancelled):
        status = writer.writeRaster(
            export.pipe,
            export.width_px,
            export.height_px,
            export.extent,
            export.crs,
            export.context,
            feedback,
        )
    if is_cancelled():
        _unlink(partial)
        raise Cancelled(tr("cancelled"))
    if int(status) != 0 or not partial.is_file():
        _unlink(partial)
        raise LinkError(
            tr("The layer {} could not be exported").format(export.name),
            tr("check that it shows on the map, or save it as GeoTIFF (Export, Save As)"),
        )
    partial.replace(path)


@contextmanager
def _hold_lock(lock: Lock, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Holds a lock that another thread may hold for as long as an export takes."""
    while not lock.acquire(timeout=_POLL_S):
        if is_cancelled():
            raise Cancelled(tr("cancelled"))
    try:
        yield
    finally:
        lock.release()


def _unlink(path: Path) -> None:
    """Removes a file; one that Windows has open is removed with its folder."""
    try:
        path.unlink()
    except OSError:
        return


@contextmanager
def _forward_cancellation(
    feedback: QgsRasterBlockFeedback, is_cancelled: Callable[[], bool]
) -> Iterator[None]:
    """Cancels a feedback when the user cancels: QGIS polls only the feedback while it writes."""
    done_event = Event()

    def watch() -> None:
        while not done_event.wait(_POLL_S):
            if is_cancelled():
                feedback.cancel()
                return

    Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done_event.set()
