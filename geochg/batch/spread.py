"""The tiles of one large scene, answered by many processes and kept in its one journal.

Each process opens the pair, takes over what was measured before the first tile, shows the model the
tiles of the same survey, and answers the tiles it is given, as a run does that is resumed: so the
answers are those of a run on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event as Flag
from typing import Any

from geochg.batch.scene_checks import BatchScene
from geochg.batch.scene_runner import SceneRunner
from geochg.classes import CLASSES
from geochg.errors import CancelledRunError, RunError
from geochg.events import Listener, Progress, ignore
from geochg.features.tile_results import TileResult
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.pipeline.journal import Journal
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.run import Run
from geochg.pipeline.series import placed_dates, runs_of
from geochg.pipeline.tokens import TOKENS, with_spent
from geochg.records import TileFailure, TileWindow
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.read import ReadPlan

PART_TILES = 64
"""Tiles of a part: enough that sending it costs nothing beside its answers."""

PARTS_AHEAD = 2
"""Parts under way for each thread of a worker, so that none waits for the next."""

_MEASURED = ("preparation", "survey")
"""What is measured before the first tile, by its name in the journal."""


@dataclass(frozen=True)
class ScenePart:
    """Some tiles of a scene, to be answered anywhere.

    Attributes:
        scene: The scene.
        measured: What was measured before its first tile.
        indices: Indexes of the tiles in the layout.
    """

    scene: BatchScene
    measured: Mapping[str, Mapping[str, Any]]
    indices: tuple[int, ...]


@dataclass(frozen=True)
class AnsweredPart:
    """What came of a part.

    Attributes:
        results: The tiles that were part.
        skipped: Tiles without data.
        failures: Tiles that failed.
        spent: Tokens that a server counted for them.
    """

    results: Sequence[TileResult]
    skipped: Sequence[TileWindow]
    failures: Sequence[TileFailure]
    spent: Mapping[str, int]


SendParts = Callable[[Iterator[ScenePart], int], Iterator[AnsweredPart]]
"""Has parts answered side by side; the number is that of parts under way for each thread."""


def spread_answers(
    run: Run,
    journal: Journal,
    *,
    runner: SceneRunner,
    scene: BatchScene,
    least_tiles: int,
    send: SendParts,
    tell: Listener,
) -> list[TileFailure]:
    """Answers the tiles of a run; those of a large one are spread.

    Args:
        run: The run.
        journal: Its journal.
        runner: Runs scenes in this process.
        scene: The scene of the run.
        least_tiles: Runs of more tiles are spread.
        send: Sends parts to other processes.
        tell: Told of the progress of a run that is spread.

    Raises:
        CancelledRunError: If it was cancelled.
        GeochgError: As `Run.answer_tiles` does.
    """
    if len(run.layout) <= least_tiles or type(run) is not Run:
        return runner.answer_tiles(run, journal)
    finished = journal.finished_tiles()
    failures: list[TileFailure] = []
    if len(finished) == len(run.layout):
        return failures
    with runner.model_lock:
        runner.surveyed = run
        run.measure(journal)
    measured = {name: value for name in _MEASURED if (value := journal.measurement(name))}
    waiting = (window.index for window in run.layout if window.index not in finished)
    done_count = len(finished)
    parts = (ScenePart(scene, measured, indices) for indices in _portions(waiting))
    for part in send(parts, PARTS_AHEAD):
        journal.add(part.results, part.skipped, with_spent(journal, part.spent))
        failures += part.failures
        done_count += len(part.results) + len(part.skipped) + len(part.failures)
        tell(Progress("tiles", done_count, len(run.layout)))
        if run.cancel.is_set():
            raise CancelledRunError("cancelled", "give the same command again to go on")
    if done_count != len(run.layout):
        raise RunError(
            f"{len(run.layout) - done_count} tiles came back from no worker",
            "give the same command again: what is done is kept",
        )
    return failures


def _portions(indices: Iterator[int]) -> Iterator[tuple[int, ...]]:
    while portion := tuple(islice(indices, PART_TILES)):
        yield portion


@dataclass(frozen=True)
class _OpenScene:
    """A scene whose parts are answered here."""

    scene: BatchScene
    measured: Mapping[str, Any]
    run: Run
    plan: ReadPlan
    model: ChangeModel


class SpreadScenes:
    """Answers parts of scenes in this process; the scene of the last part stays open.

    Args:
        runner: Runs scenes in this process; its model is used for parts too.
    """

    def __init__(self, runner: SceneRunner) -> None:
        self._runner = runner
        self._open: _OpenScene | None = None

    def answer(self, part: ScenePart, cancel: Flag) -> AnsweredPart:
        """Answers a part.

        Args:
            part: The tiles.
            cancel: Once it is set, it stops at the next tile.

        Raises:
            GeochgError: As `Run.answer_tiles` does.
        """
        with self._runner.model_lock, gdal_settings():
            scene = self._open_scene_of(part, cancel)
            run = Run(**{**_fields(scene.run), "cancel": cancel})
            with Journal.begin(None, run.layout, {}, resume=False, classes=CLASSES) as journal:
                windows = (run.layout[index] for index in part.indices)
                failures = run.answer_windows(scene.plan, windows, journal)
                return AnsweredPart(
                    list(journal.results()),
                    journal.skipped_tiles(),
                    failures,
                    journal.measurement(TOKENS) or {},
                )

    def _open_scene_of(self, part: ScenePart, cancel: Flag) -> _OpenScene:
        """The scene of a part; its model has surveyed it last of all."""
        open_scene = self._open
        model = self._runner.model(part.scene.options)
        if (
            open_scene is not None
            and (open_scene.scene, open_scene.measured) == (part.scene, part.measured)
            and open_scene.model is model
            and self._runner.surveyed is open_scene
        ):
            return open_scene
        scene = _open_scene(part, model, cancel)
        self._open = self._runner.surveyed = scene
        return scene


def _open_scene(part: ScenePart, model: ChangeModel, cancel: Flag) -> _OpenScene:
    """Opens the pair of a part, and shows its model the tiles of the survey."""
    options: AnalyzeOptions = part.scene.options
    series = placed_dates((part.scene.before, part.scene.after), options, None)
    (run,) = runs_of(series, options, Outputs(), model, ignore, cancel)
    with Journal.begin(None, run.layout, {}, resume=False) as journal:
        for name, value in part.measured.items():
            journal.keep_measured(name, value)
        plan = run.measure(journal)
    return _OpenScene(part.scene, part.measured, run, plan, model)


def _fields(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__dataclass_fields__}
