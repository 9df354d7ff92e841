"""Scenes run by the workers of a Dask cluster that is running already.

The scheduler hands out scenes and tells what came of them; pixels, models and features never pass
through it. Each worker reads the rasters by their paths, loads the model by its path once, and
writes journal, layer and record of a scene into the shared folder, so that whatever is killed, the
others or the next batch go on with what lies there.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from geochg import __version__
from geochg.batch import cluster_tasks
from geochg.batch.scene_pool import SceneProgress
from geochg.batch.scene_runner import SceneOutcome, SceneState, SceneTask
from geochg.errors import InputError, RunError
from geochg.extras import require_packages
from geochg.safety.untrusted_text import cleaned

_Client = Any
"""A `distributed.Client`, which has no types."""

_Future = Any
"""A `distributed.Future`."""

CONNECT_S = 10.0
"""Time in which the scheduler must answer."""

WORKERS_S = 10.0
"""Time in which it must have a worker."""

_SPARE_SCENES = 2
"""Scenes that wait at the workers, so that none of them has nothing to do."""

_COUNT_EVERY_S = 2.0
"""Time for which a number of workers is taken for known."""


_NOTICE_S = 3.0
"""Time in which a client notices that its scheduler is gone."""


@contextmanager
def open_cluster(address: str, folder: Path, spread_tiles: int) -> Iterator[ClusterPool]:
    """Reaches a cluster, checks its workers, and leaves it when the block ends.

    Args:
        address: Address of the scheduler, `tcp://host:port`.
        folder: Folder of the batch, which all workers must see.
        spread_tiles: Scenes of more tiles are shared among all workers.

    Raises:
        InputError: If nothing answers there, there is no worker, geochg is missing or another one
            on a worker, or a worker does not see the folder.
    """
    require_packages("cluster", "distributed")
    from distributed import Client

    with _quiet_logs():
        try:
            _ask_scheduler(address)
            client = Client(address, timeout=CONNECT_S, set_as_default=False, name="geochg-batch")
        # What lies behind a port may be anything, and answer anything.
        except Exception as error:
            raise InputError(
                f"no Dask scheduler answers at {address}: {cleaned(error) or type(error).__name__}",
                "start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
            ) from error
        pool = ClusterPool(client, address, spread_tiles)
        try:
            _check_workers(client, address)
            _check_folder(client, folder)
            yield pool
        finally:
            pool.close()


class ClusterPool:
    """The workers of a cluster; see `ScenePool`.

    Args:
        client: A client of the scheduler.
        address: Its address, for messages.
        spread_tiles: As of `open_cluster`.
    """

    def __init__(self, client: _Client, address: str, spread_tiles: int) -> None:
        self._client, self._address, self._spread_tiles = client, address, spread_tiles
        self._futures: dict[str, Any] = {}
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._topic = f"geochg-{uuid.uuid4().hex}"
        self._is_stopping = False
        self._counted_s, self._workers = 0.0, 0
        client.subscribe_topic(self._topic, self._take_event)

    def has_room(self) -> bool:
        """Whether a worker may have nothing to do soon."""
        return len(self._futures) < self._count_workers() + _SPARE_SCENES

    def submit(self, task: SceneTask) -> None:
        """Hands a scene to the scheduler."""
        future = self._client.submit(
            cluster_tasks.run_scene_here,
            task.to_dict(),
            self._spread_tiles,
            self._topic,
            key=f"geochg-scene-{task.scene.id}-{uuid.uuid4().hex}",
            pure=False,
        )
        self._futures[task.scene.id] = future
        future.add_done_callback(self._inbox.put)

    def messages(self, timeout_s: float) -> Iterator[SceneOutcome | SceneProgress]:
        """What came since; see `ScenePool.messages`.

        Raises:
            RunError: If the scheduler is gone.
        """
        self._refuse_gone()
        with suppress(Empty):
            message = self._inbox.get(timeout=timeout_s)
            while True:
                if isinstance(message, SceneOutcome | SceneProgress):
                    yield message
                elif (outcome := self._outcome(message)) is not None:
                    yield outcome
                message = self._inbox.get_nowait()

    def stop(self) -> None:
        """Has the workers stop at the next tile; what they have is in the shared folder.

        They see that their scenes are not wanted any more, as when this process is killed.
        """
        self._is_stopping = True
        self._client.cancel(list(self._futures.values()), force=True)
        for scene_id in list(self._futures):
            self._inbox.put(SceneOutcome(scene_id, SceneState.CANCELLED))

    def close(self) -> None:
        """Leaves the cluster, which goes on without this batch."""
        with suppress(Exception):  # a scheduler that is gone cannot be told
            self._client.close(timeout=2)

    def _take_event(self, event: tuple[float, Any]) -> None:
        """Takes what a worker tells of a scene that is spread."""
        _, content = event
        self._inbox.put(SceneProgress(content["id"], content["done"], content["total"]))

    def _outcome(self, future: _Future) -> SceneOutcome | None:
        """What came of a scene."""
        scene_id = next((name for name, handed in self._futures.items() if handed is future), None)
        if scene_id is None:
            return None
        if future.status in ("cancelled", "lost") and not self._is_stopping:
            # All are, when the connection is lost.
            self._refuse_gone(always=True)
        del self._futures[scene_id]
        if future.status == "finished":
            return self._fetched_outcome(scene_id, future)
        if future.status == "cancelled":
            return SceneOutcome(scene_id, SceneState.CANCELLED)
        reason = f"its workers failed: {cleaned(future.exception())}"
        return SceneOutcome(scene_id, SceneState.FAILED, reason)

    def _fetched_outcome(self, scene_id: str, future: _Future) -> SceneOutcome:
        """The outcome that a worker holds, which may be lost on the way."""
        try:
            return SceneOutcome.from_dict(future.result())
        # What a connection that breaks raises depends on where it breaks.
        except Exception as error:
            deadline = time.monotonic() + _NOTICE_S
            while self._client.status == "running" and time.monotonic() < deadline:
                time.sleep(0.05)
            self._refuse_gone()
            reason = f"its outcome was lost: {cleaned(error)}"
            return SceneOutcome(scene_id, SceneState.FAILED, reason)

    def _refuse_gone(self, *, always: bool = False) -> None:
        """Ends the batch where the scheduler is gone.

        Raises:
            RunError: If it is.
        """
        if always or self._client.status != "running":
            raise RunError(
                f"the scheduler at {self._address} does not answer any more",
                "start it again and give the same command: what is done is kept",
            )

    def _count_workers(self) -> int:
        now_s = time.monotonic()
        if now_s - self._counted_s > _COUNT_EVERY_S:
            self._counted_s = now_s
            try:
                self._workers = len(self._client.nthreads())
            # What a connection that breaks raises depends on where it breaks.
            except Exception:
                self._refuse_gone(always=True)
        return self._workers


def _ask_scheduler(address: str) -> None:
    """Asks a scheduler who it is: a client would wait for ever for what takes calls and is none.

    Raises:
        Exception: If no scheduler answers in time.
    """
    from distributed import rpc

    async def ask() -> None:
        scheduler = rpc(address, timeout=CONNECT_S)
        try:
            identity = await asyncio.wait_for(scheduler.identity(), CONNECT_S)
        finally:
            await scheduler.close_rpc()
        if identity.get("type") != "Scheduler":
            raise InputError(f"a {identity.get('type')} answers", "")

    # A notebook has an event loop of its own in this thread.
    with ThreadPoolExecutor(1, "geochg-cluster") as thread:
        thread.submit(asyncio.run, ask()).result()


def _check_workers(client: _Client, address: str) -> None:
    """Refuses a cluster without workers, or with another geochg.

    Raises:
        InputError: If it is one.
    """
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        raise InputError(
            f"the scheduler at {address} has no worker", f"start some with `dask worker {address}`"
        ) from error
    versions = client.get_versions(packages=["geochg"])["workers"]
    found_versions = {name: facts["packages"].get("geochg") for name, facts in versions.items()}
    others = {name: version for name, version in found_versions.items() if version != __version__}
    if others:
        name, version = sorted(others.items())[0]
        text = f"geochg {version}" if version else "no geochg"
        count = f" ({len(others)} of {len(versions)} workers differ)" if len(others) > 1 else ""
        raise InputError(
            f"the worker {name} has {text}, and this is {__version__}{count}",
            f"install geochg {__version__} with the extra cluster on each worker",
        )


def _check_folder(client: _Client, folder: Path) -> None:
    """Refuses a cluster whose workers do not see the files that this process sees.

    Raises:
        InputError: If there is one.
    """
    token = uuid.uuid4().hex
    mark = folder / f".geochg-{token}"
    try:
        mark.write_text(token, encoding="utf-8")
        answers = client.run(cluster_tasks.see_folder, str(mark), token)
    except OSError as error:
        raise InputError(
            f"cannot write into {folder}: {error.strerror or error}",
            "choose a folder you may write to",
        ) from error
    finally:
        with suppress(OSError):
            mark.unlink()
    blind = {name: reason for name, reason in answers.items() if reason}
    if blind:
        name, reason = sorted(blind.items())[0]
        raise InputError(
            f"the worker {name} does not see {folder} as this machine does: {cleaned(reason)}",
            "name a folder on a file system that all workers share under the same path",
        )


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keeps the logs of the client from the terminal; what matters is said in our own words."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logger for logger in map(logging.getLogger, names) if not logger.disabled]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False
