"""When to stop asking: tile after tile fails in a way that no repetition mends."""

from __future__ import annotations

from collections.abc import Iterable

from geochg.errors import TilesFailedError
from geochg.records import TileFailure

FIRST_REFUSALS = 3
"""Tiles that may be refused for good before any was answered: what is refused is the request."""

LATER_REFUSALS = 16
"""Tiles in a row, where others were answered before."""


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
