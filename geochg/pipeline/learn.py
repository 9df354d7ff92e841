"""From reviewed layers to a head that judges the changes of the next pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.errors import InputError
from geochg.events import Listener, Notice, ignore
from geochg.extras import require_packages
from geochg.features.review import ReviewVerdict
from geochg.learning.card import Card
from geochg.learning.folder import check_head_folder, write_head
from geochg.learning.head import Head
from geochg.learning.scores import review_order
from geochg.learning.training import MadeFor, check_enough, train_head
from geochg.models.loading import load_configured_model
from geochg.pipeline.examples import (
    LearnOptions,
    described_changes,
    joined_examples,
    layer_facts,
    model_confidence,
    number_of,
)
from geochg.pipeline.layer_descriptors import run_options
from geochg.pipeline.verdicts import (
    ReviewedLayer,
    read_reviewed_layer,
    settled_verdicts,
)

if TYPE_CHECKING:
    from geochg.models.base import ChangeModel


class LearnResult(NamedTuple):
    """What was learned.

    Attributes:
        folder: The folder of the head.
        card: Its card.
        notes: What is to be told of it.
    """

    folder: Path
    card: Card
    notes: tuple[str, ...]


class RankedChange(NamedTuple):
    """A change of which nobody decided yet.

    Attributes:
        id: Its number in the layer; its row from 1 where it has none.
        probability: Probability that it is a change, 0-1; None where nothing tells.
    """

    id: int
    probability: float | None


def learn(
    layers: Sequence[str],
    folder: Path,
    options: LearnOptions | None = None,
    *,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> LearnResult:
    """Learns from the verdicts in reviewed layers what counts as a change.

    Args:
        layers: Change layers of geochg's with a review, as `geochg table` takes them; their
            verdicts add up. Their images must be where they were, or beside them.
        folder: The folder to write; one that `learn` made before is replaced.
        options: The options; the defaults when None.
        listener: Called with progress and notices.
        cancel: A flag that stops the work.
        model: The model that found the changes, loaded; loaded when None.

    Raises:
        InputError: If a layer cannot be used, verdicts are too few or of one kind only, images are
            gone, or the folder holds something else.
        ModelError: If the model cannot be loaded.
        RunError: If the folder cannot be written.
        CancelledRunError: If it was cancelled.
    """
    require_packages("learn", "sklearn", "onnx")
    options = options or LearnOptions()
    check_head_folder(folder)
    reviewed_layers = [read_reviewed_layer(text) for text in layers]
    contradictions = settled_verdicts(reviewed_layers)
    _tell_contradictions(contradictions, listener)
    _check_verdicts(reviewed_layers)
    model = model or load_configured_model(options.analyze_options())
    for layer in reviewed_layers:
        _check_model(layer, model)
    geometry, flag = _one_geometry(reviewed_layers), cancel or Flag()
    described = [
        described_changes(layer, layer.is_judged, options, model, listener, flag)
        for layer in reviewed_layers
        if layer.is_judged.any()
    ]
    examples, unseen = joined_examples(described)
    if unseen:
        text = f"{unseen} changes with a verdict lie where the images show nothing"
        listener(Notice(f"{text}, and do not count", warning=True))
    check_enough(int(examples.accepted.sum()), int((~examples.accepted).sum()))
    made_for = MadeFor(
        reviewed_layers[0].model_facts(),
        geometry,
        model.capabilities.gives_features,
        tuple(layer_facts(layer) for layer in reviewed_layers),
        len(contradictions),
    )
    trained = train_head(examples, made_for)
    for text in trained.notes:
        listener(Notice(text, warning=False))
    write_head(folder, trained)
    return LearnResult(folder, trained.card, trained.notes)


def rank_layer(
    layer: str,
    folder: Path | None = None,
    options: LearnOptions | None = None,
    *,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> list[RankedChange]:
    """The changes of a layer of which nobody decided, in the order in which a review teaches most.

    The least certain come first. Without a head the layer's own confidence says what is certain.

    Args:
        layer: The layer.
        folder: The folder of a head; None for none.
        options: The options; the defaults when None.
        listener: Called with progress.
        cancel: A flag that stops the work.
        model: The model that found the changes, loaded; loaded when None.

    Raises:
        InputError: As `learn`, or if the head is of another model.
    """
    options = options or LearnOptions()
    reviewed_layer = read_reviewed_layer(layer)
    is_undecided = ~reviewed_layer.is_judged
    if folder is None:
        probability = model_confidence(reviewed_layer)
    else:
        head = Head.open(folder)
        model = model or load_configured_model(options.analyze_options())
        _check_model(reviewed_layer, model)
        run = run_options(reviewed_layer, options.model, options.model_options)
        head.check_model(model.identity, run.geometry)
        probability = np.full(len(reviewed_layer), np.nan)
        if is_undecided.any():
            described = described_changes(
                reviewed_layer, is_undecided, options, model, listener, cancel or Flag()
            )
            probability[is_undecided] = head.probability(described.table)
    rows = np.flatnonzero(is_undecided)
    ids = _ids(reviewed_layer)
    return [
        RankedChange(
            ids[row], None if np.isnan(probability[row]) else round(float(probability[row]), 4)
        )
        for row in rows[review_order(probability[rows])].tolist()
    ]


_MOST_TOLD = 5
"""Most contradictions that are told one by one."""


def _tell_contradictions(contradictions: Sequence[str], listener: Listener) -> None:
    for text in contradictions[:_MOST_TOLD]:
        listener(Notice(f"two verdicts on one change do not count: {text}", warning=True))
    if len(contradictions) > _MOST_TOLD:
        text = f"{len(contradictions) - _MOST_TOLD} further contradictions do not count"
        listener(Notice(text, warning=True))


def _check_verdicts(layers: Sequence[ReviewedLayer]) -> None:
    if not any(layer.is_judged.any() for layer in layers):
        names = ", ".join(layer.label for layer in layers)
        raise InputError(
            f"{names} has no verdicts" if len(layers) == 1 else f"{names} have no verdicts",
            "accept and reject changes in QGIS, or write accepted and rejected in a field review",
        )
    verdict = np.concatenate([layer.verdict for layer in layers])
    check_enough(
        int((verdict == ReviewVerdict.ACCEPTED).sum()),
        int((verdict == ReviewVerdict.REJECTED).sum()),
    )


def _check_model(layer: ReviewedLayer, model: ChangeModel) -> None:
    layer_model = layer.model_facts()
    run_model = {name: getattr(model.identity, name) for name in layer_model}
    if layer_model["id"] != run_model["id"]:
        raise InputError(
            f"{layer.label} was made by the model {layer_model['id'] or 'of an unknown name'}, and"
            f" not by {run_model['id']}",
            "name that model with --model, and give layers of one model only",
        )
    if layer_model != run_model:
        raise InputError(
            f"{layer.label} was made by another version of the model {run_model['id']}",
            "run geochg analyze again, and review that layer",
        )


def _one_geometry(layers: Sequence[ReviewedLayer]) -> str:
    geometries = {
        str((layer.metadata.get("options") or {}).get("geometry", "outline")) for layer in layers
    }
    if len(geometries) > 1:
        raise InputError(
            "some layers hold outlines, and others cells of the grid",
            "learn from layers of one --geometry",
        )
    return geometries.pop()


def _ids(layer: ReviewedLayer) -> list[int]:
    if "id" not in layer.frame:
        return list(range(1, len(layer) + 1))
    return [
        row + 1 if np.isnan(number := number_of(value)) else int(number)
        for row, value in enumerate(layer.frame["id"].tolist())
    ]
