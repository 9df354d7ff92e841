"""What becomes of a model's answers about one tile: pieces of changed ground, votes and heat.

Everything here is plain data, as in `geochg.records`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from geochg.records import (
    Answer,
    Box,
    Calibration,
    Change,
    Counts,
    Locations,
    Missing,
    Task,
    TileWindow,
)

HEAT_SCALE = 254
"""Heat is probability times this, rounded."""
HEAT_NODATA = 255
"""Heat where the tile is not valid, or where the model said nothing that tells."""


class Ground(NamedTuple):
    """What lies under and around an outlined piece, in pixels of each land cover.

    Each tuple has an entry for each of `LAND_COVER` and a last one for what the model cannot tell;
    all are empty where the model tells no land cover.

    Attributes:
        before: Under the piece, at the earlier date.
        after: Under the piece, at the later date.
        beside: Around the piece, at the later date; the unit is arbitrary.
    """

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of changed ground within one tile's core.

    The polygon is kept in grid pixels, where coordinates are whole numbers, so that pieces of
    neighbouring tiles meet exactly; `features` turns it into the grid's CRS after merging.

    Attributes:
        class_name: What changed.
        change: How it changed.
        probability: Mean probability of change over the piece, 0-1; None where not measured.
        polygon: In pixel coordinates of the grid (x = column, y = row).
        grid_cells: Names of the 3x3 cells of the tile that the piece lies in, in raster order.
        caption: The model's sentence about this piece; empty where it has one for the tile only.
        ground: What lies under and around what was outlined; None where nothing was.
        objects: Separate objects in it; None where they are not counted in tiles.
        change_probability: Probability of `change` among the directions, 0-1; None where it was
            not measured.
        descriptor: What the tile shows of it, as `features.descriptors` packs it; empty where it
            was not described.
        is_candidate: Whether it was found below the usual threshold, and is a change only if a head
            is sure of it.
    """

    class_name: str
    change: Change
    probability: float | None
    polygon: Polygon
    grid_cells: tuple[str, ...]
    caption: str = ""
    ground: Ground | None = None
    objects: int | None = None
    change_probability: float | None = None
    descriptor: bytes = b""
    is_candidate: bool = False


class Vote(NamedTuple):
    """What a tile says of a box: that a class changed there, how, and with which probability."""

    class_name: str
    change: Change
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Ballot:
    """What a tile has to say where overlapping tiles vote.

    Attributes:
        votes: On its whole read window, where it says no to the rest; None when it abstains
            because its answer made no sense.
        valid: `(core height, core width)` bool.
    """

    votes: tuple[Vote, ...] | None
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """Everything a run keeps about one tile it answered.

    Attributes:
        window: Where it lies.
        changed: Whether the model saw a change in it; None where no answer made sense that could
            tell.
        probability: Highest probability of change in its core, 0-1; None when the model has none.
        caption: The model's sentence, empty when it gave none.
        counts: Changed objects per class; empty when the model does not count.
        cells: The pieces of changed ground in its core.
        heat: `(core height, core width)` uint8, probability of change times 254 rounded, 255 where
            not valid; None when no heatmap was asked for.
        unparsed: Tasks whose answers made no sense.
        missing: Questions to which no answer came.
        ballot: What it says to its neighbours' ground as well as its own; None where tiles do not
            vote.
        tells_land_cover: Whether the model told the land cover of both dates.
        valid_px: Valid pixels of the core.
        not_seen_px: Those of them that cloud, shadow or snow hid; None for models that cannot tell.
        calibration: As `Outlines.calibration`.
    """

    window: TileWindow
    changed: bool | None
    probability: float | None
    caption: str
    counts: Mapping[str, int]
    cells: tuple[Cell, ...]
    heat: NDArray[np.uint8] | None
    unparsed: tuple[Task, ...]
    ballot: Ballot | None = None
    tells_land_cover: bool = False
    valid_px: int = 0
    not_seen_px: int | None = None
    calibration: Calibration | None = None
    missing: tuple[Missing, ...] = ()


def unanswered(answers: Iterable[Answer]) -> Iterator[Missing]:
    """The questions to which no answer came, those about directions among them."""
    for answer in answers:
        if isinstance(answer, Missing):
            yield answer
        elif isinstance(answer, Locations | Counts) and answer.undirected:
            task = Task.LOCATE if isinstance(answer, Locations) else Task.COUNT
            yield Missing(task, f"only without directions: {answer.undirected}")
