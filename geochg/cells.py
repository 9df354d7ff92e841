"""From one tile's answers to what is kept of it: cells, heat and the words.

Where answers of one tile disagree, the rules are these:

- A presence answer stands above the others: a tile it calls unchanged gives no cells, whatever
  was outlined or located. The heat is not gated; it shows the probabilities as given.
- Outlines stand above grid locations, and those above counts and the caption.
- Boxes of a closer look stand above the grid locations they come from.
- The parts of a dialogue count where the question of that part was not asked by itself.
- `classes` leaves out cells, counts and heat of other classes; the presence answer, which names
  no class, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from geochg.geometry.polygonize import labelled, outlined
from geochg.geometry.thirds import grid_box, thirds
from geochg.options import Geometry
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    HEAT_NODATA,
    HEAT_SCALE,
    Answer,
    Ballot,
    Box,
    Boxes,
    Caption,
    Cell,
    Change,
    Channel,
    Counts,
    Dialogue,
    Locations,
    Missing,
    Outlines,
    PixelWindow,
    Presence,
    Tile,
    TileResult,
    Unparsed,
    Vote,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CellSettings:
    """What is kept of a tile's answers.

    Attributes:
        geometry: `outline` for connected pieces where there are outlines, `cells` for the boxes
            of the 3x3 grid always.
        classes: Classes to keep; empty for all.
        heat: Whether to make the heat.
        ballot: Whether to make the ballot; for answers that are given in boxes.
    """

    geometry: Geometry = Geometry.OUTLINE
    classes: tuple[str, ...] = ()
    heat: bool = False
    ballot: bool = False

    def keeps(self, class_name: str) -> bool:
        """Whether the class is among those asked for."""
        return not self.classes or class_name in self.classes


def tile_result(tile: Tile, answers: Sequence[Answer], settings: CellSettings) -> TileResult:
    """What is kept of a tile.

    Args:
        tile: The tile the model saw; only its window and its valid pixels are used.
        answers: What the model said about it, in any order; of two answers of one kind the first
            counts.
        settings: What to keep.

    Returns:
        The result; cells lie in the tile's core, their vertices are whole numbers of grid pixels.
    """
    said = _Said.of(answers, tile.window.read)
    unchanged = said.presence is not None and not said.presence.changed
    evidence = None if unchanged and not settings.heat else _evidence(tile, said, settings)
    counts = said.counts.counts if said.counts else {}
    counts = {name: count for name, count in counts.items() if settings.keeps(name)}
    changed, cells, probability = _verdict(said, evidence, counts)
    return TileResult(
        window=tile.window,
        changed=changed,
        probability=probability,
        caption=said.caption.text if said.caption else "",
        counts=counts,
        cells=cells,
        heat=_heat(tile, said, evidence) if settings.heat else None,
        unparsed=tuple(answer.task for answer in answers if isinstance(answer, Unparsed)),
        ballot=_ballot(tile, said, settings) if settings.ballot else None,
        missing=tuple(answer for answer in answers if isinstance(answer, Missing)),
    )


# --- what was said -------------------------------------------------------------------------------


class _Said(NamedTuple):
    """The answers by kind; None for what was not answered."""

    presence: Presence | None
    caption: Caption | None
    counts: Counts | None
    outlines: Outlines | None
    boxes: Boxes | None

    @classmethod
    def of(cls, answers: Sequence[Answer], read: PixelWindow) -> _Said:
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
        counted = self.counts.changes if self.counts else {}
        return {**counted, **(self.boxes.changes if self.boxes else {})}


_Kind = TypeVar("_Kind")


def _first(answers: Sequence[Any], kind: type[_Kind]) -> _Kind | None:
    return next((answer for answer in answers if isinstance(answer, kind)), None)


class _Evidence(NamedTuple):
    """What a localised answer says about the core.

    `surface` is `(core height, core width)` float32 0-1, the strongest kept class at each pixel;
    `highest` its maximum over valid pixels, None when the answer names no probability.
    """

    cells: tuple[Cell, ...]
    highest: float | None
    surface: NDArray[np.float32]


def _evidence(tile: Tile, said: _Said, settings: CellSettings) -> _Evidence | None:
    if said.outlines:
        return _outline_evidence(tile, said.outlines, settings)
    if said.boxes:
        return _box_evidence(tile, said.boxes, said.changes(), settings)
    return None


def _verdict(
    said: _Said, evidence: _Evidence | None, counts: Mapping[str, int]
) -> tuple[bool | None, tuple[Cell, ...], float | None]:
    """Whether the tile changed, its cells, and the highest probability of change in its core.

    Where nothing that was said tells whether it changed, that is None and not "no".
    """
    cells = evidence.cells if evidence else ()
    derived = evidence.highest if evidence else None
    if presence := said.presence:
        if not presence.changed:
            return False, (), presence.probability
        return True, cells, derived if presence.probability is None else presence.probability
    if evidence:
        return bool(cells), cells, derived
    if said.counts:
        return any(counts.values()), (), None
    return (said.caption.changed if said.caption else None), (), None


def _heat(tile: Tile, said: _Said, evidence: _Evidence | None) -> NDArray[np.uint8]:
    """`(core height, core width)` uint8; a presence without probability counts as 0 or 1."""
    valid = _in_core(tile, tile.valid)
    if evidence:
        heat = np.rint(evidence.surface * HEAT_SCALE).astype(np.uint8)
    elif said.presence:
        given = said.presence.probability
        probability = float(said.presence.changed) if given is None else given
        heat = np.full(valid.shape, round(probability * HEAT_SCALE), np.uint8)
    else:
        heat = np.full(valid.shape, HEAT_NODATA, np.uint8)
    heat[~valid] = HEAT_NODATA
    return heat


# --- outlines ------------------------------------------------------------------------------------


class _Strongest(NamedTuple):
    """The strongest kept channel at each pixel of the read window.

    `channels` are the kept ones, `captions` a sentence for each or "", `channel`
    `(height, width)` an index into them where it changed, `probability` `(height, width)` float32
    0-1, `changed` `(height, width)` bool.
    """

    channels: tuple[Channel, ...]
    captions: tuple[str, ...]
    channel: NDArray[np.intp]
    probability: NDArray[np.float32]
    changed: NDArray[np.bool_]


def _strongest(tile: Tile, outlines: Outlines, settings: CellSettings) -> _Strongest | None:
    kept = [i for i, c in enumerate(outlines.channels) if settings.keeps(c.class_name)]
    if not kept:
        return None
    layers = outlines.probability
    if len(kept) < len(outlines.channels):
        layers = layers[kept]
    probability = layers.max(axis=0)
    changed = (probability >= outlines.threshold) & tile.valid
    channel = np.zeros(changed.shape, np.intp)
    channel[changed] = layers[:, changed].argmax(axis=0)
    return _Strongest(
        tuple(outlines.channels[i] for i in kept),
        tuple(outlines.captions[i] if outlines.captions else "" for i in kept),
        channel,
        probability,
        changed,
    )


def _outline_evidence(tile: Tile, outlines: Outlines, settings: CellSettings) -> _Evidence:
    strongest = _strongest(tile, outlines, settings)
    if strongest is None:
        return _Evidence((), None, _empty_surface(tile))
    shapes = _pieces if settings.geometry is Geometry.OUTLINE else _changed_boxes
    surface = _in_core(tile, strongest.probability)
    highest = surface[_in_core(tile, tile.valid)].max(initial=-1.0)
    return _Evidence(
        tuple(shapes(tile, strongest)), float(highest) if highest >= 0 else None, surface
    )


def _pieces(tile: Tile, strongest: _Strongest) -> Iterator[Cell]:
    """The 4-connected pieces of each channel in the core."""
    channel = _in_core(tile, strongest.channel)
    labels, channel_of = labelled(channel, _in_core(tile, strongest.changed))
    if not channel_of:
        return
    size_px = np.bincount(labels.ravel())[1:]
    total = np.bincount(labels.ravel(), _in_core(tile, strongest.probability).ravel())[1:]
    zones = _zones_of(labels, _in_core(tile, _zones(tile.window.read)), len(channel_of))
    polygons = outlined(labels, tile.window.core)
    means = np.minimum(total / size_px, 1.0).tolist()
    for index, probability, polygon, names in zip(channel_of, means, polygons, zones, strict=True):
        class_name, change = strongest.channels[index]
        caption = strongest.captions[index]
        yield Cell(class_name, change, probability, polygon, names, caption)


def _zones_of(
    labels: NDArray[np.int32], zones: NDArray[np.intp], count: int
) -> list[tuple[str, ...]]:
    """Names of the 3x3 cells each label lies in, in raster order."""
    inside = labels > 0
    pairs = np.unique(labels[inside].astype(np.int64) * 9 + zones[inside])
    names: list[list[str]] = [[] for _ in range(count)]
    for pair in pairs.tolist():
        names[pair // 9 - 1].append(GRID_CELLS[pair % 9].name)
    return [tuple(each) for each in names]


def _changed_boxes(tile: Tile, strongest: _Strongest) -> Iterator[Cell]:
    """The boxes of the 3x3 cells that changed, channel by channel."""
    zones, changed = _zones(tile.window.read), strongest.changed
    bins = (len(strongest.channels), 9)
    index = (strongest.channel * 9 + zones)[changed]
    size_px = np.bincount(index, minlength=bins[0] * 9).reshape(bins)
    total = np.bincount(index, strongest.probability[changed], bins[0] * 9).reshape(bins)
    valid_px = np.bincount(zones[tile.valid], minlength=9)
    for channel, zone in np.argwhere(size_px > CELL_AREA_SHARE * valid_px).tolist():
        class_name, change = strongest.channels[channel]
        probability = min(float(total[channel, zone] / size_px[channel, zone]), 1.0)
        grid_cell = GRID_CELLS[zone]
        box = Box(grid_box(tile.window.read, grid_cell), grid_cell, probability)
        for cell in _core_cells(tile, box, class_name, change):
            yield replace(cell, caption=strongest.captions[channel])


# --- boxes ---------------------------------------------------------------------------------------


def _boxes_of(locations: Locations, read: PixelWindow) -> Boxes:
    """The cells of the 3x3 grid as boxes."""
    boxes = {
        name: [Box(grid_box(read, cell), cell, located[cell]) for cell in sorted(located)]
        for name, located in locations.cells.items()
    }
    return Boxes(boxes, locations.changes)


def _box_evidence(
    tile: Tile, located: Boxes, changes: Mapping[str, Change], settings: CellSettings
) -> _Evidence:
    surface, cells = _empty_surface(tile), list[Cell]()
    for class_name, boxes in located.boxes.items():
        if not settings.keeps(class_name):
            continue
        change = changes.get(class_name, Change.ALTERED)
        for box in boxes:
            for cell in _core_cells(tile, box, class_name, change):
                cells.append(cell)
                inside = box.window.cut_to(tile.window.core)
                assert inside is not None
                part = inside.slices_within(tile.window.core)
                surface[part] = np.maximum(surface[part], np.float32(box.probability))
    highest = max((cell.probability for cell in cells), default=None)
    return _Evidence(tuple(cells), highest, surface)


def _core_cells(tile: Tile, box: Box, class_name: str, change: Change) -> Iterator[Cell]:
    """The cell of a box's part in the core; none where nothing of that is valid."""
    import shapely

    part = box.window.cut_to(tile.window.core)
    if part is None or not tile.valid[part.slices_within(tile.window.read)].any():
        return
    polygon = shapely.box(part.col_start, part.row_start, part.col_stop, part.row_stop)
    yield Cell(class_name, change, box.probability, polygon, (box.grid_cell.name,))


# --- votes ---------------------------------------------------------------------------------------


def _ballot(tile: Tile, said: _Said, settings: CellSettings) -> Ballot:
    """What a tile says of all it saw; it abstains where it saw a change it cannot place."""
    valid = _in_core(tile, tile.valid)
    if said.presence and not said.presence.changed:
        return Ballot((), valid)
    return Ballot(tuple(_votes(tile, said, settings)) if said.boxes else None, valid)


def _votes(tile: Tile, said: _Said, settings: CellSettings) -> Iterator[Vote]:
    changes = said.changes()
    for class_name, boxes in said.boxes.boxes.items() if said.boxes else ():
        if settings.keeps(class_name):
            change = changes.get(class_name, Change.ALTERED)
            yield from (Vote(class_name, change, box) for box in boxes if _is_seen(tile, box))


def _is_seen(tile: Tile, box: Box) -> bool:
    """Whether anything of a box is valid."""
    return bool(tile.valid[box.window.slices_within(tile.window.read)].any())


# --- windows -------------------------------------------------------------------------------------


def _zones(read: PixelWindow) -> NDArray[np.intp]:
    """`(height, width)` index 0-8 into `GRID_CELLS` of each pixel of a read window."""
    rows = np.repeat(np.arange(3), np.diff(thirds(0, read.height_px)))
    cols = np.repeat(np.arange(3), np.diff(thirds(0, read.width_px)))
    return rows[:, None] * 3 + cols


_Item = TypeVar("_Item", bound=np.generic)


def _in_core(tile: Tile, array: NDArray[_Item]) -> NDArray[_Item]:
    """The core's part of an array over the read window."""
    return array[tile.window.core.slices_within(tile.window.read)]


def _empty_surface(tile: Tile) -> NDArray[np.float32]:
    return np.zeros((tile.window.core.height_px, tile.window.core.width_px), np.float32)
