"""Results of tiles of a single image as records of the journal, and back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import shapely

from geochg.features.scene_results import SceneResult
from geochg.pipeline.journal_checks import check_polygon, is_count, is_share_or_none, require
from geochg.pipeline.journal_kinds import RecordKind
from geochg.pipeline.journal_record import parsed_object
from geochg.records import Label, SceneAnswers, TileWindow


def _row(result: SceneResult) -> tuple[Any, ...]:
    answers = result.answers
    record = {
        "labels": {
            name: [label.present, label.probability] for name, label in answers.labels.items()
        },
        "counts": dict(answers.counts),
        "caption": answers.caption,
        "unparsed": answers.unparsed,
        "pieces": [polygon.wkb_hex for polygon in result.pieces],
    }
    flags = (bool(answers.present), bool(answers.unparsed), False)
    return result.window.index, *flags, json.dumps(record), None, None, None


def _result(window: TileWindow, record: str, valid: bytes | None) -> SceneResult:
    fields = parsed_object(record)
    shapes = np.array(fields["pieces"], dtype=object)
    with np.errstate(invalid="ignore"):  # NaN in a damaged shape, which is refused later
        pieces = tuple(shapely.from_wkb(shapes))
    labels = {name: Label(*values) for name, values in fields["labels"].items()}
    answers = SceneAnswers(labels, fields["counts"], fields["caption"], tuple(fields["unparsed"]))
    return SceneResult(window, answers, pieces)


def _check(result: SceneResult, classes: Collection[str]) -> None:
    answers = result.answers
    for name, label in answers.labels.items():
        require(name in classes, "a label is not one that is asked about")
        require(isinstance(label.present, bool | None), "a label is neither there nor not")
        require(is_share_or_none(label.probability), "a probability is no number from 0 to 1")
    require(isinstance(answers.counts, Mapping), "the counts are no object")
    for name, count in answers.counts.items():
        require(name in classes, "counts are of a label that is not asked about")
        require(is_count(count), "a count is not a whole number in range")
    require(isinstance(answers.caption, str), "a caption is not a text")
    are_texts = all(isinstance(name, str) for name in answers.unparsed)
    require(are_texts, "what made no sense has no name")
    require(result.pieces, "a tile has no ground")
    for polygon in result.pieces:
        check_polygon(polygon, result.window.core)


SCENES = RecordKind(_row, _result, _check)
"""Results of a single image."""
