"""Pairs of the synthetic world drawn to disk ahead of training, since drawing is the slow part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from geochg.datasets.telling.rows import rows
from geochg.datasets.world.generate import generate
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair
from geochg.errors import InputError
from geochg.training.checkpoints import write_whole, written_whole

_ARRAYS = {
    "before": (3,),
    "after": (3,),
    "classes": (),
    "directions": (),
    "land_before": (),
    "land_after": (),
}
"""Files of a folder and the axes of their arrays before height and width; all uint8."""

_CHUNK = 50
"""Pairs drawn between two notes of how far the drawing is."""


class DrawnPair(NamedTuple):
    """One pair as training takes it.

    Attributes:
        before: `(3, height, width)` uint8.
        after: As `before`.
        classes: `(height, width)` uint8, index into `kinds.CLASS_NAMES`.
        directions: `(height, width)` uint8, index into `kinds.DIRECTIONS`.
        land_before: `(height, width)` uint8, index into `land.LAND`, or `land.UNKNOWN`.
        land_after: As `land_before`.
        counts: `(class name, direction, number)` of what changed.
        turns: Questions and answers of the instruction rows, as `(task, question, answer)`.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    land_before: NDArray[np.uint8]
    land_after: NDArray[np.uint8]
    counts: list[tuple[str, str, int]]
    turns: list[tuple[str, str, str]]


@dataclass(frozen=True)
class DrawnPairs:
    """The pairs of a folder that `draw` filled, read from disk one at a time."""

    folder: Path

    def __len__(self) -> int:
        return _drawn(self.folder)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not its open arrays: a process that is spawned would get all pairs through a pipe.
        return DrawnPairs, (self.folder,)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.uint8]]:
        return {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}

    def __getitem__(self, index: int) -> DrawnPair:
        told = _said(self.folder, index // _CHUNK)[index % _CHUNK]
        return DrawnPair(
            **{name: np.array(array[index]) for name, array in self._arrays.items()},
            counts=[tuple(entry) for entry in told["counts"]],
            turns=[tuple(entry) for entry in told["turns"]],
        )


def draw(
    folder: Path,
    count: int,
    options: WorldOptions,
    *,
    first_seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DrawnPairs:
    """Draws pairs to a folder, going on where an earlier call stopped.

    Args:
        folder: Made when it is not there.
        count: Pairs wanted in all.
        options: What is drawn; the same as before when the folder is not empty.
        first_seed: Seed of the first pair; the others follow.
        workers: Processes that draw.
        progress: Told how many are drawn, of how many.

    Raises:
        InputError: If the folder holds pairs of other options or of another number.
    """
    (folder / "said").mkdir(parents=True, exist_ok=True)
    _check_same(folder, {"count": count, "first_seed": first_seed, "world": options.to_dict()})
    arrays = {
        name: _array(folder / f"{name}.npy", count, axes, options.size_px)
        for name, axes in _ARRAYS.items()
    }
    done = _drawn(folder)
    pairs = generate(range(first_seed + done, first_seed + count), options, workers)
    for start in range(done, count, _CHUNK):
        said = []
        for index in range(start, min(start + _CHUNK, count)):
            pair = next(pairs)
            for name, array in arrays.items():
                array[index] = getattr(pair, name)
            said.append({"counts": list(_counts(pair)), "turns": list(_turns(pair))})
        for array in arrays.values():
            array.flush()
        # Its being there says that the pairs are.
        write_whole(folder / "said" / f"{start // _CHUNK}.json", json.dumps(said))
        if progress is not None:
            progress(min(start + _CHUNK, count), count)
    return DrawnPairs(folder)


def _drawn(folder: Path) -> int:
    """Pairs that are whole: a chunk counts once what is said about it is written."""
    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    chunks = 0
    while (folder / "said" / f"{chunks}.json").exists():
        chunks += 1
    return int(min(chunks * _CHUNK, facts["count"]))


@lru_cache(maxsize=2048)
def _said(folder: Path, chunk: int) -> list[dict[str, Any]]:
    """Counts and turns of the pairs of a chunk; kept, since training comes back to them."""
    said: list[dict[str, Any]] = json.loads((folder / "said" / f"{chunk}.json").read_text("utf-8"))
    return said


def _check_same(folder: Path, facts: dict[str, Any]) -> None:
    file = folder / "facts.json"
    if not file.exists():
        write_whole(file, json.dumps(facts))
    elif json.loads(file.read_text("utf-8")) != json.loads(json.dumps(facts)):
        raise InputError(
            f"{folder} holds pairs that were drawn otherwise", "name another folder for these"
        )


def _array(path: Path, count: int, axes: tuple[int, ...], side_px: int) -> np.memmap[Any, Any]:
    shape = (count, *axes, side_px, side_px)
    if not path.exists():
        with written_whole(path) as aside:
            open_memmap(aside, mode="w+", dtype=np.uint8, shape=shape).flush()
    return open_memmap(path, mode="r+")


def _counts(pair: WorldPair) -> Iterator[tuple[str, str, int]]:
    for (class_name, change), number in sorted(pair.counts.items()):
        yield class_name, str(change), number


def _turns(pair: WorldPair) -> Iterator[tuple[str, str, str]]:
    """Question and answer of each row; those of a dialogue are joined into one text each."""
    from geochg.datasets.telling.rows import IMAGES
    from geochg.records import Task

    for task, row in zip(Task, rows(pair, ("", "")), strict=True):
        talk = [turn["value"].removeprefix(IMAGES) for turn in row["conversations"]]
        yield str(task), "\n".join(talk[0::2]), "\n".join(talk[1::2])
