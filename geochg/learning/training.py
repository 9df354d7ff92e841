"""From verdicts and features to a head and its card."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg import __version__
from geochg.errors import InputError
from geochg.learning.card import CUT, SURE, Card, checksum_of
from geochg.learning.example_features import FeatureTable
from geochg.learning.fitting import FittedHead, fit_head, place_folds
from geochg.learning.graph import ClassHead, head_graph
from geochg.learning.head import names_checksum
from geochg.learning.scores import precision, recall, roc_auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_VERDICTS = 20
"""Fewest verdicts of each kind, accepted and rejected, from which anything is learned."""

PLACES = 10
"""Most places that verdicts are divided into."""

_LEAST_RELABELLED = 5
"""Fewest changes that were given another class, and fewest of a class, for classes to be learned"""

_LEAST_SURE = 5
"""Fewest verdicts of which a head must be sure, and right, to add changes."""

_CLASS_STRENGTH = 0.03
_DECIMALS_DEG = 6


@dataclass(frozen=True, eq=False)
class Examples:
    """Changes with verdicts, of one layer or of several.

    Attributes:
        table: Their features.
        accepted: `(n,)` bool.
        lonlat: `(n, 2)` a point in each, in degrees.
        class_names: The class of each, as it was reviewed.
        relabelled: `(n,)` bool, which were given another class.
        drawn: `(n,)` bool, which were drawn by hand.
    """

    table: FeatureTable
    accepted: NDArray[np.bool_]
    lonlat: NDArray[np.float64]
    class_names: Sequence[str]
    relabelled: NDArray[np.bool_]
    drawn: NDArray[np.bool_]


class TrainedHead(NamedTuple):
    """A head that can be written.

    Attributes:
        card: Its card.
        graph: The content of its ONNX file.
        fitted: The head in memory.
        notes: What is to be told of it.
    """

    card: Card
    graph: bytes
    fitted: FittedHead
    notes: tuple[str, ...]


class MadeFor(NamedTuple):
    """What a head is made for, and of.

    Attributes:
        model: The identity of the model that found the changes.
        geometry: How these are drawn.
        has_dense: Whether features of the model are among those of the changes.
        layers: What the card tells of each layer.
        contradictions: Verdicts that contradicted each other and do not count.
    """

    model: Mapping[str, str]
    geometry: str
    has_dense: bool
    layers: tuple[Mapping[str, Any], ...]
    contradictions: int = 0


def check_enough(accepted: int, rejected: int) -> None:
    """Refuses to learn from too few verdicts.

    Raises:
        InputError: If there are fewer of a kind than `LEAST_VERDICTS`; it says how many are
            missing.
    """
    numbers = {"accepted": accepted, "rejected": rejected}
    missing = [
        f"{LEAST_VERDICTS - count} more that are {kind}"
        for kind, count in numbers.items()
        if count < LEAST_VERDICTS
    ]
    if missing:
        numbers_text = " and ".join(f"{count} {kind}" for kind, count in numbers.items())
        raise InputError(
            f"{numbers_text} changes are too few to learn from, which takes "
            f"{LEAST_VERDICTS} of each",
            f"review {' and '.join(missing)}, or name further layers with verdicts",
        )


def train_head(examples: Examples, made_for: MadeFor) -> TrainedHead:
    """Fits, cross-validates by place, calibrates, and describes a head.

    Args:
        examples: Changes with verdicts.
        made_for: What the card tells of where they come from.

    Raises:
        MissingExtraError: If scikit-learn or onnx is not installed.
    """
    names, values = examples.table
    accepted = examples.accepted
    place = place_numbers(examples.lonlat)
    fitted = fit_head(names, values, accepted, place)
    classes, notes = _class_head(examples, fitted, place)
    is_sure = fitted.held_out >= SURE
    sure_right = int((accepted & is_sure).sum())
    adds = sure_right >= max(_LEAST_SURE, SURE * int(is_sure.sum()))
    card = Card(
        geochg=__version__,
        model=dict(made_for.model),
        geometry=made_for.geometry,
        columns=len(names),
        has_dense=made_for.has_dense,
        names_checksum=names_checksum(names),
        verdicts={
            "accepted": int(accepted.sum()),
            "rejected": int((~accepted).sum()),
            "drawn": int(examples.drawn.sum()),
            "relabelled": int((examples.relabelled & accepted).sum()),
            "contradictory": made_for.contradictions,
        },
        layers=made_for.layers,
        classifier=fitted.classifier,
        places=len(np.unique(place)),
        precision=precision(fitted.held_out, accepted, CUT),
        recall=recall(fitted.held_out, accepted, CUT),
        roc_auc=roc_auc(fitted.held_out, accepted),
        adds=bool(adds),
        class_names=() if classes is None else classes.class_names,
    )
    graph = head_graph(fitted, classes, facts=card.names_checksum)
    card = replace(card, head_sha256=checksum_of(graph))
    return TrainedHead(card, graph, fitted, tuple(notes))


def place_numbers(lonlat: NDArray[np.float64], count: int = PLACES) -> NDArray[np.int64]:
    """Divides points into places of about as many points each, by halving along the longer side.

    Points that lie in one spot stay together.

    Args:
        lonlat: `(n, 2)`.
        count: Most places.
    """
    # Processors differ in the last bits, and formats in more.
    lonlat = np.round(lonlat, _DECIMALS_DEG)
    places = [np.arange(len(lonlat))]
    while len(places) < count:
        places.sort(key=len, reverse=True)
        for index, rows in enumerate(places):
            if len(halves := _halves(lonlat, rows)) == 2:
                places[index : index + 1] = halves
                break
        else:
            break
    number = np.zeros(len(lonlat), np.int64)
    for index, rows in enumerate(places):
        number[rows] = index
    return number


def _halves(lonlat: NDArray[np.float64], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The two halves of some points at the widest gap near their middle; none if they cannot be."""
    points = lonlat[rows]
    extent = np.ptp(points, axis=0) if len(rows) else np.zeros(2)
    axis = int(extent.argmax())
    if len(rows) < 4 or extent[axis] <= 0:
        return []
    order = np.argsort(points[:, axis], kind="stable")
    coordinates = points[order, axis]
    quarter = max(1, len(rows) // 4)
    gaps = np.diff(coordinates)[quarter - 1 : len(rows) - quarter]
    if not len(gaps) or gaps.max() <= 0:
        return []
    # On a lattice many gaps are the widest, but for rounding.
    widest = np.flatnonzero(gaps >= gaps.max() - 2 * 10.0**-_DECIMALS_DEG)
    cut = quarter + int(widest[len(widest) // 2])
    return [rows[order[:cut]], rows[order[cut:]]]


def _class_head(
    examples: Examples, fitted: FittedHead, place: NDArray[np.int64]
) -> tuple[ClassHead | None, list[str]]:
    """What tells classes, where that is right more often than leaving them as they are."""
    relabelled = examples.relabelled & examples.accepted
    if relabelled.sum() < _LEAST_RELABELLED:
        count_text = (
            f"{int(relabelled.sum())} changes were given another class, and classes are learned"
        )
        notes = [f"{count_text} from {_LEAST_RELABELLED} on"] if relabelled.any() else []
        return None, notes
    names = np.array(examples.class_names)
    accepted_names, counts = np.unique(names[examples.accepted], return_counts=True)
    common = accepted_names[counts >= _LEAST_RELABELLED]
    rows = np.flatnonzero(examples.accepted & np.isin(names, common))
    if len(common) < 2 or not relabelled[rows].any():
        return None, ["too few changes of each class were accepted to learn their classes"]
    values, truth = fitted.scaling.scaled(examples.table.values[rows]), names[rows]
    folds = place_folds(relabelled[rows], place[rows])
    predicted = truth.copy()
    for fold in np.unique(folds).tolist():
        is_training = folds != fold
        if len(np.unique(truth[is_training])) > 1:
            predicted[~is_training] = _class_model(values[is_training], truth[is_training]).predict(
                values[~is_training]
            )
    right = float((predicted == truth).mean())
    as_they_are = float((~relabelled[rows]).mean())
    if right <= as_they_are:
        return None, [
            f"classes stay as they are: learned ones were right for {right:.0%} by "
            f"cross-validation, and the model's for {as_they_are:.0%}"
        ]
    model = _class_model(values, truth)
    weights = np.asarray(model.coef_, np.float32)
    bias = np.asarray(model.intercept_, np.float32)
    if len(weights) == 1:  # of two classes scikit-learn keeps one row of weights
        weights, bias = (np.concatenate((-part, part)) / np.float32(2) for part in (weights, bias))
    class_head = ClassHead(tuple(map(str, model.classes_)), weights.T, bias)
    return class_head, [
        f"classes are learned too: right for {right:.0%} by cross-validation, where the model's "
        f"were for {as_they_are:.0%}"
    ]


def _class_model(values: NDArray[np.float32], names: NDArray[np.str_]) -> Any:  # noqa: ANN401
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(C=_CLASS_STRENGTH, max_iter=500).fit(values, names)
