"""The scores of kinds of pairs with masks, as tables of a model card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from geochg import AnalyzeOptions
from geochg.datasets.kinds import Kind
from geochg.evaluation.kind_scores import KindScores, KindsReport, kinds_report
from geochg.evaluation.map_scores import METRICS, MODEL
from geochg.evaluation.reliability import Reliability, reliability
from geochg.evaluation.tables import ScoreTable
from geochg.events import Listener
from geochg.models.registry import find_backend

HEAD = (
    "Kind",
    "Pairs",
    "",
    "AUROC of cells",
    "Cell F1",
    "Pixel F1",
    "Unchanged ground in features",
)

Row = tuple[str, ...]


def reports(kinds: Sequence[Kind], models: Sequence[str], say: Listener) -> list[KindsReport]:
    """The scores of each model by the code of `geochg evaluate`.

    A model that cannot tell the classes that the masks of a kind cover is scored by all it finds.
    """
    return [
        kinds_report([_told_by(model, kind) for kind in kinds], AnalyzeOptions(model=model), say)
        for model in models
    ]


def _told_by(model: str, kind: Kind) -> Kind:
    tells = find_backend(model)[0].backend_capabilities.classes
    return kind if set(kind.classes) <= set(tells) else replace(kind, classes=())


def rows(models: Sequence[str], found: Sequence[KindsReport]) -> Iterator[Row]:
    """Lines of the table: each kind by the models, then by what needs none."""
    for kinds in zip(*(report.kinds for report in found), strict=True):
        first = kinds[0]
        lines = [
            (name, cells)
            for name, kind in zip(models, kinds, strict=True)
            for title, *cells in _cells(kind)
            if title == MODEL
        ]
        lines += [(title, cells) for title, *cells in _cells(first) if title != MODEL]
        for number, (name, cells) in enumerate(lines):
            head = ("", "") if number else (first.name, first.summary)
            yield (*head, name, *cells)


def _cells(kind: KindScores) -> list[list[str]]:
    """The lines of the table of all pairs; none where no pair was scored."""
    table: ScoreTable | None = next(iter(kind.tables), None)
    return (
        [] if table is None else [row for row in table.cells()[1:] if len(row) == len(METRICS) + 1]
    )


def confidence_rows(report: KindsReport) -> Iterator[Row]:
    """Lines of the table of confidence, all kinds together."""
    judged = [pair.scored_features for kind in report.kinds for pair in kind.pairs]
    for one in reliability(judged):
        yield f"{one.low:.1f} to {one.high:.1f}", str(one.features), *_shares(one)


def confidence_by_kind(report: KindsReport) -> Iterator[Row]:
    """Lines of the same by kind: features, their mean confidence, and how many are right."""
    for kind in report.kinds:
        bins = [one for one in kind.reliability if one.features]
        features = sum(one.features for one in bins)
        if features:
            means = [
                sum(one.features * (value or 0) for one, value in zip(bins, values, strict=True))
                / features
                for values in ([b.confidence for b in bins], [b.right for b in bins])
            ]
            yield kind.name, str(features), *(f"{mean:.2f}" for mean in means)


def _shares(one: Reliability) -> tuple[str, str]:
    if one.confidence is None or one.right is None:
        return "-", "-"
    return f"{one.confidence:.2f}", f"{one.right:.2f}"
