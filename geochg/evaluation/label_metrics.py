"""Scores of sets of labels, such as those of single images: by label, averaged, of whole sets.

The definitions are scikit-learn's, where what divides by nothing is undefined (None here, left out
of averages) and not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError

Labels = NDArray[np.bool_]
"""`(items, labels)`, whether each item has each label."""


@dataclass(frozen=True, slots=True)
class LabelScores:
    """The scores of one label, or their average; a score that divides by nothing is None.

    Attributes:
        name: Name of the label or of the average.
        items: Number of items that have it; of an average, of labels of all items.
        precision: Share of items that have the label, among those of which it is answered.
        recall: Share of items of which the label is answered, among those that have it.
        f1: Harmonic mean of precision and recall.
        average_precision: Mean of the precisions at each item that has the label, in the order of
            their probabilities; None without probabilities.
    """

    name: str
    items: int
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class LabelSetScores:
    """The scores of sets of labels.

    Attributes:
        labels: Scores of each label.
        micro: Over all labels of all items together.
        macro: Mean over labels; its average precision is the mean average precision.
        samples: Mean over items of the scores of their sets.
        set_accuracy: Share of items of which the whole set is right.
        confusion: `(labels, 2, 2)`, numbers of items of each label by truth, then by answer:
            without it and with it.
    """

    labels: tuple[LabelScores, ...]
    micro: LabelScores
    macro: LabelScores
    samples: LabelScores
    set_accuracy: float
    confusion: NDArray[np.int64]

    @property
    def mean_average_precision(self) -> float | None:
        """The mean of the average precisions of labels that occur; None without probabilities."""
        return self.macro.average_precision

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values."""
        return {
            "labels": [label.to_dict() for label in self.labels],
            "micro": self.micro.to_dict(),
            "macro": self.macro.to_dict(),
            "samples": self.samples.to_dict(),
            "mean_average_precision": self.mean_average_precision,
            "set_accuracy": self.set_accuracy,
            "confusion": self.confusion.tolist(),
        }


def label_set_scores(
    names: Sequence[str],
    truth: Labels,
    answers: Labels,
    probabilities: NDArray[np.floating] | None = None,
) -> LabelSetScores:
    """The scores of the sets of labels that answers give to items.

    Args:
        names: Names of the labels.
        truth: Labels that each item has.
        answers: Labels that are answered.
        probabilities: `(items, labels)`, the greater the likelier; None where they are not known.

    Raises:
        InputError: If there is no item or no label, the shapes differ, or a probability is not
            finite.
    """
    _check_shapes(names, truth, answers, probabilities)
    hits = np.count_nonzero(truth & answers, axis=0)
    of_truth, of_answers = np.count_nonzero(truth, axis=0), np.count_nonzero(answers, axis=0)
    precisions = [
        None if probabilities is None else average_precision(truth[:, n], probabilities[:, n])
        for n in range(len(names))
    ]
    labels = tuple(
        _scores(name, int(right), int(true), int(given_count), precision)
        for name, right, true, given_count, precision in zip(
            names, hits, of_truth, of_answers, precisions, strict=True
        )
    )
    total = int(of_truth.sum())
    by_item = [
        _scores("", *map(int, counts))
        for counts in zip(
            np.count_nonzero(truth & answers, axis=1),
            np.count_nonzero(truth, axis=1),
            np.count_nonzero(answers, axis=1),
            strict=True,
        )
    ]
    return LabelSetScores(
        labels,
        _scores("micro", int(hits.sum()), total, int(of_answers.sum())),
        _mean("macro", total, labels),
        _mean("samples", total, by_item),
        float((truth == answers).all(axis=1).mean()),
        label_confusion(truth, answers),
    )


def average_precision(truth: NDArray[np.bool_], likely: NDArray[np.floating]) -> float | None:
    """The area under the steps of precision over recall; None where no item has the label.

    Items of one probability are taken together, so their order does not matter.

    Args:
        truth: `(items,)`, whether each item has the label.
        likely: `(items,)`, the greater the likelier.
    """
    total = int(np.count_nonzero(truth))
    if not total:
        return None
    order = np.argsort(-likely, kind="stable")
    is_last = np.append(np.diff(likely[order]) != 0, True)
    hits = np.cumsum(truth[order])[is_last]
    precision = hits / (np.flatnonzero(is_last) + 1)
    steps = np.diff(hits, prepend=0) / total
    return float((precision * steps).sum())


def label_confusion(truth: Labels, answers: Labels) -> NDArray[np.int64]:
    """`(labels, 2, 2)`, numbers of items of each label by truth, then by answer."""
    tables = [
        [np.count_nonzero((truth == t) & (answers == a), axis=0) for a in (False, True)]
        for t in (False, True)
    ]
    return np.moveaxis(np.array(tables, np.int64), -1, 0)


def class_confusion(truth: Labels, answers: Labels) -> NDArray[np.int64]:
    """`(labels, labels)`, numbers of items by their true label, then by the answered one.

    Raises:
        InputError: If an item has not exactly one label in truth and in the answer.
    """
    for kind, labels in (("truth", truth), ("answer", answers)):
        wrong = np.flatnonzero(np.count_nonzero(labels, axis=1) != 1)
        if len(wrong):
            raise InputError(
                f"item {int(wrong[0]) + 1} has {int(np.count_nonzero(labels[wrong[0]]))} labels in "
                f"its {kind}, and a confusion of classes needs one",
                "use the confusion of each label",
            )
    confusion: NDArray[np.int64] = truth.T.astype(np.int64) @ answers.astype(np.int64)
    return confusion


def _scores(
    name: str, hits: int, of_truth: int, of_answers: int, precision: float | None = None
) -> LabelScores:
    return LabelScores(
        name,
        of_truth,
        hits / of_answers if of_answers else None,
        hits / of_truth if of_truth else None,
        2 * hits / (of_truth + of_answers) if of_truth + of_answers else None,
        precision,
    )


def _mean(name: str, items: int, parts: Sequence[LabelScores]) -> LabelScores:
    """The mean of each score over the parts that have it."""

    def mean(values: Sequence[float | None]) -> float | None:
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    return LabelScores(
        name,
        items,
        mean([part.precision for part in parts]),
        mean([part.recall for part in parts]),
        mean([part.f1 for part in parts]),
        mean([part.average_precision for part in parts]),
    )


def _check_shapes(
    names: Sequence[str],
    truth: Labels,
    answers: Labels,
    probabilities: NDArray[np.floating] | None,
) -> None:
    shape = (len(truth), len(names))
    if not all(shape):
        raise InputError("there is no item or no label to score", "give some of both")
    for kind, values in (("truth", truth), ("answers", answers), ("probabilities", probabilities)):
        if values is not None and values.shape != shape:
            raise InputError(
                f"the {kind} are of {values.shape}, where {shape[0]} items have {shape[1]} labels",
                "give a row for each item and a column for each label",
            )
    if probabilities is not None and not np.isfinite(probabilities).all():
        raise InputError("a probability is not a finite number", "leave such items out")
