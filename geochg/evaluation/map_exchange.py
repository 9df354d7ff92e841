"""Exchanges the after images of pairs with masks: how many cells a map calls changed then."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from geochg.datasets.exchanged_raster import exchange_key, lay_copy
from geochg.datasets.kinds import MaskedPair
from geochg.errors import CancelledRunError, GeochgError, InputError
from geochg.evaluation.exchange import exchange_partners
from geochg.evaluation.exchange_scores import CalledItem, ExchangeScores, exchange_scores
from geochg.evaluation.map_measures import MapMeasures, map_measures
from geochg.evaluation.options import FitMetric
from geochg.evaluation.scores import difference_threshold
from geochg.events import Listener
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions


def check_exchange(pairs: Sequence[MaskedPair]) -> None:
    """Refuses a kind among whose pairs no images can be exchanged, before anything is mapped.

    Raises:
        InputError: If so.
    """
    sizes = []
    for pair in pairs:
        # A pair that cannot be read is reported where it is scored.
        with suppress(InputError):
            sizes.append(exchange_key(pair.after, pair.mask))
    exchange_partners(sizes, [str(number) for number in range(len(sizes))])


def map_exchange(
    measures: Sequence[MapMeasures],
    model: ChangeModel,
    options: AnalyzeOptions,
    seed: int,
    listener_of: Callable[[MaskedPair], Listener],
) -> ExchangeScores | None:
    """The share of cells that features cover where after images are exchanged within a kind.

    Args:
        measures: Measures of the pairs of a kind as they are.
        model: The model that mapped them.
        options: Options of the analysis.
        seed: Seed of the exchange.
        listener_of: A listener for the run on a pair.

    Returns:
        None where no exchanged pair could be mapped.

    Raises:
        InputError: If no images can be exchanged.
    """
    pairs = [measure.pair for measure in measures]
    sizes = [exchange_key(pair.after, pair.mask) for pair in pairs]
    partners = exchange_partners(sizes, [pair.name for pair in pairs], seed)
    exchanged: list[CalledItem] = []
    failures = 0
    with tempfile.TemporaryDirectory(prefix="geochg-") as folder:
        for number, partner in partners.items():
            pair, other = pairs[number], pairs[partner]
            after = Path(folder) / f"{number}.tif"
            try:
                lay_copy(other.after, other.mask, pair.mask, after)
                new_pair = MaskedPair(pair.name, pair.before, after, pair.mask)
                mapped = map_measures(new_pair, model, options, listener_of(pair))
            except CancelledRunError:
                raise
            except GeochgError:
                # Two dates may fit so badly that they are refused, which calls nothing changed.
                failures += 1
                continue
            exchanged += _called_cells(mapped)
    if not exchanged:
        return None
    truth = np.concatenate([measure.truth for measure in measures])
    difference = np.concatenate([measure.difference for measure in measures])
    scores = exchange_scores(
        exchanged,
        [item for measure in measures for item in _called_cells(measure)],
        difference_threshold(truth, difference, FitMetric.BALANCED_ACCURACY),
        unanswered=failures,
        lone_pairs=len(pairs) - len(partners),
        seed=seed,
    )
    return replace(scores, unit="cells")


def _called_cells(measures: MapMeasures) -> list[CalledItem]:
    return [
        CalledItem(measures.pair.name, bool(changed), bool(is_covered), float(difference))
        for changed, is_covered, difference in zip(
            measures.truth, measures.covered, measures.difference, strict=True
        )
    ]
