"""A model that is asked again, by closer looks, about the cells that changed.

Each changed cell of a tile's 3x3 grid is cut out, enlarged to the size of the tile and shown to the
model again; its answers about the nine cells of that crop subdivide the cell, and so on.

- A closer look only divides a change: classes it newly names are not taken up. The direction of a
  box is that with the most probability over all looks at it.
- The probability of a box is the mean over all looks at it, where a look that does not name the
  class counts as 0, and one that names it without a probability as 1: then it is the share of the
  looks that name it. A single look without a probability is no share, and leaves none. The looks
  see the same ground, so they are pooled (the linear opinion pool, Stone 1961) and not multiplied
  as if they were independent.
- A cell in which a closer look finds nothing of a class stays whole, with the probability lowered
  by that rule, and is not looked into any further for that class. To drop it would trust the
  enlarged picture more than the one in the resolution that the model was made for; with the
  built-in model, restricted to the grid, it loses far more change than false alarms.
- A closer look that fails or makes no sense counts for nothing: the cell stays as it was.

The crop is the cell without ground around it: its nine cells then are those that are asked about,
and it is to them what a tile is to its own. With an eighth or a quarter of the side around it, a
model names outer cells for what lies beyond them; the built-in one did no better with either.

It is cut from the tile's own pixels. The grid has the resolution of the sources unless another was
asked for, so there mostly is nothing more to read; a finer `--resolution` gives a coarse grid more
detail, with all its measurements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.geometry.grid_cells import grid_box
from geochg.models.base import ChangeModel
from geochg.models.wrappers.wrapped import WrappedModel
from geochg.records import (
    GRID_CELLS,
    Box,
    Boxes,
    Change,
    Direction,
    GridCell,
    Locations,
    PixelWindow,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

LEAST_SIDE_PX = 9
"""Boxes with a shorter side are not looked into: their cells would be below three pixels."""

_ASKED = (Task.PRESENCE, Task.LOCATE)


class RefinedModel(WrappedModel):
    """Asks a model again about what changed, enlarged; gives `Boxes` in place of `Locations`.

    Args:
        model: A model that locates by the 3x3 grid.
        levels: How often each cell is divided, from 1.
        classes: Classes to look for; empty for all.
        batch_size: Crops in one call; None for as many as suit the model.
    """

    def __init__(
        self,
        model: ChangeModel,
        levels: int,
        classes: Sequence[str] = (),
        batch_size: int | None = None,
    ) -> None:
        super().__init__(model)
        self.levels = levels
        self._classes = classes
        self._batch_size = batch_size

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        rows = self.model.answer(tiles, questions)
        spots = [spot for index, row in enumerate(rows) for spot in self._cells(index, row, tiles)]
        if not spots:
            return rows
        asked_questions = [question for question in questions if question.task in _ASKED]
        for _ in range(self.levels):
            spots = list(self._divide(spots, tiles, asked_questions))
        return [_with_boxes(row, index, spots) for index, row in enumerate(rows)]

    def _cells(self, index: int, answers: TileAnswers, tiles: Sequence[Tile]) -> Iterator[_Spot]:
        """The cells of a tile that changed."""
        locations = _locations(answers)
        if locations is None:
            return
        read = tiles[index].window.read
        for cell in GRID_CELLS:
            looks = {name: (look,) for name, look in _looks(locations, cell).items()}
            if looks:
                is_wanted = not self._classes or any(name in self._classes for name in looks)
                yield _Spot(index, cell, grid_box(read, cell), looks, is_open=is_wanted)

    def _divide(
        self, spots: Sequence[_Spot], tiles: Sequence[Tile], asked_questions: Sequence[Question]
    ) -> Iterator[_Spot]:
        """The spots after one more look at those that are open."""
        divisible = [spot.can_be_divided(tiles[spot.tile_index]) for spot in spots]
        looks = self._looks(list(compress(spots, divisible)), tiles, asked_questions)
        for spot, is_divisible in zip(spots, divisible, strict=True):
            if is_divisible:
                yield from _parts(spot, tiles[spot.tile_index], next(looks))
            else:
                yield spot

    def _looks(
        self, spots: Sequence[_Spot], tiles: Sequence[Tile], asked_questions: Sequence[Question]
    ) -> Iterator[TileAnswers]:
        """The model's answers about each spot; crops are made for one call at a time."""
        size = self._batch_size or self.capabilities.tiles_at_once(max(tiles[0].valid.shape))
        for start in range(0, len(spots), size):
            part = spots[start : start + size]
            crops = [enlarged_crop(tiles[spot.tile_index], spot.box) for spot in part]
            yield from self.model.answer(crops, asked_questions)


class _Look(NamedTuple):
    """What one look at a box said of a class; see `Box`."""

    probability: float | None
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class _Spot:
    """A box of a tile, in pixels of the grid, and what all looks at it said.

    `cell` is the cell of the tile's grid that the box lies in; `looks` are by class, coarsest
    first; `is_open` tells whether a closer look is worth its while.
    """

    tile_index: int
    cell: GridCell
    box: PixelWindow
    looks: Mapping[str, tuple[_Look, ...]]
    is_open: bool = True

    def can_be_divided(self, tile: Tile) -> bool:
        """Whether there is anything to see closer."""
        wide = min(self.box.height_px, self.box.width_px) >= LEAST_SIDE_PX
        return self.is_open and wide and _has_valid(tile, self.box)


def _looks(locations: Locations, cell: GridCell) -> dict[str, _Look]:
    """What one look said of a cell, by class."""
    return {
        name: _Look(cells[cell], locations.direction(name, cell))
        for name, cells in locations.cells.items()
        if cell in cells
    }


def _parts(spot: _Spot, tile: Tile, answers: TileAnswers) -> Iterator[_Spot]:
    """The spots that a closer look makes of one."""
    if (locations := _locations(answers, if_unchanged=Locations({}))) is None:
        yield replace(spot, is_open=False)
        return
    parts = [
        (part, _looks(locations, cell))
        for cell in GRID_CELLS
        if _has_valid(tile, part := grid_box(spot.box, cell))
    ]
    lost = {
        name: (*looks, _Look(0.0))
        for name, looks in spot.looks.items()
        if not any(name in part_names for _, part_names in parts)
    }
    if lost:
        yield replace(spot, looks=lost, is_open=False)
    for part, part_names in parts:
        if further := {
            n: (*looks, part_names[n]) for n, looks in spot.looks.items() if n in part_names
        }:
            yield replace(spot, box=part, looks=further)


def _locations(answers: TileAnswers, if_unchanged: Locations | None = None) -> Locations | None:
    """The located changes among the answers about a tile or crop; None where not known.

    Where presence says that nothing changed, they are `if_unchanged`.
    """
    if isinstance(answers, TileFailure):
        return None
    if any(isinstance(answer, Presence) and not answer.changed for answer in answers):
        return if_unchanged
    return next((answer for answer in answers if isinstance(answer, Locations)), None)


def _with_boxes(answers: TileAnswers, index: int, spots: Sequence[_Spot]) -> TileAnswers:
    """The answers about a tile with boxes in place of cells."""
    locations = _locations(answers)
    if isinstance(answers, TileFailure) or locations is None:
        return answers
    own_spots = [spot for spot in spots if spot.tile_index == index]
    boxes = {
        name: [
            Box(
                spot.box,
                spot.cell,
                _probability(spot.looks[name]),
                _direction(spot.looks[name]),
            )
            for spot in own_spots
            if name in spot.looks
        ]
        for name in locations.cells
    }
    return [
        Boxes(boxes, locations.changes) if answer is locations else answer for answer in answers
    ]


def _probability(looks: Sequence[_Look]) -> float | None:
    """The mean of all looks, or the share of those that name the class; None where neither is."""
    if len(looks) == 1:
        return looks[0].probability
    return fmean(1.0 if look.probability is None else look.probability for look in looks)


def _direction(looks: Sequence[_Look]) -> Direction | None:
    """The direction with the most probability, and its share of that of all; None where untold."""
    directions = [look.direction for look in looks if look.direction is not None]
    if len(directions) <= 1:
        return directions[0] if directions else None
    total = dict.fromkeys(Change, 0.0)
    for change, probability in directions:
        total[change] += 1.0 if probability is None else probability
    change = max(total, key=total.__getitem__)
    return Direction(change, total[change] / (sum(total.values()) or 1.0))


# --- crops ---------------------------------------------------------------------------------------


def _has_valid(tile: Tile, window: PixelWindow) -> bool:
    return bool(tile.valid[window.slices_within(tile.window.read)].any())


def enlarged_crop(tile: Tile, window: PixelWindow) -> Tile:
    """A part of a tile in the size of the whole.

    Args:
        tile: The tile.
        window: A window within its read window.

    Returns:
        A tile of its own, whose pixels are counted from its corner; its index, row and column are
        those of the tile. Values are bilinear between the pixels: they never leave the range of
        their neighbours, as sharper kernels do beside what is not valid.
    """
    height_px, width_px = tile.valid.shape
    part = window.slices_within(tile.window.read)
    full_window = PixelWindow.whole((height_px, width_px))
    valid = _resized_band(tile.valid[part].astype(np.uint8), tile.valid.shape, smooth=False).astype(
        bool
    )
    dates = tuple(
        np.stack([_resized_band(band[part], tile.valid.shape, smooth=True) for band in date])
        for date in tile.dates
    )
    for date in dates:
        date[:, ~valid] = 0
    return Tile(replace(tile.window, read=full_window, core=full_window), dates, valid)


def _resized_band(band: NDArray[Any], shape: tuple[int, ...], *, smooth: bool) -> NDArray[Any]:
    """Pillow's resize, which anti-aliases nothing away when it enlarges."""
    from PIL import Image

    kernel = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    image = Image.fromarray(np.ascontiguousarray(band))
    return np.asarray(image.resize((shape[1], shape[0]), kernel))
