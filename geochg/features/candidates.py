"""Pieces that were found below the usual threshold, which a head may make changes of.

They come of the model's own map, with the threshold of a higher sensitivity, and touch no change
that was found anyway: so the outlines of those stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geochg.features.cells import CellSettings
from geochg.features.collecting import Collected
from geochg.features.merging import Contacts
from geochg.features.outlines import pieces
from geochg.features.tile_results import TileResult
from geochg.geometry.hysteresis import changed_pixels
from geochg.geometry.pieces import label_pieces, number_groups
from geochg.options import Geometry
from geochg.records import Answer, Outlines, Tile

LOWER_LOG_ODDS = -1.0
"""How far below the usual threshold candidates lie, in log odds: as far as `--sensitivity high`."""


def with_candidates(
    tile: Tile, answers: Sequence[Answer], result: TileResult, settings: CellSettings
) -> TileResult:
    """The result of a tile with its candidates among the cells; without outlines there are none.

    Args:
        tile: The tile.
        answers: The model's answers about it.
        result: What is kept of them.
        settings: The settings of that.
    """
    outlines = next((answer for answer in answers if isinstance(answer, Outlines)), None)
    if outlines is None or settings.geometry is not Geometry.OUTLINE:
        return result
    log_odds = settings.sensitivity.log_odds
    usual, wide = (
        changed_pixels(
            outlines, tile.valid, settings.keeps, log_odds=odds, least_px=settings.least_px
        )
        for odds in (log_odds, log_odds + LOWER_LOG_ODDS)
    )
    if usual is None or wide is None or not wide.changed.any():
        return result
    labels, count = label_pieces(wide.changed | usual.changed, corners=True)
    is_known = np.zeros(count + 1, bool)
    is_known[0] = True
    is_known[labels[usual.changed]] = True
    separate = wide._replace(changed=~is_known[labels])
    window = tile.window
    cells = pieces(window.read, window.core, separate, outlines, settings.pixel_area_m2)
    candidates = tuple(replace(cell, is_candidate=True) for cell in cells)
    return replace(result, cells=(*result.cells, *candidates)) if candidates else result


def separate_candidates(collection: Collected) -> Iterator[Collected]:
    """The cells that were found, and then the candidates, so that these alter no shape of those.

    Candidates that hang together, over tile borders, with what was found are left out.
    """
    candidate = np.array([cell.is_candidate for cell in collection.cells], bool)
    if not candidate.any():
        yield collection
        return
    contacts = Contacts.of(collection.polygons)
    touches = candidate[contacts.left] | candidate[contacts.right]
    group = number_groups(contacts.left[touches], contacts.right[touches], len(candidate))
    for is_chosen in (~candidate, candidate & ~np.isin(group, group[~candidate])):
        if is_chosen.any():
            yield _chosen_cells(collection, is_chosen)


def _chosen_cells(collection: Collected, is_chosen: NDArray[np.bool_]) -> Collected:
    cells = [collection.cells[index] for index in np.flatnonzero(is_chosen).tolist()]
    return collection._replace(cells=cells, tile=collection.tile[is_chosen])
