"""Drawn pairs of seeds that no training or calibration has seen, and what a model says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scores import difference

from geochg.datasets.world.generate import generate
from geochg.datasets.world.kinds import CLASS_NAMES
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair
from geochg.models.base import ChangeModel
from geochg.records import (
    Answer,
    Counts,
    Outlines,
    PairFacts,
    PixelWindow,
    Presence,
    Task,
    Tile,
    TileFailure,
    TileWindow,
)
from geochg.tasks import ask

FIRST_SEED = 20_000_000
"""Training begins at 0, calibration at 10,000,000."""

FAMILIES: dict[str, dict[str, Any]] = {
    "0.4 to 0.7 m": {"gsd_min_m": 0.4, "gsd_max_m": 0.7, "coarse_share": 0.0, "real_share": 0.0},
    "1 to 2.5 m": {"gsd_min_m": 1.0, "gsd_max_m": 2.5, "coarse_share": 0.0, "real_share": 0.0},
    "10 m": {"coarse_share": 1.0, "real_share": 0.0},
    "real textures": {"real_share": 1.0},
}
"""Options of each family over those that all share."""

BATCH = 8
COUNTED = ("building", "road")
_TASKS = (Task.PRESENCE, Task.LOCATE, Task.COUNT)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is true of a pair and what was said of it.

    Attributes:
        truth: `(height, width)` bool, changed.
        score: `(height, width)` float32, the model's highest channel probability.
        distance: `(height, width)` float32, of image differencing.
        threshold: The model's own.
        said_changed: Its presence answer; None when it has none.
        counts: True and said number by class, where the pair changed and the model counts.
        unread: Whether its count made no sense.
    """

    truth: NDArray[np.bool_]
    score: NDArray[np.float32]
    distance: NDArray[np.float32]
    threshold: float
    said_changed: bool | None
    counts: dict[str, tuple[int, int]]
    unread: bool


def seen_of(
    model: ChangeModel, family: str, data: str, pairs: int, workers: int = 1
) -> Iterator[Seen]:
    """Draws the pairs of a family and asks the model about each."""
    options = replace(WorldOptions(real_dir=data, validation=True), **FAMILIES[family])
    drawn = generate(range(FIRST_SEED, FIRST_SEED + pairs), options, workers)
    # What a survey learns holds for one pair.
    size = 1 if model.capabilities.surveys else BATCH
    while batch := list(islice(drawn, size)):
        for pair, answers in zip(batch, _asked(model, batch), strict=True):
            yield _seen(pair, answers)


def _asked(model: ChangeModel, pairs: Sequence[WorldPair]) -> list[dict[Task, Answer]]:
    """The answers about each pair by task."""
    tiles = [_tile(model, pair) for pair in pairs]
    facts = PairFacts(("red", "green", "blue"), pairs[0].gsd_m ** 2, "uint8")
    model.survey(facts, tiles if model.capabilities.surveys else [])
    tasks = [task for task in _TASKS if task in model.capabilities.tasks]
    found = []
    for answers in model.answer(tiles, [ask(task) for task in tasks]):
        if isinstance(answers, TileFailure):
            raise SystemExit(f"the model could not answer: {answers.reason}")
        found.append(dict(zip(tasks, answers, strict=True)))
    return found


def _tile(model: ChangeModel, pair: WorldPair) -> Tile:
    height, width = pair.classes.shape
    whole = PixelWindow(0, height, 0, width)
    dtype = np.uint8 if model.capabilities.pixels == "display" else np.float32
    return Tile(
        TileWindow(0, 0, 0, whole, whole),
        pair.before.astype(dtype),
        pair.after.astype(dtype),
        np.ones((height, width), bool),
    )


def _seen(pair: WorldPair, answers: dict[Task, Answer]) -> Seen:
    outlines, presence = answers[Task.LOCATE], answers.get(Task.PRESENCE)
    if not isinstance(outlines, Outlines):
        raise SystemExit("these scores need a model that outlines what changed")
    truth, count = pair.classes > 0, answers.get(Task.COUNT)
    wanted = pair.changed and count is not None
    return Seen(
        truth=truth,
        score=outlines.probability.max(axis=0),
        distance=difference(pair.before, pair.after, np.ones_like(truth)),
        threshold=outlines.threshold,
        said_changed=presence.changed if isinstance(presence, Presence) else None,
        counts=_counts(pair, count) if wanted and isinstance(count, Counts) else {},
        unread=wanted and not isinstance(count, Counts),
    )


def _counts(pair: WorldPair, said: Counts) -> dict[str, tuple[int, int]]:
    """True and said number of each counted class, whatever the direction."""
    assert set(COUNTED) < set(CLASS_NAMES)
    true = dict.fromkeys(COUNTED, 0)
    for (class_name, _), number in pair.counts.items():
        if class_name in true:
            true[class_name] += number
    return {name: (number, said.counts.get(name, 0)) for name, number in true.items()}
