"""From one tile's answers to what is kept of it: cells, heat and the words.

Where answers of one tile disagree, the rules are these:

- Outlines stand above all others: a tile changed when it has cells, whatever a presence answer
  says.
- Elsewhere a presence answer stands above the others: a tile it calls unchanged gives no cells,
  whatever was located. The heat is not gated; it shows the probabilities as given.
- Grid locations stand above counts and the caption.
- Boxes of a closer look stand above the grid locations they come from.
- The parts of a dialogue count where the question of that part was not asked by itself.
- Where a model that outlines tells land cover, counts and the caption of the tile are left to
  `features`, which has them from the outlines.
- `classes` leaves out cells, counts and heat of other classes; the presence answer, which names
  no class, stays as it is.
- What was not seen has no heat.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.features.outlines import box_grounds, box_objects, pieces
from geochg.features.tile_results import (
    HEAT_NODATA,
    HEAT_SCALE,
    Ballot,
    Cell,
    TileResult,
    Vote,
    unanswered,
)
from geochg.geometry.grid_cells import cell_numbers, grid_box
from geochg.geometry.hysteresis import ChangedPixels, changed_pixels
from geochg.options import Geometry, Sensitivity
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    Answer,
    Box,
    Boxes,
    Caption,
    Change,
    Counts,
    Dialogue,
    Direction,
    Locations,
    Missing,
    Outlines,
    PixelWindow,
    Presence,
    Task,
    Tile,
    TileFailure,
    Unparsed,
)

_DISPENSABLE = frozenset({Task.COUNT, Task.CAPTION})
"""The tasks without whose answers the other answers about a tile still count."""


@dataclass(frozen=True, slots=True)
class CellSettings:
    """Settings for what is kept of a tile's answers.

    Attributes:
        geometry: `outline` for connected pieces where there are outlines, `cells` for the boxes
            of the 3x3 grid always.
        classes: Classes to keep; empty for all.
        heat: Whether to make the heat.
        ballot: Whether to make the ballot; for answers that are given in boxes.
        sensitivity: How easily a pixel of an outline counts as changed.
        least_px: Least size of a change where the model tells land cover; 0 drops nothing.
        pixel_area_m2: Ground area of a pixel; not a number where that is not known.
    """

    geometry: Geometry = Geometry.OUTLINE
    classes: tuple[str, ...] = ()
    heat: bool = False
    ballot: bool = False
    sensitivity: Sensitivity = Sensitivity.NORMAL
    least_px: int = 0
    pixel_area_m2: float = math.nan

    def keeps(self, class_name: str) -> bool:
        """Whether the class is among those asked for."""
        return not self.classes or class_name in self.classes


def tile_result(tile: Tile, answers: Sequence[Answer], settings: CellSettings) -> TileResult:
    """What is kept of a tile.

    Args:
        tile: The tile the model saw; only its window and its valid pixels are used.
        answers: The model's answers about it, in any order; of two answers of one kind the first
            counts.
        settings: What to keep.

    Returns:
        The result; cells lie in the tile's core, their vertices are whole numbers of grid pixels.
    """
    by_kind = _AnswersByKind.of(answers, tile.window.read)
    outlines = by_kind.outlines
    unchanged = by_kind.presence is not None and not by_kind.presence.changed and outlines is None
    evidence = None if unchanged and not settings.heat else _evidence(tile, by_kind, settings)
    counts = _counts(by_kind, settings)
    changed, cells, probability = _verdict(by_kind, evidence, counts)
    valid = _in_core(tile, tile.valid)
    hidden = None if outlines is None else outlines.not_seen
    return TileResult(
        window=tile.window,
        changed=changed,
        probability=probability,
        caption=_caption(by_kind, changed=changed),
        counts=counts,
        cells=cells,
        heat=_heat(tile, by_kind, evidence) if settings.heat else None,
        unparsed=tuple(answer.task for answer in answers if isinstance(answer, Unparsed)),
        ballot=_ballot(tile, by_kind, settings) if settings.ballot else None,
        tells_land_cover=outlines is not None and outlines.land_cover is not None,
        valid_px=int(np.count_nonzero(valid)),
        not_seen_px=None
        if hidden is None
        else int(np.count_nonzero(_in_core(tile, hidden) & valid)),
        calibration=None if outlines is None else outlines.calibration,
        missing=tuple(unanswered(answers)),
    )


def missing_answer(tile: Tile, answers: Sequence[Answer]) -> TileFailure | None:
    """The failure of a tile of which an answer is missing that a map needs; None for others.

    A count or a caption can be done without; see `TileResult.missing`.
    """
    for answer in answers:
        if isinstance(answer, Missing) and answer.task not in _DISPENSABLE:
            return TileFailure(tile.window, answer.reason)
    return None


# --- answers by kind -----------------------------------------------------------------------------


class _AnswersByKind(NamedTuple):
    """The answers by kind; None for what was not answered."""

    presence: Presence | None
    caption: Caption | None
    counts: Counts | None
    outlines: Outlines | None
    boxes: Boxes | None

    @classmethod
    def of(cls, answers: Sequence[Answer], read: PixelWindow) -> Self:
        presence = _first(answers, Presence)
        caption = _first(answers, Caption)
        counts = _first(answers, Counts)
        if dialogue := _first(answers, Dialogue):
            presence = presence or dialogue.presence
            caption = caption or Caption(dialogue.description, dialogue.presence.changed)
            counts = counts or dialogue.counts
        boxes, locations = _first(answers, Boxes), _first(answers, Locations)
        if boxes is None and locations is not None:
            boxes = _boxes_of(locations, read)
        return cls(presence, caption, counts, _first(answers, Outlines), boxes)

    def changes(self) -> Mapping[str, Change]:
        """The direction of each class that was located, where it is told."""
        changes_by_class = self.counts.changes if self.counts else {}
        return {**changes_by_class, **(self.boxes.changes if self.boxes else {})}


_Kind = TypeVar("_Kind")


def _first(answers: Sequence[Any], kind: type[_Kind]) -> _Kind | None:
    return next((answer for answer in answers if isinstance(answer, kind)), None)


class _Evidence(NamedTuple):
    """What a localised answer says about the core.

    `surface` is `(core height, core width)` float32 0-1, the strongest kept class at each pixel;
    `highest` its maximum over pixels that are seen, None when the answer names no probability.
    """

    cells: tuple[Cell, ...]
    highest: float | None
    surface: NDArray[np.float32]


def _evidence(tile: Tile, by_kind: _AnswersByKind, settings: CellSettings) -> _Evidence | None:
    if by_kind.outlines:
        return _outline_evidence(tile, by_kind.outlines, settings)
    if by_kind.boxes:
        return _box_evidence(tile, by_kind.boxes, by_kind.changes(), settings)
    return None


def _verdict(
    by_kind: _AnswersByKind, evidence: _Evidence | None, counts: Mapping[str, int]
) -> tuple[bool | None, tuple[Cell, ...], float | None]:
    """Whether the tile changed, its cells, and the highest probability of change in its core.

    Where nothing that was said tells whether it changed, that is None and not "no".
    """
    cells = evidence.cells if evidence else ()
    derived = evidence.highest if evidence else None
    if by_kind.outlines:
        return bool(cells), cells, derived
    if presence := by_kind.presence:
        if not presence.changed:
            return False, (), presence.probability
        return True, cells, derived if presence.probability is None else presence.probability
    if evidence:
        return bool(cells), cells, derived
    if by_kind.counts:
        return any(counts.values()), (), None
    return (by_kind.caption.changed if by_kind.caption else None), (), None


def _counts(by_kind: _AnswersByKind, settings: CellSettings) -> Mapping[str, int]:
    """The model's counts of each kept class, unless they are to come from its outlines."""
    if by_kind.counts is None or (by_kind.outlines and by_kind.outlines.land_cover is not None):
        return {}
    return {name: count for name, count in by_kind.counts.counts.items() if settings.keeps(name)}


def _caption(by_kind: _AnswersByKind, *, changed: bool | None) -> str:
    """The model's sentence about the tile, unless outlines tell otherwise or tell more."""
    if by_kind.caption is None:
        return ""
    if by_kind.outlines and (
        by_kind.outlines.land_cover is not None or by_kind.caption.changed != changed
    ):
        return ""
    return by_kind.caption.text


def _heat(tile: Tile, by_kind: _AnswersByKind, evidence: _Evidence | None) -> NDArray[np.uint8]:
    """`(core height, core width)` uint8; what was said without a probability counts as 0 or 1."""
    visible = _in_core(tile, _visible_pixels(tile, by_kind.outlines))
    if evidence:
        heat = np.rint(evidence.surface * HEAT_SCALE).astype(np.uint8)
    elif by_kind.presence:
        likely = by_kind.presence.probability
        probability = float(by_kind.presence.changed) if likely is None else likely
        heat = np.full(visible.shape, round(probability * HEAT_SCALE), np.uint8)
    else:
        heat = np.full(visible.shape, HEAT_NODATA, np.uint8)
    heat[~visible] = HEAT_NODATA
    return heat


# --- outlines ------------------------------------------------------------------------------------


def _outline_evidence(tile: Tile, outlines: Outlines, settings: CellSettings) -> _Evidence:
    pixels = changed_pixels(
        outlines,
        tile.valid,
        settings.keeps,
        log_odds=settings.sensitivity.log_odds,
        least_px=settings.least_px,
    )
    if pixels is None:
        return _Evidence((), None, _empty_surface(tile))
    window = tile.window
    if settings.geometry is Geometry.OUTLINE:
        cells = pieces(window.read, window.core, pixels, outlines, settings.pixel_area_m2)
    else:
        cells = _changed_boxes(tile, pixels, outlines, settings.pixel_area_m2)
    surface = _in_core(tile, pixels.probability)
    highest = surface[_in_core(tile, _visible_pixels(tile, outlines))].max(initial=-1.0)
    return _Evidence(tuple(cells), float(highest) if highest >= 0 else None, surface)


def _visible_pixels(tile: Tile, outlines: Outlines | None) -> NDArray[np.bool_]:
    """`(height, width)`: where there is data, and the model sees the ground."""
    if outlines is None or outlines.not_seen is None:
        return tile.valid
    return tile.valid & ~outlines.not_seen


def _changed_boxes(
    tile: Tile, pixels: ChangedPixels, outlines: Outlines, pixel_area_m2: float
) -> Iterator[Cell]:
    """The boxes of the 3x3 cells that changed, channel by channel."""
    zone_of, changed = cell_numbers(tile.window.read), pixels.changed
    grounds = box_grounds(zone_of, pixels, outlines, pixel_area_m2)
    objects = box_objects(tile.window.core.slices_within(tile.window.read), zone_of, pixels)
    bins = (len(pixels.channels), 9)
    index = (pixels.channel * 9 + zone_of)[changed]
    size_px = np.bincount(index, minlength=bins[0] * 9).reshape(bins)
    total = np.bincount(index, pixels.probability[changed], bins[0] * 9).reshape(bins)
    valid_px = np.bincount(zone_of[tile.valid], minlength=9)
    for channel, zone in np.argwhere(size_px > CELL_AREA_SHARE * valid_px).tolist():
        class_name, change = pixels.channels[channel]
        probability = min(float(total[channel, zone] / size_px[channel, zone]), 1.0)
        grid_cell = GRID_CELLS[zone]
        box = Box(grid_box(tile.window.read, grid_cell), grid_cell, probability)
        for cell in _core_cells(tile, box, class_name, change):
            yield replace(
                cell,
                caption=pixels.captions[channel],
                ground=grounds[channel * 9 + zone],
                objects=objects.get((channel, zone)),
            )


# --- boxes ---------------------------------------------------------------------------------------


def _boxes_of(locations: Locations, read: PixelWindow) -> Boxes:
    """The cells of the 3x3 grid as boxes."""
    boxes = {
        name: [
            Box(grid_box(read, cell), cell, class_boxes[cell], locations.direction(name, cell))
            for cell in sorted(class_boxes)
        ]
        for name, class_boxes in locations.cells.items()
    }
    return Boxes(boxes, locations.changes)


def _box_evidence(
    tile: Tile, class_boxes: Boxes, changes: Mapping[str, Change], settings: CellSettings
) -> _Evidence:
    surface, cells = _empty_surface(tile), list[Cell]()
    for class_name, boxes in class_boxes.boxes.items():
        if not settings.keeps(class_name):
            continue
        for box in boxes:
            direction = _direction(box, class_name, changes)
            for cell in _core_cells(tile, box, class_name, direction.change):
                cells.append(replace(cell, change_probability=direction.probability))
                inside = box.window.cut_to(tile.window.core)
                assert inside is not None
                part = inside.slices_within(tile.window.core)
                likely = 1.0 if box.probability is None else box.probability
                surface[part] = np.maximum(surface[part], np.float32(likely))
    measured = [cell.probability for cell in cells if cell.probability is not None]
    highest = max(measured, default=None)
    return _Evidence(tuple(cells), highest, surface)


def _direction(box: Box, class_name: str, changes: Mapping[str, Change]) -> Direction:
    """The direction of a box, else of its class, else `altered`."""
    return box.direction or Direction(changes.get(class_name, Change.ALTERED))


def _core_cells(tile: Tile, box: Box, class_name: str, change: Change) -> Iterator[Cell]:
    """The cell of a box's part in the core; none where nothing of that is valid."""
    part = box.window.cut_to(tile.window.core)
    if part is None or not tile.valid[part.slices_within(tile.window.read)].any():
        return
    polygon = shapely.box(part.col_start, part.row_start, part.col_stop, part.row_stop)
    yield Cell(class_name, change, box.probability, polygon, (box.grid_cell.name,))


# --- votes ---------------------------------------------------------------------------------------


def _ballot(tile: Tile, by_kind: _AnswersByKind, settings: CellSettings) -> Ballot:
    """What a tile says of all it saw; it abstains where it saw a change it cannot place."""
    valid = _in_core(tile, tile.valid)
    if by_kind.presence and not by_kind.presence.changed:
        return Ballot((), valid)
    return Ballot(tuple(_votes(tile, by_kind, settings)) if by_kind.boxes else None, valid)


def _votes(tile: Tile, by_kind: _AnswersByKind, settings: CellSettings) -> Iterator[Vote]:
    changes = by_kind.changes()
    for class_name, boxes in by_kind.boxes.boxes.items() if by_kind.boxes else ():
        if settings.keeps(class_name):
            for box in boxes:
                change = _direction(box, class_name, changes).change
                if tile.valid[box.window.slices_within(tile.window.read)].any():
                    yield Vote(class_name, change, box)


# --- windows -------------------------------------------------------------------------------------


_Item = TypeVar("_Item", bound=np.generic)


def _in_core(tile: Tile, array: NDArray[_Item]) -> NDArray[_Item]:
    """The core's part of an array over the read window."""
    return array[tile.window.core.slices_within(tile.window.read)]


def _empty_surface(tile: Tile) -> NDArray[np.float32]:
    return np.zeros((tile.window.core.height_px, tile.window.core.width_px), np.float32)
