"""Where the scenes of a batch are run: local processes, one a GPU, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from geochg.batch.batch_options import USUAL_JOBS, BatchOptions
from geochg.batch.local_processes import LocalProcesses
from geochg.batch.scene_pool import ScenePool
from geochg.batch.scene_runner import SceneTask
from geochg.models.devices import processors


@contextmanager
def open_pool(batch: BatchOptions, folder: Path, tasks: Sequence[SceneTask]) -> Iterator[ScenePool]:
    """Starts or reaches what runs the scenes, and ends it with the block.

    Args:
        batch: The options of the batch.
        folder: Its folder.
        tasks: The scenes that are to be run.

    Raises:
        InputError: If a cluster does not answer, or does not see the folder.
        RunError: If no process can be started.
    """
    pool: ScenePool
    if batch.cluster:
        from geochg.batch.cluster import open_cluster

        with open_cluster(batch.cluster, folder, batch.spread) as pool:
            yield pool
        return
    pool = LocalProcesses(batch.devices or ("",) * local_jobs(batch, tasks))
    try:
        yield pool
    finally:
        pool.close()


def local_jobs(batch: BatchOptions, tasks: Sequence[SceneTask]) -> int:
    """The number of local processes: never more than scenes."""
    if batch.jobs is not None:
        return min(batch.jobs, len(tasks))
    # Models from a source may be large, and there may be one GPU for all of them.
    has_source = any(":" in task.scene.options.model for task in tasks)
    return 1 if has_source else min(processors(), USUAL_JOBS, len(tasks))
