"""A model that is asked again, closer, about the cells it said changed.

Each changed cell of a tile's 3x3 grid is cut out, enlarged to the size of the tile and shown to the
model again; what it says of the nine cells of that picture subdivides the cell, and so on.

- A closer look only divides what was found: classes it newly names are not taken up, and the
  direction of a change stays that of the tile.
- The probability of a box is the mean of what all looks at it said, where a look that does not name
  the class there says 0. Looks at one place see the same ground, so they are pooled (the linear
  opinion pool, Stone 1961) and not multiplied as if they were independent.
- A cell in which a closer look finds nothing of a class stays whole, with the probability lowered
  by that rule, and is not looked into any further for that class. To drop it would trust the
  enlarged picture more than the one in the resolution that the model was made for; with the
  built-in model, restricted to the grid, it loses far more change than false alarms.
- A closer look that fails or makes no sense says nothing: the cell stays as it was.

The picture is the cell without ground around it: its nine cells then are those that are asked
about, and it is to them what a tile is to its own. With an eighth or a quarter of the side around
it, a model names outer cells for what lies beyond them; the built-in one did no better with either.

It is cut from the tile's own pixels. The grid has the resolution of the sources unless another was
asked for, so there mostly is nothing more to read; and who wants a coarse grid looked at in fine
detail gets that, with all its measurements, from a finer `--resolution`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.geometry.grid_cells import grid_box
from geochg.models.base import ChangeModel
from geochg.models.wrappers.wrapped import WrappedModel
from geochg.records import (
    GRID_CELLS,
    Answer,
    Box,
    Boxes,
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_SIDE_PX = 9
"""Boxes with a shorter side are not looked into: their cells would be below three pixels."""

_ASKED = (Task.PRESENCE, Task.LOCATE)


class RefinedModel(WrappedModel):
    """Asks a model again about what changed, enlarged; gives `Boxes` in place of `Locations`.

    Args:
        model: Which answers; one that locates by the 3x3 grid.
        levels: How often each cell is divided, from 1.
        classes: Classes to look for; empty for all.
        batch_size: Pictures in one call; None for as many as suit the model.
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
        found = self.model.answer(tiles, questions)
        spots = [
            spot for place, said in enumerate(found) for spot in self._first(place, said, tiles)
        ]
        if not spots:
            return found
        asked = [question for question in questions if question.task in _ASKED]
        for _ in range(self.levels):
            spots = list(self._divided(spots, tiles, asked))
        return [_refined(said, place, spots) for place, said in enumerate(found)]

    def _first(self, place: int, said: TileAnswers, tiles: Sequence[Tile]) -> Iterator[_Spot]:
        """The cells of a tile that changed."""
        located = _located(said)
        if located is None:
            return
        read = tiles[place].window.read
        for cell in GRID_CELLS:
            looks = {name: (cells[cell],) for name, cells in located.cells.items() if cell in cells}
            if looks:
                wanted = not self._classes or any(name in self._classes for name in looks)
                yield _Spot(place, cell, grid_box(read, cell), looks, is_open=wanted)

    def _divided(
        self, spots: Sequence[_Spot], tiles: Sequence[Tile], asked: Sequence[Question]
    ) -> Iterator[_Spot]:
        """The spots after one more look at those that are open."""
        into = [spot.can_be_divided(tiles[spot.place]) for spot in spots]
        looks = self._looks(list(compress(spots, into)), tiles, asked)
        for spot, is_looked_into in zip(spots, into, strict=True):
            if is_looked_into:
                yield from _parts(spot, tiles[spot.place], next(looks))
            else:
                yield spot

    def _looks(
        self, spots: Sequence[_Spot], tiles: Sequence[Tile], asked: Sequence[Question]
    ) -> Iterator[TileAnswers]:
        """What the model says of each spot; pictures are made for one call at a time."""
        size = self._batch_size or self.capabilities.tiles_at_once(max(tiles[0].valid.shape))
        for start in range(0, len(spots), size):
            part = spots[start : start + size]
            yield from self.model.answer(
                [enlarged(tiles[spot.place], spot.box) for spot in part], asked
            )


@dataclass(frozen=True, slots=True)
class _Spot:
    """A box of a tile, and what was said of it.

    Attributes:
        place: Of the tile in its batch.
        cell: Of the tile's grid, that the box lies in.
        box: Where it is.
        looks: For each class what each look said, coarsest first.
        is_open: Whether a closer look is worth its while.
    """

    place: int
    cell: GridCell
    box: PixelWindow
    looks: Mapping[str, tuple[float, ...]]
    is_open: bool = True

    def can_be_divided(self, tile: Tile) -> bool:
        """Whether there is anything to see closer."""
        wide = min(self.box.height_px, self.box.width_px) >= LEAST_SIDE_PX
        return self.is_open and wide and _has_valid(tile, self.box)


def _parts(spot: _Spot, tile: Tile, said: TileAnswers) -> Iterator[_Spot]:
    """What becomes of a spot by a closer look at it."""
    if (located := _located(said, if_unchanged=Locations({}))) is None:
        yield replace(spot, is_open=False)
        return
    parts = [
        (part, {name: cells[cell] for name, cells in located.cells.items() if cell in cells})
        for cell in GRID_CELLS
        if _has_valid(tile, part := grid_box(spot.box, cell))
    ]
    lost = {
        name: (*looks, 0.0)
        for name, looks in spot.looks.items()
        if not any(name in named for _, named in parts)
    }
    if lost:
        yield replace(spot, looks=lost, is_open=False)
    for part, named in parts:
        if further := {n: (*looks, named[n]) for n, looks in spot.looks.items() if n in named}:
            yield replace(spot, box=part, looks=further)


def _located(said: TileAnswers, if_unchanged: Locations | None = None) -> Locations | None:
    """Where a change was found; None where nobody knows.

    Args:
        said: The answers.
        if_unchanged: What it is where presence says that nothing changed.
    """
    if isinstance(said, TileFailure):
        return None
    if any(isinstance(answer, Presence) and not answer.changed for answer in said):
        return if_unchanged
    return next((answer for answer in said if isinstance(answer, Locations)), None)


def _refined(said: TileAnswers, place: int, spots: Sequence[_Spot]) -> TileAnswers:
    """The answers with boxes in place of cells."""
    located = _located(said)
    if isinstance(said, TileFailure) or located is None:
        return said
    mine = [spot for spot in spots if spot.place == place]
    boxes = {
        name: [
            Box(spot.box, spot.cell, fmean(spot.looks[name])) for spot in mine if name in spot.looks
        ]
        for name in located.cells
    }
    refined: list[Answer] = [
        Boxes(boxes, located.changes) if answer is located else answer for answer in said
    ]
    return refined


# --- pictures ------------------------------------------------------------------------------------


def _has_valid(tile: Tile, window: PixelWindow) -> bool:
    return bool(tile.valid[window.slices_within(tile.window.read)].any())


def enlarged(tile: Tile, window: PixelWindow) -> Tile:
    """A part of a tile in the size of the whole.

    Args:
        tile: A pair of pictures.
        window: Within its read window.

    Returns:
        A tile of its own, whose pixels are counted from its corner; its index, row and column are
        those of the tile. Values are bilinear between the pixels: they never leave the range of
        their neighbours, as sharper kernels do beside what is not valid.
    """
    height_px, width_px = tile.valid.shape
    part = window.slices_within(tile.window.read)
    whole = PixelWindow.whole((height_px, width_px))
    valid = _resized(tile.valid[part].astype(np.uint8), tile.valid.shape, smooth=False).astype(bool)
    before, after = (
        np.stack([_resized(band[part], tile.valid.shape, smooth=True) for band in date])
        for date in (tile.before, tile.after)
    )
    before[:, ~valid], after[:, ~valid] = 0, 0
    return Tile(replace(tile.window, read=whole, core=whole), before, after, valid)


def _resized(band: NDArray[Any], shape: tuple[int, ...], *, smooth: bool) -> NDArray[Any]:
    """Pillow's resize, which anti-aliases nothing away when it enlarges."""
    from PIL import Image

    kernel = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    picture = Image.fromarray(np.ascontiguousarray(band))
    return np.asarray(picture.resize((shape[1], shape[0]), kernel))


__all__ = ["RefinedModel", "enlarged"]
