"""Asks a model about batches of tiles on a thread of its own, ahead of what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice, repeat
from typing import NamedTuple

from geochg.errors import CancelledRunError, TilesFailedError
from geochg.records import Tile, TileAnswers, TileFailure
from geochg.safety.finite import finite_answers

FIRST_BATCHES = (2, 8, 16, 32)
"""Tiles of the first batches, so that the first results come soon."""

FIRST_REFUSALS = 3
"""Tiles that may be refused for good before any was answered: what is refused is the request."""

LATER_REFUSALS = 16
"""Tiles in a row, where others were answered before."""

_PATIENCE_S = 0.2  # how long Ctrl-C may go unnoticed: Windows does not interrupt a wait
Ask = Callable[[Sequence[Tile]], list[TileAnswers]]
"""Answers about tiles, one entry a tile."""


class AnsweredBatch(NamedTuple):
    """A batch and the model's answers.

    Attributes:
        batch: The tiles as they were read.
        answers: Answers about the tiles that `tiles_to_ask` gives, in order.
    """

    batch: Sequence[Tile | TileFailure]
    answers: Sequence[TileAnswers]


def answered_ahead(
    tiles: Iterator[Tile | TileFailure], batch_tiles: int, ask: Ask
) -> Generator[AnsweredBatch, None, None]:
    """The tiles in batches that soon are as large as asked for, answered in order.

    While the caller works on a batch, the next one is answered and the one after that is read.
    The model is never asked after it failed, nor where tile after tile fails for good; what it is
    busy with when the run is cancelled is still given. A tile about which the model gives a number
    that is not finite has failed.

    Args:
        tiles: As they are read; may raise.
        batch_tiles: Tiles in a batch; fewer in the first ones.
        ask: Called on one thread, with one batch after the other.

    Raises:
        CancelledRunError: If reading does, after the batch that was being answered.
        TilesFailedError: If too many tiles in a row fail for good; see `Refusals`.
    """
    pending: _PendingBatch | None = None
    refusals = Refusals()
    sizes = chain((size for size in FIRST_BATCHES if size < batch_tiles), repeat(batch_tiles))
    with ThreadPoolExecutor(1, "geochg-model") as model:
        try:
            while batch := list(islice(tiles, next(sizes))):
                answered_batch = pending and pending.wait()
                pending = _PendingBatch(batch, model.submit(_ask, ask, batch, refusals))
                if answered_batch:
                    yield answered_batch
        except CancelledRunError:
            if pending:
                yield pending.wait()
            raise
        if pending:
            yield pending.wait()


def tiles_to_ask(batch: Sequence[Tile | TileFailure]) -> list[Tile]:
    """The tiles that were read and have something valid in their core."""
    return [tile for tile in batch if isinstance(tile, Tile) and has_core(tile)]


def has_core(tile: Tile) -> bool:
    """Whether a tile has a valid pixel in its core; others are skipped."""
    return bool(tile.valid[tile.window.core.slices_within(tile.window.read)].any())


class _PendingBatch(NamedTuple):
    """A batch the model is busy with."""

    batch: Sequence[Tile | TileFailure]
    answers: Future[list[TileAnswers]]

    def wait(self) -> AnsweredBatch:
        while not self.answers.done():
            wait([self.answers], timeout=_PATIENCE_S)
        return AnsweredBatch(self.batch, self.answers.result())


def _ask(ask: Ask, batch: Sequence[Tile | TileFailure], refusals: Refusals) -> list[TileAnswers]:
    refusals.check()
    tiles = tiles_to_ask(batch)
    replies = ask(tiles) if tiles else []
    answers = [finite_answers(tile, reply) for tile, reply in zip(tiles, replies, strict=True)]
    given_answers = iter(answers)
    # Tiles without data, which are not asked about, tell nothing.
    outcomes = (tile for tile in batch if isinstance(tile, TileFailure) or has_core(tile))
    refusals.note(
        tile if isinstance(tile, TileFailure) else next(given_answers) for tile in outcomes
    )
    return answers


class Refusals:
    """Counts the tiles that fail for good, one after the other."""

    def __init__(self) -> None:
        self._any_answered = False
        self._in_row = 0
        self._reason = ""

    def note(self, outcomes: Iterable[object]) -> None:
        """Takes notice of what came of tiles, in their order.

        Args:
            outcomes: A `TileFailure` for each tile that failed, anything else for one that was
                answered.
        """
        for outcome in outcomes:
            if not isinstance(outcome, TileFailure):
                self._any_answered, self._in_row = True, 0
            elif outcome.is_permanent:
                self._in_row, self._reason = self._in_row + 1, outcome.reason

    def check(self) -> None:
        """Raises where asking on is of no use.

        Raises:
            TilesFailedError: If too many tiles in a row failed for good; it names the last reason.
        """
        limit = LATER_REFUSALS if self._any_answered else FIRST_REFUSALS
        if self._in_row >= limit:
            raise TilesFailedError(
                f"{self._in_row} tiles in a row failed for good, so no more are asked about: "
                f"{self._reason}",
                "mend what that reason names, then run again with --resume",
            )
