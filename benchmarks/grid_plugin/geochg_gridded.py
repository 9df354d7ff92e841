"""The built-in model as if it could only name cells of the 3x3 grid, as most models can.

The folder of this file is laid out like a place where a package is installed; whoever has it on the
module search path has the model `gridded`. A cell counts as changed where more than 5 % of its
valid pixels are outlined, with the mean probability of those pixels. `ASKED` counts what it was
asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np

from geochg.geometry.grid_cells import grid_box
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.registry import load_model
from geochg.options import Options
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    Change,
    GridCell,
    Locations,
    Outlines,
    PixelWindow,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

ASKED: Counter[str] = Counter()
"""Calls, and tiles or enlarged cells that were shown."""


class GriddedModel(ChangeModel[Options]):
    """Answers presence and place; see the module's text for the rules."""

    name = "gridded"
    summary = "the built-in model, in cells of the 3x3 grid"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE, Task.LOCATE}),
        location="grid",
        pixels="display",
        bands="rgb",
        batch_tiles=64,
    )

    def __init__(self, outliner: ChangeModel) -> None:
        self.outliner = outliner

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        return cls(load_model("builtin", {}, device))

    @property
    def identity(self) -> ModelIdentity:
        return self.outliner.identity

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        ASKED["calls"] += 1
        ASKED["pictures"] += len(tiles)
        return [
            said
            if isinstance(said, TileFailure)
            else [
                self._located(tile, answer) if isinstance(answer, Outlines) else answer
                for answer in said
            ]
            for tile, said in zip(tiles, self.outliner.answer(tiles, questions), strict=True)
        ]

    def _located(self, tile: Tile, outlines: Outlines) -> Locations:
        layers = outlines.layers_at()
        strongest = layers.max(axis=0)
        changed = (strongest >= outlines.threshold) & tile.valid
        channel = layers.argmax(axis=0)
        cells: dict[str, dict[GridCell, float]] = {}
        weights: dict[str, Counter[Change]] = {}
        for number, (class_name, change) in enumerate(outlines.channels):
            cells.setdefault(class_name, {})
            here = changed & (channel == number)
            weights.setdefault(class_name, Counter())[change] += int(here.sum())
        whole = PixelWindow(0, changed.shape[0], 0, changed.shape[1])
        for class_name, located in cells.items():
            numbers = [n for n, c in enumerate(outlines.channels) if c.class_name == class_name]
            mine = changed & np.isin(channel, numbers)
            for cell in GRID_CELLS:
                part = grid_box(whole, cell).slices_within(whole)
                if mine[part].sum() > CELL_AREA_SHARE * tile.valid[part].sum():
                    located[cell] = float(strongest[part][mine[part]].mean())
        return Locations(
            cells, {name: max(found, key=found.__getitem__) for name, found in weights.items()}
        )
