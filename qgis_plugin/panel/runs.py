"""Runs: begun with all they need, followed, and put on the map when done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QStandardPaths, pyqtSignal

from geochg_qgis.connection import Connection
from geochg_qgis.layers.rasters import Opener, Raster, Reader
from geochg_qgis.layers.result import (
    AFTER,
    BEFORE,
    OPTIONS,
    placing,
    ready_heatmap,
    ready_layer,
)
from geochg_qgis.layers.times import PairTimes, pair_times, set_time
from geochg_qgis.link.errors import LinkError, Refused
from geochg_qgis.link.places import free_path, has_journal, past_journals, result_path
from geochg_qgis.link.progress import Pace
from geochg_qgis.link_words import said_by_worker
from geochg_qgis.settings import remember, remembered
from geochg_qgis.tasks import WARNING, BackgroundTask, request_task, start
from geochg_qgis.turns import Turns
from geochg_qgis.words import area_in_words, tr

_UNFINISHED = "unfinished"
LAYER, HEATMAP, TIMES = "layer", "heatmap_layer", "times"
"""Where an answer holds the layers made of it, and when the pair was taken."""


@dataclass(frozen=True)
class Plan:
    """All a run needs, read from the project before it begins.

    Attributes:
        before: The earlier image.
        after: The later image.
        before_id: Of its layer.
        after_id: Of its layer.
        options: For the worker.
        output: The GeoPackage to write.
        heatmap: The raster to write, or None.
        note: What the user should know of it before it begins.
    """

    before: Raster
    after: Raster
    before_id: str
    after_id: str
    options: Mapping[str, Any]
    output: Path
    heatmap: Path | None = None
    note: str = ""

    def signature(self, opener: Opener) -> dict[str, Any]:
        """What an unfinished run must have in common with this one to be gone on with."""
        shaping = {key: value for key, value in self.options.items() if key != "resume"}
        return {
            "before": self.before.identity(opener),
            "after": self.after.identity(opener),
            "options": shaping,
            "heatmap": self.heatmap is not None,
        }

    def going_on(self, opener: Opener) -> Plan:
        """The plan, going on with the last unfinished run where that is the same one."""
        kept = json.loads(remembered(_UNFINISHED, "{}"))
        path = Path(kept.get("output", ""))
        if kept.get("signature") != self.signature(opener) or not has_journal(path):
            return self._elsewhere(self.output)
        if path.exists():
            # Someone's file lies where the unfinished run would write: neither is touched.
            return self._elsewhere(path)
        note = (
            "" if path == self.output else tr("An unfinished run is gone on with: {}").format(path)
        )
        return replace(
            self,
            output=path,
            heatmap=self._heatmap_of(path),
            options={**self.options, "resume": True},
            note=note,
        )

    def _elsewhere(self, wanted: Path) -> Plan:
        """The plan, writing where nothing lies yet, and saying so where that was not asked for."""
        free = past_journals(wanted)
        note = ""
        if wanted.exists():
            note = tr("{0} is there already: this run writes {1}").format(wanted, free.name)
        elif free != wanted:
            note = tr(
                "An unfinished run of other images or options lies at {0}: this run writes {1}"
            ).format(wanted, free.name)
        return replace(self, output=free, heatmap=self._heatmap_of(free), note=note)

    def parameters(self, task: BackgroundTask, opener: Opener) -> dict[str, Any]:
        """For the worker; takes pictures of layers that it cannot open first."""
        outputs = {"features": str(self.output)}
        if self.heatmap is not None:
            outputs["heatmap"] = str(self.heatmap)
        reader = Reader(opener, task, task.isCanceled, task.warn)
        return {
            "before": self.before.parameter(reader),
            "after": self.after.parameter(reader),
            "options": dict(self.options),
            "outputs": outputs,
        }

    def opened(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The layers made of the worker's answer; for the task's thread.

        Raises:
            LinkError: If the result cannot be opened.
        """
        times = pair_times(self.before.name, self.after.name, result)
        layer = ready_layer(self.output, _title(self.output), times)
        layer.setCustomProperty(BEFORE, self.before_id)
        layer.setCustomProperty(AFTER, self.after_id)
        layer.setCustomProperty(OPTIONS, json.dumps(dict(self.options)))
        name = tr("probability of change")
        heatmap = ready_heatmap(self.heatmap, name) if self.heatmap is not None else None
        return {LAYER: layer, HEATMAP: heatmap, TIMES: times}

    def _heatmap_of(self, output: Path) -> Path | None:
        if self.heatmap is None:
            return None
        return free_path(output.with_name(f"{output.stem}_probability.tif"))


def default_output(before: Raster, after: Raster) -> Path:
    """Beside the after image, else the before image, else the project, else in Documents.

    Raises:
        LinkError: If none of these can be written to.
    """
    home = QgsProject.instance().homePath()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    user = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.HomeLocation)
    folders = [after.folder(), before.folder(), *map(_folder, (home, documents, user))]
    path = result_path(after.name, [folder for folder in folders if folder is not None])
    if path is None:
        raise LinkError(
            tr("There is no folder to write the result to"),
            tr("name a file under More options, Save as"),
        )
    return path


class Runs(QObject):
    """The run under way, if any, and its result.

    Signals:
        begun: A run has begun.
        stood: `Standing` of the run.
        noticed: A text that matters for the result.
        greeted: What the worker says of itself.
        done: The result layer and what the worker told of it.
        failed: The `LinkError`.
        ended: After either.

    Attributes:
        turns: Steps that put the result before the user; who hears `done` may add some, which are
            taken before `ended`.
    """

    begun = pyqtSignal()
    stood = pyqtSignal(object)
    noticed = pyqtSignal(str)
    greeted = pyqtSignal(object)
    done = pyqtSignal(object, object)
    failed = pyqtSignal(object)
    ended = pyqtSignal()

    def __init__(self, connection: Connection, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._task: BackgroundTask | None = None
        self._plan: Plan | None = None
        self._project_left = False
        self.turns = Turns(self)
        QgsProject.instance().cleared.connect(self._leave_project)

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self._task is not None or self.turns.is_busy

    def begin(self, plan: Plan) -> None:
        """Begins a run."""
        plan = plan.going_on(self._connection)
        self._plan, self._project_left = plan, False
        kept = {"output": str(plan.output), "signature": plan.signature(self._connection)}
        remember(_UNFINISHED, json.dumps(kept))
        name = tr("geochg: {}").format(plan.output.stem)
        task = request_task(
            name,
            self._connection,
            "analyze",
            lambda task: plan.parameters(task, self._connection),
            then=plan.opened,
        )
        pace = Pace()
        task.told.connect(lambda event: self._hear(event, pace))
        task.answered.connect(self._finish)
        task.failed.connect(self._fail)
        self._task = start(task)
        self.begun.emit()
        if plan.note:
            self.noticed.emit(plan.note)

    def cancel(self) -> None:
        """Asks the run to stop."""
        if self._task is not None:
            self._task.cancel()

    def close_down(self) -> None:
        """Stops the run for good; its journal stays."""
        self.turns.stop()
        if self._task is not None:
            self._task.abandon()
            self._task = None

    def _hear(self, event: Mapping[str, Any], pace: Pace) -> None:
        kind = event.get("kind")
        if kind == "progress":
            standing = pace.standing(event)
            self.stood.emit(standing)
            if self._task is not None:
                self._task.setProgress(standing.percent)
        elif kind == "notice" and event.get("warning"):
            self.noticed.emit(said_by_worker(event))
        elif kind == WARNING:
            self.noticed.emit(str(event.get("message", "")))
        elif kind == "hello":
            self.greeted.emit(event)

    def _finish(self, result: Mapping[str, Any]) -> None:
        """Puts the result on the map, in steps: all at once would hold up the window."""
        plan, self._task = self._plan, None
        if plan is None:
            return
        layer = result[LAYER]
        steps = placing(layer, plan.before_id, plan.after_id, result[HEATMAP])
        self.turns.add(partial(self._in_project, step) for step in steps)
        self.turns.add(
            [
                lambda: self._in_project(partial(_set_times, plan, result[TIMES])),
                lambda: remember(_UNFINISHED, "{}"),
                lambda: self._tell(plan, layer, result),
            ]
        )

    def _in_project(self, step: Callable[[], object]) -> None:
        """Takes a step in the project of the run; when that is closed, its layers are gone."""
        if not self._project_left:
            step()

    def _tell(self, plan: Plan, layer: QgsVectorLayer, result: Mapping[str, Any]) -> None:
        if self._project_left:
            self.noticed.emit(
                tr("The project was closed during the run; the result is {}").format(plan.output)
            )
        else:
            self.done.emit(layer, result)
        self.turns.add([self.ended.emit])

    def _fail(self, error: LinkError) -> None:
        self._task = None
        # What cannot be gone on with must not stand in the way of a new run; a run that was
        # stopped, or whose worker died, has its journal still.
        was_resumed = self._plan is not None and self._plan.options.get("resume")
        if was_resumed and isinstance(error, Refused):
            remember(_UNFINISHED, "{}")
        self.failed.emit(error)
        self.ended.emit()

    def _leave_project(self) -> None:
        self._project_left = self.is_running


def result_in_words(layer: QgsVectorLayer, result: Mapping[str, Any]) -> str:
    """What was found, as a line."""
    found = result.get("features", {})
    count, area = found.get("count", layer.featureCount()), found.get("area_m2", 0)
    return tr("{0} changes on {1}: {2}").format(
        count, area_in_words(area), layer.source().partition("|")[0]
    )


def _set_times(plan: Plan, times: PairTimes | None) -> None:
    if times is None:
        return
    for layer_id, period in ((plan.before_id, times.before), (plan.after_id, times.after)):
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is not None:
            set_time(layer, period)


def _title(path: Path) -> str:
    return path.stem.replace("_", " ")


def _folder(text: str) -> Path | None:
    return Path(text) if text else None
