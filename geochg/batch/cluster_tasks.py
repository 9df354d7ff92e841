"""What the workers of a cluster run: scenes, and parts of scenes that are spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

from geochg.batch.scene_runner import SceneRunner, SceneTask
from geochg.batch.spread import ScenePart, SpreadScenes, spread_answers
from geochg.events import Event, Listener, Progress
from geochg.models.devices import limit_processors

_LOOK_EVERY_S = 0.5
"""Time after which a worker looks whether its scene is still wanted."""

_ENDING = ("closing", "closed", "failed")
"""States of a worker that is going, or has lost its scheduler."""

_WANTED = ("executing", "long-running")
"""States of a task in which somebody waits for it; see Dask's state machine of workers."""


def run_scene_here(task_values: Mapping[str, Any], spread_tiles: int, topic: str) -> dict[str, Any]:
    """Runs a scene on this worker; the tiles of a large one on all workers.

    Args:
        task_values: What `SceneTask.to_dict` gave.
        spread_tiles: Scenes of more tiles are spread.
        topic: Topic under which progress is told.

    Returns:
        What `SceneOutcome.to_dict` gives.
    """
    task = SceneTask.from_dict(task_values)
    runner = _runner()
    with _while_wanted() as cancel:
        tell = _progress_teller(topic, task.scene.id)
        answer = partial(
            spread_answers,
            runner=runner,
            scene=task.scene,
            least_tiles=spread_tiles,
            send=_send_parts,
            tell=tell,
        )
        outcome = runner.run(task, _ignore, cancel, answer)
    return outcome.to_dict()


def answer_part_here(part: ScenePart) -> Any:  # noqa: ANN401
    """Answers some tiles of a scene that another worker runs; see `SpreadScenes.answer`."""
    with _while_wanted() as cancel:
        return _spread_scenes().answer(part, cancel)


def see_folder(mark: str, token: str) -> str:
    """Why this worker does not see a file that the client wrote; empty where it does.

    Args:
        mark: Path of the file.
        token: What stands in it.
    """
    try:
        if Path(mark).read_text(encoding="utf-8") != token:
            return "another file lies there"
        probe = Path(f"{mark}-{uuid4().hex}")
        probe.touch()
        probe.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


@cache
def _runner() -> SceneRunner:
    """The runner of this worker, which keeps the model that was loaded last."""
    from distributed import get_worker

    limit_processors(max(1, get_worker().state.nthreads))
    return SceneRunner()


@cache
def _spread_scenes() -> SpreadScenes:
    return SpreadScenes(_runner())


@contextmanager
def _while_wanted() -> Iterator[Flag]:
    """Gives a flag that is set when nobody waits for the running task any more.

    So it is when the batch was cancelled or killed, or the scheduler is gone.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    cancel, ended = Flag(), Flag()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            state = worker.state.tasks.get(key)
            is_wanted = state is not None and state.state in _WANTED
            if worker.status.name in _ENDING or not is_wanted:
                cancel.set()
                return

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield cancel
    finally:
        ended.set()


def _send_parts(parts: Iterator[ScenePart], ahead: int) -> Iterator[Any]:
    """Has all workers answer parts of a scene, and gives what they answered as it comes.

    Args:
        parts: The parts.
        ahead: Most parts that are under way for each thread of a worker.
    """
    from distributed import as_completed, worker_client

    # The task leaves its thread to others while it waits for the parts.
    with worker_client(separate_thread=True) as client:
        threads = sum(client.nthreads().values())
        submit: Callable[[ScenePart], Any] = partial(
            client.submit, answer_part_here, pure=False, priority=10
        )
        waiting = as_completed([submit(part) for part in islice(parts, ahead * threads)])
        for future in waiting:
            yield future.result()
            if (part := next(parts, None)) is not None:
                waiting.add(submit(part))


def _progress_teller(topic: str, scene_id: str) -> Listener:
    """Tells the client how many tiles are finished, through the scheduler."""
    from distributed import get_worker

    worker = get_worker()

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            worker.log_event(topic, {"id": scene_id, "done": event.done, "total": event.total})

    return tell


def _ignore(event: Event) -> None:
    """Takes what nobody is told: warnings stand in the record of the scene."""
