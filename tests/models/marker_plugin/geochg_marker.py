"""A change model for tests: everything it says follows from the pixels by simple rules.

The folder of this file is laid out like a place where a package is installed, entry point and all.
Whoever has it on the module search path has the model `marker`:

- in pytest: the fixture `marker_plugin` (tests/conftest.py);
- in another process: `PYTHONPATH=tests/models/marker_plugin geochg ... --model marker`.

The rules: a pixel is changed where any band differs by more than `difference` (source units) and
the pixel is valid. It is (building, appeared) where the sum over the bands rose, else
(building, disappeared). A 3x3 cell is changed where more than 5 % of its pixels are; the share is
its probability. The count is the number of connected changed areas, counted over the read window.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Self

import numpy as np

from geochg.errors import ModelError, OptionError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.options import Options
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    LAND_COVER,
    Answer,
    Caption,
    Change,
    Channel,
    Counts,
    Dialogue,
    LandCover,
    Locations,
    Outlines,
    Presence,
    Question,
    Reply,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
    Unparsed,
)

APPEARED = Channel("building", Change.APPEARED)
DISAPPEARED = Channel("building", Change.DISAPPEARED)
CHANGED_PROBABILITY = 0.9
"""Probability of a changed pixel, and of a changed tile; 0 elsewhere."""


class Location(StrEnum):
    """How `locate` is answered."""

    GRID = "grid"
    MASK = "mask"


@dataclass(frozen=True)
class MarkerOptions(Options):
    """How the model behaves, and misbehaves.

    Attributes:
        location: `mask` gives `Outlines`, `grid` gives `Locations`.
        difference: Differences up to this, in source units, are no change.
        fail_tiles: Indexes of tiles that end in a `TileFailure`.
        nonsense: Whether every answer is `Unparsed`.
        delay_s: Seconds each batch takes, for tests that interrupt.
        land_cover: Whether outlines tell land cover and what was not seen: where a building stands
            or stood as the classes say, low plants elsewhere; hidden where the first band of
            either date is above `cloud`.
        cloud: See `land_cover`.
        blind: Whether it looks at the earlier date alone: all has changed where that is bright.
        contradicted: Indexes of tiles whose presence is answered by its opposite, and nothing else.
        most_dates: Most dates of a tile; those are compared that a question's span names.
    """

    location: Location = Location.MASK
    difference: float = 10.0
    fail_tiles: tuple[int, ...] = ()
    nonsense: bool = False
    delay_s: float = 0.0
    land_cover: bool = False
    cloud: float = 250.0
    blind: bool = False
    contradicted: tuple[int, ...] = ()
    most_dates: int = 2

    def __post_init__(self) -> None:
        if self.delay_s < 0:
            raise OptionError(f"delay_s {self.delay_s}", "it must not be negative")


class MarkerModel(ChangeModel[MarkerOptions]):
    """Answers all six tasks from the pixels; see the module's text for the rules."""

    name = "marker"
    summary = "deterministic answers for tests"
    backend_capabilities = Capabilities(
        tasks=frozenset(Task), location="mask", pixels="values", bands="all"
    )

    def __init__(self, options: MarkerOptions) -> None:
        self.options = options

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            self.backend_capabilities,
            location=self.options.location.value,
            most_dates=self.options.most_dates,
        )

    @classmethod
    def load(cls, source: str, options: MarkerOptions, device: str) -> Self:
        if source:
            raise ModelError(f"marker takes no source: {source!r}", "write --model marker")
        return cls(options)

    @property
    def identity(self) -> ModelIdentity:
        settings = json.dumps(self.options.to_dict(), sort_keys=True)
        return ModelIdentity(self.name, f"sha256:{hashlib.sha256(settings.encode()).hexdigest()}")

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        time.sleep(self.options.delay_s)
        return [self._of_tile(tile, questions) for tile in tiles]

    def _of_tile(self, tile: Tile, questions: Sequence[Question]) -> TileAnswers:
        if tile.window.index in self.options.fail_tiles:
            return TileFailure(tile.window, "told to fail")
        if self.options.nonsense:
            return [Unparsed(q.task, "colourless green ideas", "nonsense") for q in questions]
        if len(tile.dates) > 2:
            assert len(tile.dates) <= self.options.most_dates
            return [
                self._of_tile(replace(tile, dates=tuple(tile.dates[n] for n in q.span)), [q])[0]
                for q in questions
            ]
        if self.options.blind:
            after = tile.before + (100 if tile.before.mean() > 127 else 0)
            tile = replace(tile, dates=(tile.before, after))
        seen = Seen.of(tile, self.options.difference)
        locate = _locations if self.options.location is Location.GRID else _outlines
        if self.options.land_cover:
            locate = partial(_covered, tile=tile, cloud=self.options.cloud)
        answers = _ANSWERS | {Task.LOCATE: locate}
        if tile.window.index in self.options.contradicted:
            answers[Task.PRESENCE] = lambda seen: Presence(not seen.changed.any())
        return [answers[q.task](seen) for q in questions]


@dataclass(frozen=True)
class Seen:
    """`(height, width)` bool masks of a tile."""

    appeared: np.ndarray
    disappeared: np.ndarray

    @classmethod
    def of(cls, tile: Tile, difference: float) -> Self:
        delta = tile.after.astype(np.float32) - tile.before.astype(np.float32)
        changed = (np.abs(delta) > difference).any(axis=0) & tile.valid
        rose = delta.sum(axis=0) > 0
        return cls(changed & rose, changed & ~rose)

    @property
    def changed(self) -> np.ndarray:
        return self.appeared | self.disappeared

    @property
    def change(self) -> Change:
        """The direction of the larger part."""
        rose, fell = np.count_nonzero(self.appeared), np.count_nonzero(self.disappeared)
        return Change.APPEARED if rose >= fell else Change.DISAPPEARED

    @property
    def objects(self) -> int:
        from scipy import ndimage

        return int(ndimage.label(self.changed)[1])


def _presence(seen: Seen) -> Presence:
    changed = bool(seen.changed.any())
    return Presence(changed, CHANGED_PROBABILITY if changed else 0.0)


def _caption(seen: Seen) -> Caption:
    if not seen.changed.any():
        return Caption("there is no difference", changed=False)
    verb = "appeared" if seen.change is Change.APPEARED else "disappeared"
    return Caption(f"{seen.objects} buildings {verb}.", changed=True)


def _counts(seen: Seen) -> Counts:
    if not seen.changed.any():
        return Counts({})
    return Counts({"building": seen.objects}, {"building": seen.change})


def _outlines(seen: Seen) -> Outlines:
    layers = np.stack([seen.appeared, seen.disappeared]).astype(np.float32)
    return Outlines((APPEARED, DISAPPEARED), layers * np.float32(CHANGED_PROBABILITY))


def _covered(seen: Seen, tile: Tile, cloud: float) -> Outlines:
    """Outlines with everything that a model may tell; a pixel in 16 is sure, the rest hangs on."""
    bare = _outlines(seen)
    plants, building = LAND_COVER.index("low plants"), LAND_COVER.index("building")
    before = np.where(seen.disappeared, building, plants).astype(np.uint8)
    after = np.where(seen.appeared, building, plants).astype(np.uint8)
    sure = np.zeros(seen.changed.shape, bool)
    rows, cols = (
        (start + np.arange(size)) % 4 == 0
        for start, size in zip(
            (tile.window.read.row_start, tile.window.read.col_start), sure.shape, strict=True
        )
    )
    sure[np.ix_(rows, cols)] = True
    change = seen.changed * np.where(sure, np.float32(CHANGED_PROBABILITY), np.float32(0.4))
    return replace(
        bare,
        change=change.astype(np.float32),
        low_threshold=0.3,
        land_cover=LandCover(before, after),
        not_seen=((tile.before[0] > cloud) | (tile.after[0] > cloud)) & tile.valid,
        calibration=((0.0, 1.0), (0.0, 0.5)),
    )


def _locations(seen: Seen) -> Locations:
    rows, cols = (np.linspace(0, size, 4).round().astype(int) for size in seen.changed.shape)
    shares = {
        cell: float(
            seen.changed[
                rows[cell.row] : rows[cell.row + 1], cols[cell.col] : cols[cell.col + 1]
            ].mean()
        )
        for cell in GRID_CELLS
    }
    cells = {cell: share for cell, share in shares.items() if share > CELL_AREA_SHARE}
    return Locations({"building": cells}, {"building": seen.change}) if cells else Locations({})


def _dialogue(seen: Seen) -> Dialogue:
    return Dialogue(_presence(seen), _counts(seen), _caption(seen).text)


def _reply(seen: Seen) -> Reply:
    return Reply(f"{np.count_nonzero(seen.changed)} pixels changed")


_ANSWERS: dict[Task, Callable[[Seen], Answer]] = {
    Task.CAPTION: _caption,
    Task.PRESENCE: _presence,
    Task.COUNT: _counts,
    Task.DIALOGUE: _dialogue,
    Task.QUESTION: _reply,
}
