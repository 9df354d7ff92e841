"""A model for tests that tells truly what one image shows, by the values of its first band.

A label is there where a valid pixel has the value that `SHOWN` gives it; labels that are not in it
never are. The count is the number of connected areas over the read window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from geochg_marker import identity_of

from geochg.errors import ModelError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.options import Options
from geochg.records import (
    Exchange,
    Label,
    PairFacts,
    Question,
    SceneAnswers,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

SHOWN = {"building": 200, "water": 50, "vegetation": 120, "solar panels": 230}
"""The value of the first band that shows each label."""
THERE, NOT_THERE = 0.9, 0.05
"""Probability of a label that is there, and of one that is not."""


@dataclass(frozen=True)
class SceneMarkerOptions(Options):
    """How the model misbehaves.

    Attributes:
        fail_tiles: Indexes of tiles that end in a `TileFailure`.
        senseless: Labels to which the answers make no sense.
        probability: Probability of what is there; may be no number.
    """

    fail_tiles: tuple[int, ...] = ()
    senseless: tuple[str, ...] = ()
    probability: float = THERE


class SceneMarkerModel(ChangeModel[SceneMarkerOptions]):
    """Tells labels, counts and a caption of one image."""

    name = "scene_marker"
    summary = "deterministic answers about one image for tests"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE}),
        location="grid",
        pixels="values",
        bands="all",
        free_classes=True,
        fewest_dates=1,
        tasks_of_one=frozenset({Task.PRESENCE, Task.COUNT, Task.CAPTION, Task.QUESTION}),
        batch_tiles=4,
    )

    def __init__(self, options: SceneMarkerOptions) -> None:
        self.options = options

    @classmethod
    def load(cls, source: str, options: SceneMarkerOptions, device: str) -> Self:
        if source:
            raise ModelError(f"scene_marker takes no source: {source!r}", "leave it out")
        return cls(options)

    @property
    def identity(self) -> ModelIdentity:
        return identity_of(self.name, self.options)

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        raise AssertionError("only single images are described")

    def describe(self, tiles: Sequence[Tile], questions: SceneQuestions) -> list[TileAnswers]:
        return [self._of_tile(tile, questions) for tile in tiles]

    def _of_tile(self, tile: Tile, questions: SceneQuestions) -> TileAnswers:
        from scipy import ndimage

        (image,) = tile.dates
        if tile.window.index in self.options.fail_tiles:
            return TileFailure(tile.window, "told to fail")
        labels, counts = {}, {}
        for asked in questions.labels:
            here = tile.valid & (image[0] == SHOWN.get(asked.name, -1))
            labels[asked.name] = Label(
                bool(here.any()), self.options.probability if here.any() else NOT_THERE
            )
            if asked.name in self.options.senseless:
                labels[asked.name] = Label(None)
            elif here.any() and questions.count:
                counts[asked.name] = int(ndimage.label(here)[1])
        names = [name for name, label in labels.items() if label.present]
        caption = f"A tile with {len(names)} labels." if questions.caption else ""
        return [SceneAnswers(labels, counts, caption, self.options.senseless)]

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        (image,) = tile.dates
        yield f"{int(np.count_nonzero(image[0] == SHOWN['building']))} pixels of buildings"
