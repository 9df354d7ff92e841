"""Tiles that overlap by half vote on the ground they share.

A model that answers in cells of a 3x3 grid cuts what lies on a border between them. Tiles shifted
by half see the same place with other borders, and what most of them say is narrower than what one
of them says.

All edges of boxes and tiles cut the ground into pieces. A piece counts as changed where more than
half of the tiles that see it say so, class by class; its direction is the one with the most
probability behind it. Tiles that saw no change say no; a tile that failed, or whose answer made no
sense, has no vote. The probability of a piece, which becomes confidence and heat, is the mean of
what all these tiles say: that of their box there, or 0. A box without a probability counts as 1, so
that the mean is the share of the tiles that name the class; where a single tile sees the piece,
that is no share, and its probability stays unknown.

The mean does not decide, because models leave out what they hold for unlikely: counted as 0, it
pulls the mean below one half where three of four tiles are sure enough, the more so after closer
looks. Half of the tiles are not enough, because of two tilings one mostly has a cell that reaches
far out on a side of an object (`benchmarks/finer.py` measures what comes of it).

Each tile's core is settled when its neighbours are known, so results stream through here row by
row: five rows of tiles are held at most.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.features.tile_results import HEAT_NODATA, HEAT_SCALE, Ballot, Cell, TileResult, Vote
from geochg.geometry.grid_cells import grid_box
from geochg.records import GRID_CELLS, Change, PixelWindow

_REACH = 2
"""Rows and columns of tiles that may see a core; the last of a row, moved inwards, reaches two."""

_CHANGES = tuple(Change)


def voted_results(results: Iterable[TileResult]) -> Iterator[TileResult]:
    """The results with the cells that were voted for.

    Args:
        results: Results with ballots, in raster order.

    Yields:
        The same tiles in the same order. A piece that its own tile does not name has the caption of
        the tile that is surest of it, and a tile that saw no change has no counts, so that no
        feature is described by who did not see it.
    """
    for result, voters in _with_voters(results):
        counts = result.counts if result.changed else {}
        yield replace(result, cells=tuple(_cells(result, voters)), counts=counts)


def voted_heat(results: Iterable[TileResult]) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
    """The heat of each core by the votes of `voted_results`: of each pixel the likeliest class.

    Yields:
        Core and `(core height, core width)` uint8, as `TileResult.heat`.
    """
    for result, voters in _with_voters(results):
        yield result.window.core, _heat(result, voters)


# --- who sees what -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Voter:
    """A tile that votes on a core, the part of it that it sees, and its votes on that part."""

    result: TileResult
    seen: PixelWindow
    votes: Sequence[tuple[Vote, PixelWindow]]


def _with_voters(results: Iterable[TileResult]) -> Iterator[tuple[TileResult, list[_Voter]]]:
    """Each tile with those that vote on its core, itself first."""
    rows: dict[int, dict[int, TileResult]] = {}
    waiting: deque[int] = deque()
    for row, tiles in groupby(results, key=lambda result: result.window.row):
        while waiting and waiting[0] + _REACH < row:
            yield from _row(rows, waiting.popleft())
        rows[row] = {result.window.col: result for result in tiles}
        waiting.append(row)
        for past_row in [number for number in rows if number < waiting[0] - _REACH]:
            del rows[past_row]
    for row in waiting:
        yield from _row(rows, row)


def _row(
    rows: Mapping[int, Mapping[int, TileResult]], row: int
) -> Iterator[tuple[TileResult, list[_Voter]]]:
    reach = range(-_REACH, _REACH + 1)
    for col, result in rows[row].items():
        near = [rows.get(row + dy, {}).get(col + dx) for dy in reach for dx in reach]
        others = [other for other in near if other is not None and other is not result]
        voters = (_voter(neighbour, result.window.core) for neighbour in (result, *others))
        yield result, [voter for voter in voters if voter is not None]


def _voter(result: TileResult, core: PixelWindow) -> _Voter | None:
    ballot = _ballot(result)
    seen_window = result.window.read.cut_to(core)
    if seen_window is None or ballot.votes is None:
        return None
    cut_votes = [(vote, vote.box.window.cut_to(core)) for vote in ballot.votes]
    return _Voter(
        result, seen_window, [(vote, part) for vote, part in cut_votes if part is not None]
    )


def _ballot(result: TileResult) -> Ballot:
    if result.ballot is None:
        raise ValueError("the tiles of this run did not vote")
    return result.ballot


# --- pieces --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pieces:
    """A core cut along some rows and columns: the edges on the grid, ascending."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]

    @classmethod
    def of(cls, core: PixelWindow, windows: Iterable[PixelWindow]) -> Self:
        """Cuts a core along the edges of windows within it."""
        rows, cols = {core.row_start, core.row_stop}, {core.col_start, core.col_stop}
        for window in windows:
            rows |= {window.row_start, window.row_stop}
            cols |= {window.col_start, window.col_stop}
        return cls(np.array(sorted(rows)), np.array(sorted(cols)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of pieces."""
        return len(self.rows) - 1, len(self.cols) - 1

    def within(self, window: PixelWindow) -> tuple[slice, slice]:
        """The pieces of a window whose edges are among those cut along."""
        places = self._places
        return (
            slice(places[0][window.row_start], places[0][window.row_stop]),
            slice(places[1][window.col_start], places[1][window.col_stop]),
        )

    @cached_property
    def _places(self) -> tuple[dict[int, int], dict[int, int]]:
        """The number of each row and column edge; many windows are looked up."""
        rows, cols = self.rows.tolist(), self.cols.tolist()
        return {edge: i for i, edge in enumerate(rows)}, {edge: i for i, edge in enumerate(cols)}

    def any(self, pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of each piece, whether any of its pixels is set; pixels are those of the core."""
        row_pieces = np.logical_or.reduceat(pixels, self.rows[:-1] - self.rows[0], axis=0)
        return np.logical_or.reduceat(row_pieces, self.cols[:-1] - self.cols[0], axis=1)

    def pixel_values(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels of the core, each with the value of its piece."""
        return np.repeat(np.repeat(values, np.diff(self.rows), 0), np.diff(self.cols), 1)


@dataclass
class _Tally:
    """The votes for one class on the pieces of a core.

    Attributes:
        agreeing: `(rows, cols)` number of tiles that say it changed.
        unmeasured: `(rows, cols)` how many of them give no probability.
        total: `(rows, cols)` sum of their probabilities.
        directed: `(changes, rows, cols)` likewise for each direction, times the direction's own.
        undirected: `(rows, cols)` how many give no probability of their direction.
        surest: `(rows, cols)` highest probability; above one where the core's own tile votes.
        strongest_voter: `(rows, cols)` index of the voter with that probability.
    """

    shape: tuple[int, int]
    agreeing: NDArray[np.int64] = field(init=False)
    unmeasured: NDArray[np.int64] = field(init=False)
    undirected: NDArray[np.int64] = field(init=False)
    directed: NDArray[np.float64] = field(init=False)
    total: NDArray[np.float64] = field(init=False)
    surest: NDArray[np.float64] = field(init=False)
    strongest_voter: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        self.agreeing = np.zeros(self.shape, np.int64)
        self.unmeasured = np.zeros(self.shape, np.int64)
        self.undirected = np.zeros(self.shape, np.int64)
        self.total = np.zeros(self.shape)
        self.directed = np.zeros((len(_CHANGES), *self.shape))
        self.surest = np.zeros(self.shape)
        self.strongest_voter = np.zeros(self.shape, np.intp)

    def add(self, vote: Vote, part: tuple[slice, slice], voter: int, *, is_own: bool) -> None:
        """Counts a vote on some pieces."""
        likely = 1.0 if vote.box.probability is None else vote.box.probability
        directed = vote.box.direction.probability if vote.box.direction else None
        self.agreeing[part] += 1
        self.unmeasured[part] += vote.box.probability is None
        self.undirected[part] += directed is None
        self.total[part] += likely
        self.directed[_CHANGES.index(vote.change)][part] += likely * (
            1.0 if directed is None else directed
        )
        weight = 2.0 if is_own else likely
        surer = weight > self.surest[part]
        self.strongest_voter[part][surer] = voter
        self.surest[part][surer] = weight

    def likely(self, seen_counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """`(rows, cols)` the probability of each piece; NaN where it is not known."""
        share = np.minimum(self.total / np.maximum(seen_counts, 1), 1.0)
        return np.where((self.unmeasured > 0) & (seen_counts == 1), np.nan, share)

    def directions(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """`(rows, cols)` index and probability of the direction; NaN where that is not known."""
        highest = self.directed.max(axis=0)
        share = np.divide(highest, self.total, out=np.zeros(self.shape), where=self.total > 0)
        is_unknown = (self.undirected > 0) & (self.agreeing == 1)
        return self.directed.argmax(axis=0), np.where(is_unknown, np.nan, np.minimum(share, 1.0))


def _tallies(
    voters: Sequence[_Voter], own_result: TileResult, pieces: _Pieces
) -> tuple[dict[str, _Tally], NDArray[np.int64]]:
    """The votes by class, and by how many tiles each piece is seen."""
    tallies: dict[str, _Tally] = {}
    seen_counts = np.zeros(pieces.shape, np.int64)
    for number, voter in enumerate(voters):
        seen_counts[pieces.within(voter.seen)] += 1
        for vote, part in voter.votes:
            if vote.class_name not in tallies:
                tallies[vote.class_name] = _Tally(pieces.shape)
            tallies[vote.class_name].add(
                vote, pieces.within(part), number, is_own=voter.result is own_result
            )
    return tallies, seen_counts


def _edges(voters: Sequence[_Voter]) -> list[PixelWindow]:
    return [edge for v in voters for edge in (v.seen, *(part for _, part in v.votes))]


def _cells(result: TileResult, voters: Sequence[_Voter]) -> Iterator[Cell]:
    """The pieces of a core that changed."""
    if not any(voter.votes for voter in voters):
        return
    core = result.window.core
    # Cut along its own grid too, so that each piece lies in one cell of it.
    grid = [(cell, grid_box(result.window.read, cell).cut_to(core)) for cell in GRID_CELLS]
    own_cells = [(cell, part) for cell, part in grid if part is not None]
    pieces = _Pieces.of(core, [*_edges(voters), *(part for _, part in own_cells)])
    tallies, seen_counts = _tallies(voters, result, pieces)
    valid = pieces.any(_ballot(result).valid)
    names = np.empty(pieces.shape, object)
    for cell, part in own_cells:
        names[pieces.within(part)] = cell.name
    for class_name, tally in tallies.items():
        probability, (direction, directed) = tally.likely(seen_counts), tally.directions()
        for row, col in np.argwhere((2 * tally.agreeing > seen_counts) & valid).tolist():
            strongest = voters[int(tally.strongest_voter[row, col])].result
            low, left = int(pieces.rows[row]), int(pieces.cols[col])
            high, right = int(pieces.rows[row + 1]), int(pieces.cols[col + 1])
            yield Cell(
                class_name,
                _CHANGES[int(direction[row, col])],
                _known(probability[row, col]),
                shapely.box(left, low, right, high),
                (str(names[row, col]),),
                "" if strongest is result else strongest.caption,
                change_probability=_known(directed[row, col]),
            )


def _known(probability: np.float64) -> float | None:
    return None if np.isnan(probability) else float(probability)


def _heat(result: TileResult, voters: Sequence[_Voter]) -> NDArray[np.uint8]:
    pieces = _Pieces.of(result.window.core, _edges(voters))
    tallies, seen_counts = _tallies(voters, result, pieces)
    highest = np.zeros(pieces.shape)
    for tally in tallies.values():
        highest = np.maximum(highest, tally.total)
    share = np.minimum(highest / np.maximum(seen_counts, 1), 1.0)
    values = np.where(seen_counts, np.rint(share * HEAT_SCALE), HEAT_NODATA).astype(np.uint8)
    heat = pieces.pixel_values(values)
    heat[~_ballot(result).valid] = HEAT_NODATA
    return heat
