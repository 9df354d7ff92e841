"""Unfinished runs, kept beside their journals, in the project and in the settings.

What is beside the journal says all of a run; the project and the settings only say where it is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.i18n import tr
from geochg_qgis.layers.image_identity import ImageIdentity, images_in_project
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import JOURNAL, has_journal
from geochg_qgis.settings import store_setting, stored_setting

RECORD = f"{JOURNAL}.json"
"""Suffix of the file that keeps the options of an unfinished run, beside its journal."""

_WAITING = "waiting"
_SETTING, _SCOPE, _KEY = "unfinished", "geochg", "unfinished"
_MOST_KNOWN = 100
_DATABASE_SUFFIXES = ("", "-wal", "-shm", "-journal")


class RunRecords(QObject):
    """Tells when the records of runs change.

    Signals:
        changed: A run was recorded, forgotten, begun or ended, on whatever thread.
    """

    changed = pyqtSignal()


RECORDS = RunRecords()

_active_outputs: set[Path] = set()
"""Outputs of the runs that this QGIS runs now, which none can go on with meanwhile."""


@dataclass(frozen=True)
class InterruptedRun:
    """A run that was begun and has a journal.

    Attributes:
        output: Path of the layer that it writes.
        heatmap: Path of the heatmap that it writes, too; None for none.
        may_exist: Whether its output was there when it began: it adds to that, or replaces it.
        is_exported: Whether an image was exported for the worker, which lasts for a session only.
        images: How its two images are known again, the earlier first.
        rasters: For each image GDAL's name and the CRS it is taken in, as the worker opens it; an
            export and the session it lasts for where the worker does not open the image.
        options: Options of the worker.
        folder: Folder that files in the options start from.
        begin_time: Time when it began, as ISO text; empty for one that still waits.
    """

    output: Path
    heatmap: Path | None
    may_exist: bool
    is_exported: bool
    images: tuple[ImageIdentity, ImageIdentity]
    rasters: tuple[list[str], list[str]]
    options: Mapping[str, Any]
    folder: str
    begin_time: str

    @property
    def signature(self) -> tuple[Any, ...]:
        """What another run must have in common with it to go on with its journal."""
        return (*self.rasters, dict(self.options), self.heatmap is not None)

    @property
    def title(self) -> str:
        """What it is, for the user."""
        names = " → ".join(image.name for image in self.images)
        begin_time = self.begin_time.replace("T", " ")[:16]
        model = self.options.get("model", "")
        if not self.is_begun:
            return tr("{0}: {1}, {2}, not begun").format(self.output.name, names, model)
        return tr("{0}: {1}, {2}, begun {3}").format(self.output.name, names, model, begin_time)

    @property
    def is_begun(self) -> bool:
        """Whether anything of it may be done."""
        return bool(self.begin_time)

    def record(self, *, in_project: bool = True) -> None:
        """Writes it beside its journal, and where it is into the project and the settings.

        Args:
            in_project: Whether the project is told; on the main thread only.

        Raises:
            LinkError: If the folder of the output cannot be written to.
        """
        text = json.dumps(self._values(), ensure_ascii=False, indent=1)
        try:
            _record_path(self.output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise LinkError(
                tr("{0} cannot be written: {1}").format(self.output, error.strerror),
                tr("choose another folder under Save as"),
            ) from error
        if in_project:
            _store_in_project([*_outputs_in_project(), self.output])
        _store_in_settings([*_outputs_in_settings(), self.output])
        RECORDS.changed.emit()

    @classmethod
    def read(cls, output: Path) -> InterruptedRun | None:
        """The run that is recorded beside the journal of an output; None where there is none."""
        if not has_journal(output):
            return None
        try:
            text = _record_path(output).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        return cls._from_text(text, output)

    @classmethod
    def _from_text(cls, text: str, output: Path) -> InterruptedRun | None:
        try:
            values = json.loads(text)
            before, after = map(ImageIdentity.from_text, values["images"])
            first, second = ([str(text) for text in raster] for raster in values["rasters"])
            options, folder, begin_time = values["options"], values["folder"], values["begin_time"]
            heatmap = output.parent / values["heatmap"] if values["heatmap"] else None
            flags = bool(values["may_exist"]), bool(values["is_exported"])
        # Anyone may have written it.
        except (ValueError, KeyError, TypeError):
            return None
        is_whole = (
            isinstance(options, dict) and isinstance(folder, str) and isinstance(begin_time, str)
        )
        if before is None or after is None or not is_whole:
            return None
        images, rasters = (before, after), (first, second)
        return cls(output, heatmap, *flags, images, rasters, options, folder, begin_time)

    def _values(self) -> dict[str, Any]:
        """The run as plain values."""
        return {
            "output": str(self.output),
            "heatmap": self._heatmap_text(),
            "may_exist": self.may_exist,
            "is_exported": self.is_exported,
            "images": [image.to_text() for image in self.images],
            "rasters": list(self.rasters),
            "options": dict(self.options),
            "folder": self.folder,
            "begin_time": self.begin_time,
        }

    def _heatmap_text(self) -> str:
        """The heatmap's path; its name where it lies beside the output, so that both may move."""
        if self.heatmap is None:
            return ""
        is_beside = self.heatmap.parent == self.output.parent
        return self.heatmap.name if is_beside else str(self.heatmap)


def time_now() -> str:
    """The time as ISO text, in whole seconds."""
    return datetime.now().isoformat(timespec="seconds")


def interrupted_runs() -> list[InterruptedRun]:
    """The runs known to the project or the settings, or beside its images, the latest first.

    Those that this QGIS runs now are left out.
    """
    outputs = (output for output in dict.fromkeys(_known_outputs()) if not is_active(output))
    runs = map(InterruptedRun.read, outputs)
    listed_runs = [run for run in runs if run is not None]
    return sorted(listed_runs, key=lambda run: run.begin_time, reverse=True)


def store_waiting(runs: Iterable[InterruptedRun], former: Iterable[InterruptedRun] = ()) -> None:
    """Keeps the runs that wait in the settings, for when QGIS is closed or crashes.

    Args:
        runs: The runs that wait in this QGIS.
        former: Those that it kept last; what another QGIS has kept beside them stays.
    """
    own_runs = list(runs)
    own_outputs = {run.output for run in (*former, *own_runs)}
    others = [run for run in waiting_before() if run.output not in own_outputs]
    values = [run._values() for run in (*others, *own_runs)]
    store_setting(_WAITING, json.dumps(values[:_MOST_KNOWN]))


def waiting_before() -> list[InterruptedRun]:
    """The runs that waited when QGIS was closed, in their order."""
    try:
        values = json.loads(stored_setting(_WAITING, "[]"))
        pairs = [(json.dumps(entry), Path(entry["output"])) for entry in values]
    except (ValueError, KeyError, TypeError):
        return []
    runs = [InterruptedRun._from_text(text, output) for text, output in pairs]
    return [run for run in runs if run is not None]


def is_active(output: Path) -> bool:
    """Whether this QGIS runs a run with an output now."""
    return output.resolve() in _active_outputs


@contextmanager
def active_run(output: Path) -> Iterator[None]:
    """Notes that a run with an output runs now, until the block ends."""
    begin_active(output)
    try:
        yield
    finally:
        end_active(output)


def begin_active(output: Path) -> None:
    """Notes that a run with an output runs now."""
    _active_outputs.add(output.resolve())
    RECORDS.changed.emit()


def end_active(output: Path) -> None:
    """Notes that a run with an output runs no more."""
    _active_outputs.discard(output.resolve())
    RECORDS.changed.emit()


def forget_run(output: Path, *, in_project: bool = True) -> None:
    """Removes the records of a run; its journal, where there is one, stays.

    Args:
        output: Output of the run.
        in_project: Whether the project is told; on the main thread only.
    """
    for path in (output, output.resolve()):
        if in_project:
            _store_in_project([other for other in _outputs_in_project() if other != path])
        _store_in_settings([other for other in _outputs_in_settings() if other != path])
    _unlink(_record_path(output))
    RECORDS.changed.emit()


def discard_run(output: Path) -> None:
    """Removes a run with its journal, so that it cannot be gone on with.

    Raises:
        LinkError: If the journal cannot be removed, or a run uses it.
    """
    journal = output.with_name(output.name + JOURNAL)
    is_in_use = _is_in_use(journal)
    if not is_in_use:
        for suffix in _DATABASE_SUFFIXES:
            _unlink(journal.with_name(journal.name + suffix))
    if is_in_use or journal.exists():
        raise LinkError(
            tr("{} cannot be removed").format(journal),
            tr("check that no run uses it, and its permissions"),
        )
    forget_run(output)


def _record_path(output: Path) -> Path:
    return output.with_name(output.name + RECORD)


def _known_outputs() -> Iterator[Path]:
    yield from _outputs_in_project()
    yield from _outputs_in_settings()
    folders = {Path(QgsProject.instance().homePath() or "/nowhere")}
    folders |= {Path(layer.source()).parent for layer in images_in_project()}
    for folder in sorted(folders):
        if folder.is_absolute() and folder.is_dir():
            for record in folder.glob(f"*{RECORD}"):
                yield record.with_name(record.name[: -len(RECORD)])


def _outputs_in_project() -> list[Path]:
    """Outputs that the project names; relative to it, so that both may be moved."""
    project = QgsProject.instance()
    texts, _ = project.readListEntry(_SCOPE, _KEY)
    return [Path(project.readPath(text)) for text in texts]


def _store_in_project(outputs: list[Path]) -> None:
    if outputs == _outputs_in_project():
        return
    project = QgsProject.instance()
    texts = [project.writePath(str(output)) for output in dict.fromkeys(outputs)]
    project.writeEntry(_SCOPE, _KEY, texts)


def _outputs_in_settings() -> list[Path]:
    try:
        texts = json.loads(stored_setting(_SETTING, "[]"))
    except ValueError:
        return []
    return (
        [Path(text) for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
    )


def _store_in_settings(outputs: list[Path]) -> None:
    texts = [str(output) for output in dict.fromkeys(outputs)]
    store_setting(_SETTING, json.dumps(texts[-_MOST_KNOWN:]))


def _is_in_use(journal: Path) -> bool:
    """Whether a run of another QGIS, of `qgis_process` or of the command line holds a journal."""
    address = f"{journal.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=0)) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return "locked" in str(error)
    return False


def _unlink(path: Path) -> None:
    """Removes a file; one that is gone, or that Windows has open, is left."""
    try:
        path.unlink()
    except OSError:
        return
