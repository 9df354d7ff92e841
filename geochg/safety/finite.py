"""Whether the numbers that a model gave are numbers: rubbish must not pass for "no change"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

import numpy as np

from geochg.records import (
    Answer,
    Boxes,
    Counts,
    Dialogue,
    Locations,
    Outlines,
    Presence,
    SceneAnswers,
    Tile,
    TileAnswers,
    TileFailure,
)

NOT_FINITE = "the model gave a number that is not finite; its weights or settings may be damaged"
"""Why a tile fails that was answered so."""

NO_CALIBRATION = (
    "the model gave a calibration that is not two rows of shares of one length, the first rising"
)

OUT_OF_RANGE = "the model gave a probability that does not lie between 0 and 1"

_ROUNDING = 1e-6  # by how much a sum in single precision may leave the range of a probability


def finite_answers(tile: Tile, answers: TileAnswers) -> TileAnswers:
    """The answers about a tile, or that it failed because one holds a number that is not finite."""
    if isinstance(answers, TileFailure):
        return answers
    for answer in answers:
        if isinstance(answer, Outlines) and (reason := _senseless(answer)):
            return TileFailure(tile.window, reason)
        for least, greatest in _ranges(answer):
            # NaN passes through neither minimum nor maximum unseen.
            if not (isfinite(least) and isfinite(greatest)):
                return TileFailure(tile.window, NOT_FINITE)
            if least < -_ROUNDING or (greatest > 1 + _ROUNDING and not isinstance(answer, Counts)):
                return TileFailure(tile.window, OUT_OF_RANGE)
    return answers


def _senseless(answer: Outlines) -> str:
    """Why outlines make no sense by what they are read with; empty where they do."""
    low = 0.0 if answer.low_threshold is None else answer.low_threshold
    if not all(isfinite(number) for number in (answer.threshold, low, *answer.margins)):
        return NOT_FINITE
    if answer.calibration is None:
        return ""
    means, shares = answer.calibration
    is_sound = len(means) == len(shares) > 0 and list(means) == sorted(means)
    in_range = all(0 <= number <= 1 for number in (*means, *shares))
    return "" if is_sound and in_range else NO_CALIBRATION


def _measured(probabilities: Iterable[float | None]) -> Iterator[tuple[float, float]]:
    yield from ((float(likely),) * 2 for likely in probabilities if likely is not None)


def _ranges(answer: Answer) -> Iterator[tuple[float, float]]:
    """Least and greatest of the numbers of an answer."""
    if isinstance(answer, Presence):
        if answer.probability is not None:
            yield (float(answer.probability),) * 2
    elif isinstance(answer, Dialogue):
        yield from _ranges(answer.presence)
    elif isinstance(answer, SceneAnswers):
        yield from _measured(label.probability for label in answer.labels.values())
    elif isinstance(answer, Counts):
        yield from ((float(number),) * 2 for number in answer.counts.values())
    elif isinstance(answer, Locations):
        for cells in answer.cells.values():
            yield from _measured(cells.values())
        for directions in answer.directions.values():
            yield from _measured(direction.probability for direction in directions.values())
    elif isinstance(answer, Boxes):
        for boxes in answer.boxes.values():
            yield from _measured(box.probability for box in boxes)
            yield from _measured(box.direction.probability for box in boxes if box.direction)
    elif isinstance(answer, Outlines):
        # Layers that are made later are looked at then, see `geometry.hysteresis`.
        layers = None if callable(answer.probability) else answer.probability
        for surface in (layers, answer.change):
            if surface is not None and surface.size:
                yield float(np.min(surface)), float(np.max(surface))
