"""One scene, run in this process: its layer and its record are written, or it is told why not."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Event as Flag
from threading import RLock
from typing import Any, Self

from geochg.batch.scene_checks import BatchScene
from geochg.batch.scene_records import (
    ScenePaths,
    SceneRecord,
    asked_facts,
    finished_record,
    option_files,
    write_record,
)
from geochg.errors import CancelledRunError, GeochgError, ModelError, OptionError
from geochg.events import Event, Listener, Notice
from geochg.extras import extras_named
from geochg.features.zones import ZonesElsewhereError
from geochg.files.same_run import AnotherRunError
from geochg.files.sidecars import file_states
from geochg.models.base import ChangeModel
from geochg.models.loading import load_configured_model, model_key
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import ChangeResult, analyze_series
from geochg.pipeline.journal import Journal
from geochg.pipeline.journal_file import HeldJournalError, journal_path, remove_journal
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.run import Run
from geochg.pipeline.series import AnswerTiles
from geochg.records import TileFailure
from geochg.safety.untrusted_text import cleaned
from geochg.tasks.quantities import rounded_value


class SceneState(StrEnum):
    """What came of an attempt to run a scene."""

    DONE = "done"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class SceneTask:
    """A scene to be run, as it goes to another process.

    Attributes:
        folder: Folder of the batch.
        scene: The scene.
    """

    folder: Path
    scene: BatchScene

    def to_dict(self) -> dict[str, Any]:
        """The task as plain JSON values; of its options those that are not as usual."""
        usual = AnalyzeOptions().to_dict()
        options = {
            name: value
            for name, value in self.scene.options.to_dict().items()
            if value != usual[name]
        }
        scene = self.scene
        pair = {"id": scene.id, "before": scene.before, "after": scene.after}
        return {"folder": str(self.folder), **pair, "options": options}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` gave."""
        options = AnalyzeOptions.from_dict(values["options"])
        scene = BatchScene(values["id"], values["before"], values["after"], options)
        return cls(Path(values["folder"]), scene)


@dataclass(frozen=True)
class SceneOutcome:
    """What came of an attempt.

    Attributes:
        id: The scene.
        state: What came of it.
        reason: Why it failed, or whom it waits for.
        is_permanent: Whether another attempt would fail in the same way.
        record: What `SceneRecord.to_dict` gives, where it is done.
    """

    id: str
    state: SceneState
    reason: str = ""
    is_permanent: bool = False
    record: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The outcome as plain JSON values."""
        return {**vars(self), "state": str(self.state)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` gave."""
        return cls(**{**values, "state": SceneState(values["state"])})


class SceneRunner:
    """Runs scenes in this process, one model at a time.

    Attributes:
        model_lock: Held while a model is loaded, surveys a pair or answers: it does so for one
            scene at a time.
        surveyed: What the model surveyed last, see `geochg.batch.spread`.
    """

    def __init__(self) -> None:
        self.model_lock = RLock()
        self.surveyed: object | None = None
        self._loaded: tuple[str, ChangeModel | GeochgError] | None = None

    def run(
        self,
        task: SceneTask,
        listener: Listener,
        cancel: Flag,
        answer_tiles: AnswerTiles | None = None,
    ) -> SceneOutcome:
        """Runs a scene, or goes on with it; whatever happens is told by the outcome.

        Args:
            task: The scene.
            listener: Called with its events.
            cancel: Once it is set, the scene stops at the next tile.
            answer_tiles: How its tiles are answered; in this process where None.
        """
        scene_id = task.scene.id
        try:
            with extras_named():
                record = self._record(task, listener, cancel, answer_tiles)
        except HeldJournalError as error:
            return SceneOutcome(scene_id, SceneState.HELD, _reason(error))
        except CancelledRunError as error:
            return SceneOutcome(scene_id, SceneState.CANCELLED, _reason(error))
        except GeochgError as error:
            is_permanent = isinstance(error, OptionError | ModelError)
            return SceneOutcome(scene_id, SceneState.FAILED, _reason(error), is_permanent)
        # One scene must not take the others down.
        except Exception as error:
            reason = f"{type(error).__name__}: {cleaned(error)}"
            return SceneOutcome(scene_id, SceneState.FAILED, reason)
        return SceneOutcome(scene_id, SceneState.DONE, record=record.to_dict())

    def model(self, options: AnalyzeOptions) -> ChangeModel:
        """The model of some options; the one that was loaded last is kept.

        Raises:
            GeochgError: If it cannot be loaded, now or when it was tried before.
        """
        key = model_key(options)
        with self.model_lock:
            if self._loaded is None or self._loaded[0] != key:
                self._loaded = None  # the former one goes before the next comes
                try:
                    self._loaded = (key, load_configured_model(options))
                except (ModelError, OptionError) as error:
                    self._loaded = (key, error)
            loaded_model = self._loaded[1]
        if isinstance(loaded_model, GeochgError):
            raise loaded_model
        return loaded_model

    def answer_tiles(self, run: Run, journal: Journal) -> list[TileFailure]:
        """Answers the tiles of a run in this process; see `Run.answer_tiles`."""
        with self.model_lock:
            self.surveyed = run
            return run.answer_tiles(journal)

    def _record(
        self,
        task: SceneTask,
        listener: Listener,
        cancel: Flag,
        answer_tiles: AnswerTiles | None,
    ) -> SceneRecord:
        scene = task.scene
        # Another process may have finished it since it was handed out.
        if record := finished_record(task.folder, scene):
            return record
        paths = ScenePaths.of(task.folder, scene.id)
        # A record of other options must never stand beside the layer that is made now.
        paths.record.unlink(missing_ok=True)
        start_s = time.monotonic()
        warnings = _Warnings(listener)
        analysis = _Analysis(self, scene, warnings, cancel, answer_tiles)
        try:
            result = analysis.result(paths)
        except AnotherRunError:
            # What is left of a run with other options or inputs is of no use to this one.
            remove_journal(journal_path(paths.layer))
            result = analysis.result(paths)
        seconds = round(time.monotonic() - start_s, 2)
        states = analysis.input_states
        record = _record_of(scene, result, states, paths.layer, warnings.messages, seconds)
        write_record(paths.record, record)
        return record


@dataclass
class _Analysis:
    """The analysis of a scene, which notes the state of its files before they are read."""

    runner: SceneRunner
    scene: BatchScene
    listener: Listener
    cancel: Flag
    answer_tiles: AnswerTiles | None
    input_states: list[dict[str, Any]] | None = None

    def result(self, paths: ScenePaths) -> ChangeResult:
        """Runs it; without zones where none lies on the scene."""
        options = replace(self.scene.options, resume=True)
        try:
            return self._result(paths, options)
        except ZonesElsewhereError:
            text = "none of the zones lies on this scene"
            self.listener(Notice(text, warning=True))
            return self._result(paths, replace(options, zones="", zone_name=""))

    def _result(self, paths: ScenePaths, options: AnalyzeOptions) -> ChangeResult:
        return analyze_series(
            (self.scene.before, self.scene.after),
            options,
            outputs=Outputs(paths.layer, zones_table=paths.zones if options.zones else None),
            listener=self.listener,
            cancel=self.cancel,
            model=self.runner.model(options),
            answer_tiles=self._answer_tiles,
        )

    def _answer_tiles(self, run: Run, journal: Journal) -> list[TileFailure]:
        self.input_states = file_states([*run.pair.files(), *option_files(self.scene.options)])
        if self.answer_tiles is not None:
            return self.answer_tiles(run, journal)
        return self.runner.answer_tiles(run, journal)


class _Warnings:
    """Passes events on, and keeps what was warned of."""

    def __init__(self, listener: Listener) -> None:
        self.messages: list[str] = []
        self._listener = listener

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice) and event.warning:
            self.messages.append(event.message)
        self._listener(event)


def _record_of(
    scene: BatchScene,
    result: ChangeResult,
    input_states: list[dict[str, Any]] | None,
    layer: Path,
    warnings: list[str],
    seconds: float,
) -> SceneRecord:
    totals = result.layer.totals()
    return SceneRecord(
        asked=asked_facts(scene),
        files=input_states or [],
        layer=file_states([layer])[0],
        crs=result.metadata["grid"]["crs"],
        features=sum(total.features for total in totals),
        area_m2=rounded_value(sum(total.area_m2 for total in totals), 1),
        tiles=result.metadata["tiles"],
        caption=result.metadata["caption"],
        has_zones=result.zones is not None,
        warnings=warnings,
        seconds=seconds,
        host=socket.gethostname(),
    )


def _reason(error: GeochgError) -> str:
    """What went wrong and what to do, in one line."""
    return ": ".join(filter(None, (cleaned(error.message), cleaned(error.hint))))
