"""Many pairs, in this process or in several."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair, scene

T = TypeVar("T")

AHEAD = 4
"""How many pairs each worker may be ahead of the reader; memory stays flat."""


def generate(seeds: Iterable[int], options: WorldOptions, workers: int = 1) -> Iterator[WorldPair]:
    """The pairs of seeds, in their order.

    Args:
        seeds: Such as `range(1000)`; may be endless.
        options: What is drawn.
        workers: Processes; with 1 all happens in this one. They are spawned, so a script that
            asks for several must guard its main part with `if __name__ == "__main__"`.

    Yields:
        The same pairs whatever the number of workers.
    """
    yield from spread(partial(scene, options=options), seeds, workers)


def spread(work: Callable[[int], T], seeds: Iterable[int], workers: int) -> Iterator[T]:
    """What a picklable function gives for each seed, in order, a bounded number ahead."""
    if workers <= 1:
        yield from map(work, seeds)
        return
    context = multiprocessing.get_context("spawn")
    waiting = iter(seeds)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        pending: deque[Future[T]] = deque()
        try:
            pending.extend(pool.submit(work, s) for s in islice(waiting, AHEAD * workers))
            while pending:
                done = pending.popleft().result()
                pending.extend(pool.submit(work, s) for s in islice(waiting, 1))
                yield done
        finally:
            for future in pending:
                future.cancel()
