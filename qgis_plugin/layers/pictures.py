"""Pictures of layers that the worker cannot open: taken once, kept while QGIS runs."""

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

from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.words import tr

MOST_PIXELS = 4096
"""Side of the largest picture."""

MOST_PICTURES = 12
"""Kept at once, besides those in use; the largest takes about 70 MB."""

_POLL_S = 0.2


@dataclass(frozen=True)
class Picture:
    """A picture that may be taken of a layer.

    Attributes:
        name: The layer's.
        source: What the layer shows: provider and address.
        pipe: Its data, for a thread of its own.
        extent: The area, in `crs`.
        crs: The layer's.
        width_px: Columns.
        height_px: Rows.
        is_coarse: Whether the layer has more pixels there.
        context: How coordinates are moved.
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
        """The same for the same layer, area and resolution."""
        box = self.extent
        corners = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
        told = (self.source, self.crs.toWkt(), corners, self.width_px, self.height_px)
        return hashlib.sha256(repr(told).encode("utf-8")).hexdigest()[:16]

    @property
    def note(self) -> str:
        """What the user should know of it."""
        text = tr("{}: geochg cannot open this layer; a picture of the area is taken").format(
            self.name
        )
        if self.is_coarse:
            size = tr("at {0} x {1} pixels, coarser than it is; choose a smaller area for more")
            text += " " + size.format(self.width_px, self.height_px)
        return text


def size_px(extent: QgsRectangle, pixel: float) -> tuple[int, int, bool]:
    """Columns and rows of a picture, and whether it is coarser than its layer.

    Args:
        extent: The area.
        pixel: The layer's, in the same units.
    """
    columns, rows = (max(1, math.ceil(side / pixel)) for side in (extent.width(), extent.height()))
    factor = max(columns, rows) / MOST_PIXELS
    if factor <= 1:
        return columns, rows, False
    return max(1, round(columns / factor)), max(1, round(rows / factor)), True


@dataclass
class _Kept:
    """A picture on disk, or on its way there.

    Attributes:
        lock: Held while it is taken.
        users: For whom it must stay; forgotten with them.
    """

    lock: Lock = field(default_factory=Lock)
    users: WeakSet[object] = field(default_factory=WeakSet)


class PictureFolder:
    """The pictures of this session, in a folder that is removed with it.

    Any thread may use it.

    Attributes:
        session: Tells this session from others.
    """

    def __init__(self) -> None:
        self.session = uuid4().hex
        self._lock = Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._folder: Path | None = None
        self._removal: finalize | None = None

    def path(self, picture: Picture, user: object, is_cancelled: Callable[[], bool] = bool) -> Path:
        """A picture's file; taken unless it is there already.

        Args:
            picture: Which.
            user: For whom: the file stays at least as long as this object.
            is_cancelled: Asked while it is taken.

        Raises:
            LinkError: If it cannot be taken.
            Cancelled: If it was.
        """
        kept, path = self._entry(picture.key, user)
        with _held(kept.lock, is_cancelled):
            if not path.is_file():
                _take(picture, path, is_cancelled)
        self._drop_old()
        return path

    def clear(self) -> None:
        """Removes all of them; for when the plugin ends. When QGIS ends, they go by themselves."""
        with self._lock:
            self._kept.clear()
            self._folder = None
            if self._removal is not None:
                self._removal()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def _entry(self, key: str, user: object) -> tuple[_Kept, Path]:
        with self._lock:
            if self._folder is None:
                # In QGIS's own, which goes even where no Python is asked to, as in qgis_process.
                parent = QgsProcessingUtils.tempFolder()
                self._folder = Path(tempfile.mkdtemp(prefix="geochg_pictures_", dir=parent))
                self._removal = finalize(self, shutil.rmtree, self._folder, True)
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            kept.users.add(user)
            return kept, self._folder / f"{key}.tif"

    def _drop_old(self) -> None:
        with self._lock:
            idle = [key for key, kept in self._kept.items() if not kept.users]
            for key in idle[: max(0, len(self._kept) - MOST_PICTURES)]:
                del self._kept[key]
                if self._folder is not None:
                    _unlink(self._folder / f"{key}.tif")


PICTURES = PictureFolder()
"""Those of this QGIS, which the panel and the algorithms share."""


def _take(picture: Picture, path: Path, is_cancelled: Callable[[], bool]) -> None:
    """Takes a picture; the file is there when it is whole."""
    partial = path.with_name(f"{path.stem}.part.tif")
    writer = QgsRasterFileWriter(str(partial))
    writer.setOutputFormat("GTiff")
    feedback = QgsRasterBlockFeedback()
    with _cancelling(feedback, is_cancelled):
        done = writer.writeRaster(
            picture.pipe,
            picture.width_px,
            picture.height_px,
            picture.extent,
            picture.crs,
            picture.context,
            feedback,
        )
    if is_cancelled():
        _unlink(partial)
        raise Cancelled(tr("cancelled"))
    if int(done) != 0 or not partial.is_file():
        _unlink(partial)
        raise LinkError(
            tr("No picture could be taken of the layer {}").format(picture.name),
            tr("check that it shows on the map, or save it as GeoTIFF (Export, Save As)"),
        )
    partial.replace(path)


@contextmanager
def _held(lock: Lock, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Holds a lock that another may hold for as long as a picture takes."""
    while not lock.acquire(timeout=_POLL_S):
        if is_cancelled():
            raise Cancelled(tr("cancelled"))
    try:
        yield
    finally:
        lock.release()


def _unlink(path: Path) -> None:
    """Removes a file; one that Windows holds goes with its folder."""
    try:
        path.unlink()
    except OSError:
        return


@contextmanager
def _cancelling(
    feedback: QgsRasterBlockFeedback, is_cancelled: Callable[[], bool]
) -> Iterator[None]:
    """Cancels a feedback when asked to: QGIS looks at it in C++, where nothing of ours is asked."""
    done = Event()

    def watch() -> None:
        while not done.wait(_POLL_S):
            if is_cancelled():
                feedback.cancel()
                return

    Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
