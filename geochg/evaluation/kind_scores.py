"""Scores of the maps of pairs with masks, kind by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from geochg.datasets.kinds import LAYOUT_HINT, Kind, MaskedPair
from geochg.errors import (
    CancelledRunError,
    GeochgError,
    InputError,
    ModelError,
    OptionError,
    RunError,
)
from geochg.evaluation.column_groups import ColumnScores, group_indexes
from geochg.evaluation.exchange_scores import ExchangeScores
from geochg.evaluation.histogram import ScoreHistogram
from geochg.evaluation.intervals import ROUNDS
from geochg.evaluation.map_exchange import check_exchange, map_exchange
from geochg.evaluation.map_measures import MapMeasures, map_measures
from geochg.evaluation.map_scores import (
    METRICS,
    ScoredPair,
    has_changed,
    score_lines,
    scored_pairs,
)
from geochg.evaluation.reliability import Reliability, reliability
from geochg.evaluation.tables import ScoreTable, lines_to_dict
from geochg.events import Event, Listener, Notice, Progress, ignore
from geochg.models.base import ChangeModel
from geochg.models.loading import check_classes, check_sensitivity, load_configured_model
from geochg.options import AnalyzeOptions

HIGHEST_HEAT = 254
"""Value of a heatmap that stands for a probability of 1."""

ALL, CHANGED, UNCHANGED = "all pairs", "changed pairs", "unchanged pairs"


@dataclass(frozen=True, slots=True)
class NotScored:
    """A pair that could not be scored, or a kind of which no pair was tried.

    Attributes:
        pair: Name of the pair; empty where it is the whole kind.
        error: The error that kept it from being scored.
    """

    pair: str
    error: GeochgError

    def to_dict(self) -> dict[str, str]:
        """The failure as plain JSON values."""
        return {"pair": self.pair, "reason": self.error.message, "hint": self.error.hint}


@dataclass(frozen=True)
class KindScores:
    """The scores of one kind.

    Attributes:
        kind: The kind.
        classes: Classes that the model was asked to keep; empty for all.
        pairs: Measures of the pairs that were scored.
        failed: Pairs that were not scored.
        tables: All pairs; where pairs with and without change occur, each also by themselves.
        scored: The pairs with differencing at its best thresholds.
        exchange: The exchange of after images; None where none was asked for or none was mapped.
    """

    kind: Kind
    classes: tuple[str, ...]
    pairs: Sequence[MapMeasures] = ()
    failed: Sequence[NotScored] = ()
    tables: Sequence[ScoreTable] = ()
    scored: Sequence[ScoredPair] = ()
    exchange: ExchangeScores | None = None

    @property
    def name(self) -> str:
        """The name of the kind."""
        return self.kind.name

    @property
    def heading(self) -> str:
        """The name as the heading of a section."""
        return self.kind.name

    @property
    def summary(self) -> str:
        """What was scored, on one line."""
        if not self.pairs:
            return "no pair scored"
        truth = np.concatenate([pair.truth for pair in self.pairs])
        share = f"{truth.mean():.0%} of them changed" if len(truth) else "none large enough"
        failed = f"; {len(self.failed)} pairs not scored" if self.failed else ""
        return f"{len(self.pairs)} pairs, {len(truth)} cells, {share}{failed}"

    @property
    def notes(self) -> list[str]:
        """Sentences on how the scores were made."""
        notes = [
            f"{failure.pair or 'no pair'} is not scored: {failure.error.message}"
            for failure in self.failed
        ]
        if self.pairs:
            notes.append("differencing has the best thresholds on these very pairs")
        if len(self.pairs) > 1:
            notes.append(f"in brackets: 95 % of {ROUNDS:,} bootstrap samples of the pairs")
        if self.classes:
            notes.append(f"only features of {', '.join(self.classes)} are scored")
        return notes

    @property
    def reliability(self) -> list[Reliability]:
        """The share of right features in each bin of confidence."""
        return reliability([pair.scored_features for pair in self.pairs])

    def histogram(self) -> ScoreHistogram | None:
        """The histogram of the heat of cells, 0-1, by label; None where no pair was scored."""
        if not self.pairs:
            return None
        heat = np.concatenate([pair.heat for pair in self.pairs]) / HIGHEST_HEAT
        labels = np.concatenate([pair.truth for pair in self.pairs]).tolist()
        return ScoreHistogram.of(heat, labels, "mean heat of cells")

    def by_column(self, name: str, columns: Mapping[str, Mapping[str, str]]) -> ColumnScores:
        """The scores of the groups of a column.

        Args:
            name: Name of the column.
            columns: Columns of each pair, by its name.

        Raises:
            OptionError: If no pair has the column, or it has too many values.
        """
        groups = group_indexes([columns[pair.measures.pair.name] for pair in self.scored], name)
        parts = {value: [self.scored[i] for i in indexes] for value, indexes in groups.items()}
        note = f"in brackets: 95 % of {ROUNDS:,} bootstrap samples of the pairs"
        return ColumnScores(
            self.name,
            name,
            [_table(value, part) for value, part in parts.items()],
            list(parts),
            {value: len(part) for value, part in parts.items()},
            [note],
        )

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values, as fractions."""
        histogram = self.histogram()
        return {
            "kind": self.name,
            "classes": list(self.classes),
            "groups": [
                {"group": table.group, "pairs": table.items, "scores": lines_to_dict(table)}
                for table in self.tables
            ],
            **({"exchange": self.exchange.to_dict()} if self.exchange is not None else {}),
            "histogram": None if histogram is None else histogram.to_dict(),
            "reliability": [asdict(bin_) for bin_ in self.reliability],
            "pairs": [_facts(pair) for pair in self.pairs],
            "failed": [failure.to_dict() for failure in self.failed],
        }


@dataclass(frozen=True)
class KindsReport:
    """The scores of all kinds, and the model that was asked.

    Attributes:
        identity: `ModelIdentity` as plain values.
        kinds: Scores of each kind.
    """

    identity: Mapping[str, str]
    kinds: Sequence[KindScores]


def kinds_report(
    kinds: Sequence[Kind],
    options: AnalyzeOptions,
    listener: Listener = ignore,
    *,
    exchange_seed: int | None = None,
) -> KindsReport:
    """Maps what changed in each pair as `analyze` does, and scores the maps.

    A pair that cannot be scored is named, in a warning and in the scores, and the others are
    scored without it.

    Args:
        kinds: Kinds of pairs.
        options: Options of the analysis. Where they keep no classes, those are kept that the masks
            of a kind cover.
        listener: Receives progress in pairs and notices, on the calling thread.
        exchange_seed: Seed of the exchange of after images; None for no exchange.

    Raises:
        GeochgError: If no pair could be scored: an `InputError`, `OptionError` or `ModelError`
            because of the input or an option, else a `RunError`.
    """
    if exchange_seed is not None:
        for kind in kinds:
            check_exchange(kind.pairs)
    run = _KindScorer(options, listener, sum(len(kind.pairs) for kind in kinds), exchange_seed)
    scores = [run.scores(kind) for kind in kinds]
    if not any(kind.pairs for kind in scores):
        raise _nothing_scored([failure for kind in scores for failure in kind.failed])
    return KindsReport(run.identity, scores)


@dataclass
class _KindScorer:
    """Scores kind by kind, reports progress, and keeps the identity of the model."""

    options: AnalyzeOptions
    listener: Listener
    total: int
    exchange_seed: int | None = None
    done: int = 0
    identity: dict[str, str] = field(default_factory=dict)

    def scores(self, kind: Kind) -> KindScores:
        """The scores of one kind."""
        classes = self.options.classes or kind.classes
        options = replace(self.options, classes=classes)
        try:
            model = load_configured_model(options)
            check_classes(options, model)
            check_sensitivity(options, model)
        except GeochgError as error:
            failed = self._not_scored(kind, "", error)
            self._advance(len(kind.pairs))
            return KindScores(kind, classes, failed=[failed])
        self.identity = asdict(model.identity)
        measures, failures = list[MapMeasures](), list[NotScored]()
        for pair in kind.pairs:
            try:
                measures.append(map_measures(pair, model, options, self._listener_of(kind, pair)))
            except CancelledRunError:
                raise
            except GeochgError as error:
                failures.append(self._not_scored(kind, pair.name, error))
            self._advance(1)
        if not measures:
            return KindScores(kind, classes, measures, failures)
        scored = scored_pairs(measures)
        exchange = self._exchange(kind, measures, model, options)
        return KindScores(kind, classes, measures, failures, _tables(scored), scored, exchange)

    def _exchange(
        self,
        kind: Kind,
        measures: Sequence[MapMeasures],
        model: ChangeModel,
        options: AnalyzeOptions,
    ) -> ExchangeScores | None:
        if self.exchange_seed is None:
            return None

        def listener_of(pair: MaskedPair) -> Listener:
            return self._listener_of(kind, replace(pair, name=f"{pair.name}, exchanged"))

        name = f"{kind.name}, exchange"
        try:
            scores = map_exchange(measures, model, options, self.exchange_seed, listener_of)
        except InputError as error:
            # Some pairs could not be mapped, and the others are too few.
            self.listener(Notice(f"{name} is left out: {error.message}", warning=True))
            return None
        return None if scores is None else replace(scores, name=name, heading=name)

    def _advance(self, pairs: int) -> None:
        self.done += pairs
        self.listener(Progress("scored", self.done, self.total))

    def _not_scored(self, kind: Kind, pair: str, error: GeochgError) -> NotScored:
        name = f"{kind.name}/{pair}" if pair else kind.name
        self.listener(Notice(f"{name} is not scored: {error.message}", warning=True))
        return NotScored(pair, error)

    def _listener_of(self, kind: Kind, pair: MaskedPair) -> Listener:
        """A listener that passes on notices of a pair with its name, and no progress."""

        def pass_on(event: Event) -> None:
            if isinstance(event, Notice):
                self.listener(replace(event, message=f"{kind.name}/{pair.name}: {event.message}"))

        return pass_on


def _tables(pairs: Sequence[ScoredPair]) -> list[ScoreTable]:
    changed = [pair for pair in pairs if has_changed(pair)]
    unchanged = [pair for pair in pairs if not has_changed(pair)]
    if not changed or not unchanged:
        return [_table("", pairs)]
    return [_table(ALL, pairs), _table(CHANGED, changed), _table(UNCHANGED, unchanged)]


def _table(group: str, pairs: Sequence[ScoredPair]) -> ScoreTable:
    """A table; where nothing changed, it holds only the false area."""
    columns = METRICS if any(map(has_changed, pairs)) else METRICS[-1:]
    return ScoreTable(group, len(pairs), columns, score_lines(pairs))


def _facts(pair: MapMeasures) -> dict[str, Any]:
    return {
        "pair": pair.pair.name,
        "features": pair.features,
        "cells": {"changed": int(pair.truth.sum()), "unchanged": int((~pair.truth).sum())},
        "pixels": {
            "changed": pair.pixels.changed,
            "unchanged": pair.pixels.unchanged,
            "changed_covered": pair.pixels.hits,
            "unchanged_covered": pair.pixels.alarms,
        },
    }


def _nothing_scored(failures: Sequence[NotScored]) -> GeochgError:
    """The error of a run that scored no pair; alone, or the same for all, the first one's."""
    if not failures:
        return InputError("there is no pair to score", LAYOUT_HINT)
    first = failures[0].error
    if all(failure.error.message == first.message for failure in failures):
        return first
    kind = InputError if isinstance(first, InputError | OptionError | ModelError) else RunError
    return kind(f"none of the pairs could be scored; the first: {first.message}", first.hint)
