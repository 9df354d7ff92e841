"""What a journal may hold: journals lie on disks that fail and come from other people.

Nothing that a journal holds is run, and all of it is looked at before a run goes on with it.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Mapping

import numpy as np
import shapely

from geochg.features.descriptors import is_packed_descriptor
from geochg.features.tile_results import Cell, TileResult, Vote
from geochg.records import GRID_CELLS, LAND_COVER, Change, PixelWindow, Task
from geochg.tiling.layout import Layout

APPLICATION_ID = 0x67656F63  # "geoc"

TABLES = (
    "CREATE TABLE run (fingerprint TEXT NOT NULL)",
    "CREATE TABLE measured (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE tile (number INTEGER PRIMARY KEY, changed INTEGER, unparsed INTEGER,"
    " incomplete INTEGER, record TEXT, heat BLOB, valid BLOB, not_seen INTEGER)",
)
"""All that a journal consists of."""

_NAMES = frozenset(cell.name for cell in GRID_CELLS)
_MOST_COUNTED = 10**9
_NO_PROBABILITY = "a probability is not a number from 0 to 1"
_NO_COUNT = "a count is not a whole number in range"


def check_database(database: sqlite3.Connection) -> bool:
    """Refuses a database that is no journal, or a damaged one.

    Args:
        database: Just opened, with `trusted_schema` off; nothing in it has been run.

    Returns:
        Whether there is a journal in it; if not, it is empty.

    Raises:
        sqlite3.DatabaseError: If it is another program's, or damaged.
    """
    ((kind,),) = database.execute("PRAGMA application_id")
    schema = database.execute(
        "SELECT type, sql FROM sqlite_master WHERE sql IS NOT NULL"
    ).fetchall()
    if not schema and kind in (0, APPLICATION_ID):
        return False
    if kind != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is another program's database")
    if sorted(schema) != sorted(("table", table) for table in TABLES):
        raise sqlite3.DatabaseError("it is damaged: it has other tables than a journal")
    problems = [text for (text,) in database.execute("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise sqlite3.DatabaseError(f"it is damaged: {problems[0]}")
    return True


def check_numbers(database: sqlite3.Connection, layout: Layout, parts: int = 1) -> None:
    """Refuses a journal of tiles that the layout has not, or with values of other types.

    Raises:
        ValueError: If it holds such a tile or value.
    """
    columns = dict.fromkeys(("changed", "unparsed", "incomplete", "not_seen"), "integer")
    columns |= {"record": "text", "heat": "blob", "valid": "blob"}
    kinds = " OR ".join(
        f"typeof({name}) NOT IN ('null', '{kind}')" for name, kind in columns.items()
    )
    ((strange,),) = database.execute(
        f"SELECT count(*) FROM tile WHERE number < 0 OR number >= ? OR {kinds}"
        " OR changed NOT IN (0, 1) OR unparsed NOT IN (0, 1) OR incomplete NOT IN (0, 1)"
        " OR not_seen < 0 OR not_seen > ?"
        " OR (record IS NULL AND (changed IS NOT NULL OR heat IS NOT NULL))",
        (parts * len(layout), layout.tile_size_px**2),
    )
    require(not strange, "it holds tiles that the run does not have")
    ((runs,),) = database.execute("SELECT count(*) FROM run WHERE typeof(fingerprint) = 'text'")
    require(runs == 1, "it does not say which run it is of")


def check_result(result: TileResult, classes: Collection[str]) -> None:
    """Refuses a result that no run can have given.

    Raises:
        ValueError: If a part of the result makes no sense.
    """
    require(isinstance(result.changed, bool | None), "changed is neither true nor false")
    require(is_share_or_none(result.probability), _NO_PROBABILITY)
    require(isinstance(result.caption, str), "a caption is not a text")
    require(isinstance(result.counts, Mapping), "the counts are no object")
    for name, count in result.counts.items():
        require(name in classes, "counts are of a class that the model does not know")
        require(is_count(count), _NO_COUNT)
    are_tasks = all(isinstance(task, Task) for task in result.unparsed)
    require(are_tasks, "a task is not one that models are asked")
    _check_seen(result)
    for missing in result.missing:
        require(isinstance(missing.reason, str), "a reason is not a text")
    for cell in result.cells:
        _check_cell(cell, result.window.core, classes)
    if result.ballot is not None:
        for vote in result.ballot.votes or ():
            _check_vote(vote, result.window.read, classes)


def check_result_of_outlines(result: TileResult, classes: Collection[str]) -> None:
    """Refuses a result that no run of a model whose answers are `Outlines` can have given.

    Raises:
        ValueError: If a part of the result makes no sense, or a probability is missing.
    """
    check_result(result, classes)
    for cell in result.cells:
        require(is_share(cell.probability), _NO_PROBABILITY)


def _check_seen(result: TileResult) -> None:
    """Refuses what no tile can hold of ground that was seen, and a calibration that is none."""
    core = result.window.core
    most_px = core.height_px * core.width_px
    is_told = isinstance(result.tells_land_cover, bool)
    require(is_told, "it does not say whether land cover was told")
    for count in (result.valid_px, result.not_seen_px or 0):
        require(is_count(count, most_px), "a number of pixels is out of range")
    if result.calibration is not None:
        mean, share = result.calibration
        are_shares = len(mean) == len(share) and all(map(is_share, (*mean, *share)))
        is_rising = are_shares and list(mean) == sorted(mean)
        require(is_rising, "a calibration is not two rising lists of one length")


def _check_cell(cell: Cell, core: PixelWindow, classes: Collection[str]) -> None:
    require(cell.class_name in classes, "a class is not one that the model knows")
    require(isinstance(cell.change, Change), "a change is not one of the directions")
    require(is_share_or_none(cell.probability), _NO_PROBABILITY)
    require(is_share_or_none(cell.change_probability), _NO_PROBABILITY)
    require(isinstance(cell.caption, str), "a caption is not a text")
    require(set(cell.grid_cells) <= _NAMES, "a cell of the 3x3 grid has an unknown name")
    ground = cell.ground or ()
    are_amounts = all(
        type(n) in (int, float) and 0 <= n < math.inf for part in ground for n in part
    )
    lengths = {len(part) for part in ground}
    is_ground = are_amounts and (lengths <= {0} or lengths == {len(LAND_COVER) + 1})
    require(is_ground, "the ground under a shape is not a list of amounts")
    require(cell.objects is None or is_count(cell.objects), _NO_COUNT)
    is_described = not cell.descriptor or is_packed_descriptor(cell.descriptor)
    require(is_described, "what is told of a shape is no sums of pixels")
    require(isinstance(cell.is_candidate, bool), "it does not say whether a shape is a candidate")
    check_polygon(cell.polygon, core)


def check_polygon(polygon: object, core: PixelWindow) -> None:
    """Refuses a shape that is no polygon within a tile's core.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(polygon, shapely.Polygon) or polygon.is_empty:
        raise ValueError("a shape is not a polygon")
    require(bool(np.isfinite(polygon.bounds).all()), "a shape is not finite")
    require(polygon.is_valid and not polygon.has_z, "a shape is not valid")
    left, top, right, bottom = polygon.bounds
    is_within = core.col_start <= left and right <= core.col_stop
    is_within = is_within and core.row_start <= top and bottom <= core.row_stop
    require(is_within, "a shape lies outside its tile")


def _check_vote(vote: Vote, read: PixelWindow, classes: Collection[str]) -> None:
    window, grid_cell, probability, direction = vote.box
    require(vote.class_name in classes, "a class is not one that the model knows")
    require(is_share_or_none(probability), _NO_PROBABILITY)
    directed = None if direction is None else direction.probability
    require(is_share_or_none(directed), _NO_PROBABILITY)
    require(grid_cell in GRID_CELLS, "a cell of the 3x3 grid has an unknown name")
    edges = (window.row_start, window.row_stop, window.col_start, window.col_stop)
    require(all(type(edge) is int for edge in edges), "a box is not four whole numbers")
    is_within = window.height_px > 0 and window.width_px > 0 and window.cut_to(read) == window
    require(is_within, "a box lies outside its tile")


def is_share_or_none(value: object) -> bool:
    """Whether a value is a number from 0 to 1, or there is none."""
    return value is None or is_share(value)


def is_share(value: object) -> bool:
    """Whether a value is a number from 0 to 1; NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_count(value: object, greatest: int = _MOST_COUNTED) -> bool:
    """Whether a value is a whole number in range."""
    return type(value) is int and 0 <= value <= greatest


def require(holds: object, reason: str) -> None:
    """Raises a ValueError with the reason unless something holds."""
    if not holds:
        raise ValueError(reason)
