"""How the results of tiles become rows of a journal, and back."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from geochg.features.tile_results import TileResult
from geochg.pipeline.journal_checks import check_result, check_result_of_outlines
from geochg.pipeline.journal_record import record_of, result_of
from geochg.records import TileWindow

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class RecordKind(Generic[ResultT]):
    """One kind of results.

    Attributes:
        row: The values of a row of the table `tile`, by the tile's index in place of the number.
        result: The result of a tile's window, record and packed valid pixels; raises what damaged
            values raise, see `journal_record.result_of`.
        check: Refuses a result that no run can have given by a ValueError; it is given the classes
            that the model of the run can name.
    """

    row: Callable[[ResultT], tuple[Any, ...]]
    result: Callable[[TileWindow, str, bytes | None], ResultT]
    check: Callable[[ResultT, Collection[str]], None]


def _row(result: TileResult) -> tuple[Any, ...]:
    """The row of a result of two dates."""
    heat = None if result.heat is None else zlib.compress(result.heat.tobytes(), level=1)
    valid = None
    if result.ballot is not None:
        valid = zlib.compress(np.packbits(result.ballot.valid).tobytes(), level=1)
    index = result.window.index
    flags = (result.changed, bool(result.unparsed), bool(result.missing))
    return index, *flags, record_of(result), heat, valid, result.not_seen_px


CHANGES = RecordKind(_row, result_of, check_result)
"""Results of two dates."""

CHANGES_OF_OUTLINES = replace(CHANGES, check=check_result_of_outlines)
"""Likewise, of models whose answers are `Outlines`: each shape has a probability."""
