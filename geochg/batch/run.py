"""The whole way from a list of pairs to one layer: many scenes, each with a journal of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

from geochg.batch.batch_options import BatchOptions
from geochg.batch.batch_outputs import BatchOutputs, SceneStatus, write_batch
from geochg.batch.folder_lock import hold_folder
from geochg.batch.pair_list import listed_pairs, read_pair_list
from geochg.batch.pools import open_pool
from geochg.batch.scene_checks import BatchScene, RefusedRow, checked_scenes, first_faults
from geochg.batch.scene_records import SCENES_FOLDER, SceneRecord, finished_record
from geochg.batch.scene_runner import SceneState, SceneTask
from geochg.batch.scheduling import FinishedScene, run_scenes
from geochg.errors import InputError
from geochg.events import Listener, Notice, Progress, ignore
from geochg.files.new_files import check_file_name
from geochg.models.loading import model_key
from geochg.options import AnalyzeOptions

_MOST_TOLD = 10
_MOST_NAMED = 5


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch.

    Attributes:
        outputs: The files written; those without a finished scene have no layer and no areas.
        scenes: The state of each row of the list, in its order; the refused ones are last.
        features: Number of features of all finished scenes.
        area_m2: Their area.
    """

    outputs: BatchOutputs
    scenes: tuple[SceneStatus, ...]
    features: int
    area_m2: float

    @property
    def failed(self) -> list[SceneStatus]:
        """The rows that are not finished."""
        return [scene for scene in self.scenes if scene.record is None]

    def count(self, status: str) -> int:
        """Number of rows of a status."""
        return sum(scene.status == status for scene in self.scenes)


def analyze_batch(
    pairs: str | Path | Iterable[Mapping[str, Any]],
    folder: str | Path,
    options: AnalyzeOptions | None = None,
    batch: BatchOptions | None = None,
    *,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> BatchResult:
    """Finds what changed in many pairs, and merges it into one layer.

    A scene that was finished before with the same inputs and options is not run again, and one that
    was stopped goes on: call it again with the same arguments after it was stopped, or failed.
    Scenes that fail do not keep the others from being run.

    Args:
        pairs: A list of pairs, see `read_pair_list`; or objects with `before`, `after`, and where
            wanted `id` and `options`, whose relative paths start from the folder this runs in.
        folder: Folder of the outputs, which is made if need be.
        options: Options of all scenes; those of a pair count instead.
        batch: The options of the batch itself: processes, cluster, retries.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, all scenes stop at their next tile.

    Raises:
        InputError: If the list cannot be read or no row of it can be run, or the folder cannot be
            used.
        OptionError: If an option makes no sense.
        RunError: If no scene can be run any more, or the outputs cannot be written.
        CancelledRunError: If it was cancelled; journals are kept.
    """
    options, batch = options or AnalyzeOptions(), batch or BatchOptions()
    folder = Path(folder).absolute()
    if isinstance(pairs, str | Path):
        rows, inputs = read_pair_list(Path(pairs)), [Path(pairs)]
    else:
        rows, inputs = listed_pairs(pairs, Path.cwd()), []
    scenes, refused_rows = checked_scenes(rows, options)
    if not scenes:
        raise InputError(
            f"no pair of the list can be run: {first_faults(refused_rows)}", "correct these rows"
        )
    _tell_refused(refused_rows, listener)
    _make_folder(folder)
    with hold_folder(folder, listener):
        outputs = BatchOutputs.of(folder)
        outputs.check(inputs, overwrite=options.overwrite)
        run = _BatchRun(folder, scenes, batch, listener, cancel or Flag())
        statuses = [*run.statuses(), *map(_refused_status, refused_rows)]
        listener(Progress("write", 0, 1))
        totals = write_batch(folder, statuses, overwrite=options.overwrite)
        listener(Progress("write", 1, 1))
    _tell_warnings(statuses, listener)
    return BatchResult(outputs, tuple(statuses), totals.features, totals.area_m2)


@dataclass(frozen=True)
class _BatchRun:
    """The scenes of a batch, run as far as they are not finished."""

    folder: Path
    scenes: Sequence[BatchScene]
    batch: BatchOptions
    listener: Listener
    cancel: Flag

    def statuses(self) -> Iterator[SceneStatus]:
        """Runs the scenes, and gives what came of each in the order of the list."""
        kept_records: dict[str, SceneRecord] = {}
        waiting: list[SceneTask] = []
        for scene in self.scenes:
            if record := finished_record(self.folder, scene):
                kept_records[scene.id] = record
            else:
                waiting.append(SceneTask(self.folder, scene))
        # Scenes of one model stand together, so that it is loaded once; else as in the list.
        waiting.sort(key=lambda task: model_key(task.scene.options))
        results: dict[str, FinishedScene] = {}

        def take(finished: FinishedScene) -> None:
            results[finished.outcome.id] = finished
            if finished.outcome.state is not SceneState.DONE:
                self.listener(Notice(f"{finished.outcome.id} failed: {finished.outcome.reason}"))

        if waiting:
            with open_pool(self.batch, self.folder, waiting) as pool:
                run_scenes(
                    waiting,
                    pool,
                    self.batch.retry,
                    take,
                    self.listener,
                    self.cancel,
                    finished=len(kept_records),
                    total=len(self.scenes),
                )
        for scene in self.scenes:
            yield _status(scene, kept_records.get(scene.id), results.get(scene.id))


def _status(
    scene: BatchScene, record: SceneRecord | None, finished: FinishedScene | None
) -> SceneStatus:
    status = SceneStatus(scene.id, "kept", before=scene.before, after=scene.after, record=record)
    if record is not None:
        return status
    assert finished is not None
    status = replace(status, attempts=finished.attempts)
    outcome = finished.outcome
    if outcome.record is None:
        return replace(status, status="failed", reason=outcome.reason)
    return replace(status, status="done", record=SceneRecord.from_dict(outcome.record))


def _refused_status(row: RefusedRow) -> SceneStatus:
    return SceneStatus(row.id, "refused", row.reason, place=row.place)


def _tell_refused(refused_rows: Sequence[RefusedRow], listener: Listener) -> None:
    """Names the rows that cannot be run."""
    for row in refused_rows[:_MOST_TOLD]:
        listener(Notice(f"{row.place}: {row.reason}; the other scenes go on", warning=True))
    if len(refused_rows) > _MOST_TOLD:
        text = f"{len(refused_rows) - _MOST_TOLD} more rows cannot be run; scenes.csv names them"
        listener(Notice(text, warning=True))


def _tell_warnings(statuses: Sequence[SceneStatus], listener: Listener) -> None:
    """Says what the scenes were warned of, each warning once with the scenes that have it."""
    scenes_by_warning: dict[str, list[str]] = {}
    for status in statuses:
        for message in dict.fromkeys(status.record.warnings if status.record else ()):
            scenes_by_warning.setdefault(message, []).append(status.id)
    for message, names in list(scenes_by_warning.items())[:_MOST_TOLD]:
        further = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        text = f"{', '.join(names[:_MOST_NAMED])}{further}: {message}"
        listener(Notice(text, warning=True))
    if len(scenes_by_warning) > _MOST_TOLD:
        text = f"{len(scenes_by_warning) - _MOST_TOLD} more kinds of warnings; see scenes.csv"
        listener(Notice(text, warning=True))


def _make_folder(folder: Path) -> None:
    """Makes the folder of a batch and that of its scenes.

    Raises:
        InputError: If it cannot be made.
    """
    check_file_name(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", "name the folder of the outputs")
    if not folder.parent.is_dir():
        raise InputError(f"the folder {folder.parent} does not exist", "create it first")
    try:
        (folder / SCENES_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {folder / SCENES_FOLDER}: {error.strerror or error}",
            "choose a folder you may write to",
        ) from error
