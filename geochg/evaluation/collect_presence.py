"""Asks a model about labelled pairs."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geochg.datasets.examples import PICTURES
from geochg.datasets.pairs import LabelledPair, PairFiles, read_pair
from geochg.errors import ModelError
from geochg.evaluation.options import EvaluateOptions
from geochg.evaluation.predictions import Prediction, Predictions, merged_by_item
from geochg.events import Listener, Progress, ignore
from geochg.geometry.hysteresis import presence_of
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.registry import find_backend
from geochg.pipeline.batching import answered_ahead
from geochg.records import Outlines, PixelWindow, Presence, Task, Tile, TileAnswers
from geochg.tasks import ask
from geochg.tiling.layout import Layout


def collect_presence(
    pairs: Sequence[PairFiles], options: EvaluateOptions, listener: Listener = ignore
) -> Predictions:
    """What the model of the options says of pairs.

    Where a threshold is to be fitted, the model is asked with its own as low as it goes.

    Args:
        pairs: Their files.
        options: Which model is asked, and how.
        listener: Told of progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read.
        ModelError: If the model is unknown or broken, cannot tell presence, or learns from the
            pair itself.
        OptionError: If the model refuses its options.
        RunError: If it fails.
    """
    backend, source = find_backend(options.model)
    _check(backend)
    given = backend.options_type.from_dict(options.model_options)
    opening = backend.presence_options(given, 0.0) if options.fit_threshold else {}
    asked_with = backend.options_type.from_dict({**options.model_options, **opening})
    model = backend.load(source, asked_with, options.device)
    _check(model)
    with backend_errors(model):
        model.survey(PICTURES, [])
    rows = _collect_predictions(pairs, model, options, listener)
    identity = model.identity
    shaping = options.shaping()
    return Predictions(
        options.model,
        dict(options.model_options),
        bool(opening),
        {"id": identity.id, "checksum": identity.checksum, "adapter": identity.adapter},
        {name: shaping[name] for name in ("tile_size_px", "overlap_px", "changed_share")},
        merged_by_item(rows),
    )


def refuse_surveys(model: type[ChangeModel] | ChangeModel) -> None:
    """Refuses a model that can only be asked about whole scenes.

    Raises:
        ModelError: If it is one.
    """
    if model.capabilities.needs_survey:
        raise ModelError(
            f"{model.name} learns from the pair it is asked about, so there is nothing to evaluate "
            "on pairs of pictures",
            "choose a model that needs no survey, see `geochg models`",
        )


def _check(model: type[ChangeModel] | ChangeModel) -> None:
    refuse_surveys(model)
    if Task.PRESENCE not in model.capabilities.tasks:
        raise ModelError(
            f"the model {model.name} does not tell whether something changed",
            "choose another, see `geochg models`",
        )


@dataclass(frozen=True, slots=True)
class _Truth:
    """What is known of a tile beside its pixels."""

    pair: int
    row: Prediction


def _collect_predictions(
    pairs: Sequence[PairFiles], model: ChangeModel, options: EvaluateOptions, listener: Listener
) -> list[Prediction]:
    truths: dict[int, _Truth] = {}
    # What a model outlines tells whether anything changed, as in `analyze`.
    outlines = model.capabilities.location == "mask" and Task.LOCATE in model.capabilities.tasks
    question = ask(Task.LOCATE if outlines else Task.PRESENCE)

    def answers(tiles: Sequence[Tile]) -> list[TileAnswers]:
        with backend_errors(model):
            return model.answer(tiles, [question])

    def tiles() -> Generator[Tile, None, None]:
        for number, files in enumerate(pairs):
            for tile, row in _tiles(files, read_pair(files), model, options):
                index = len(truths)
                truths[index] = _Truth(number, row)
                yield replace(tile, window=replace(tile.window, index=index))

    batch_tiles = options.batch_size or model.capabilities.tiles_at_once(options.tile_size_px)
    rows: list[Prediction] = []
    listener(Progress("evaluate", 0, len(pairs)))
    with (
        closing(tiles()) as cut,
        closing(answered_ahead(cut, batch_tiles, answers)) as answered,
    ):
        for batch, given in answered:
            for tile, answer in zip(batch, given, strict=True):
                assert isinstance(tile, Tile)
                rows.append(_with_answer(truths[tile.window.index].row, tile, answer))
            last = truths[batch[-1].window.index].pair
            listener(Progress("evaluate", last, len(pairs)))
    listener(Progress("evaluate", len(pairs), len(pairs)))
    return rows


def _tiles(
    files: PairFiles, pair: LabelledPair, model: ChangeModel, options: EvaluateOptions
) -> Iterator[tuple[Tile, Prediction]]:
    """The tiles of a pair as `analyze` cuts them, with what is true of each."""
    height_px, width_px = pair.mask.shape
    layout = Layout(height_px, width_px, options.tile_size_px, options.overlap_px)
    dtype = np.uint8 if model.capabilities.pixels == "display" else np.float32
    whole = PixelWindow.whole((height_px, width_px))
    for window in layout:
        inside = PixelWindow(
            window.read.row_start,
            min(window.read.row_stop, height_px),
            window.read.col_start,
            min(window.read.col_stop, width_px),
        )
        part = inside.slices_within(whole)
        padding = (
            (0, window.read.height_px - inside.height_px),
            (0, window.read.width_px - inside.width_px),
        )
        before, after = pair.before[:, *part], pair.after[:, *part]
        mask = pair.mask[part]
        tile = Tile(
            window,
            np.pad(before, ((0, 0), *padding)).astype(dtype),
            np.pad(after, ((0, 0), *padding)).astype(dtype),
            np.pad(np.ones(mask.shape, bool), padding),
        )
        alone = files.label is None or len(layout) == 1
        difference = float(np.abs(after.astype(np.int16) - before).mean())
        yield (
            tile,
            Prediction(
                files.name if alone else f"{files.name}/{window.name}",
                files.group,
                bool(mask.mean() > options.changed_share),
                None,
                None,
                difference,
            ),
        )


def _with_answer(row: Prediction, tile: Tile, answers: TileAnswers) -> Prediction:
    """A failure and an answer that makes no sense are no answer."""
    answer = answers[0] if isinstance(answers, Sequence) else None
    if isinstance(answer, Outlines):
        answer = presence_of(answer, tile.valid)
    if not isinstance(answer, Presence):
        return row
    likely = None if answer.probability is None else float(answer.probability)
    return replace(row, said=answer.changed, probability=likely)


def threshold_options(
    model: str, model_options: Mapping[str, Any], likely: float, *, opened: bool
) -> Mapping[str, Any]:
    """What to tell a model so that it calls changed what it finds likelier than this.

    Args:
        model: `name` or `name:source`.
        model_options: As they were given.
        likely: A probability that the model gives.
        opened: Whether it gave it when it was asked with its threshold as low as it goes.

    Returns:
        Options of the model's own; empty where it has none for this.

    Raises:
        ModelError: If the model is not installed.
        OptionError: If it refuses the options.
    """
    backend, _ = find_backend(model)
    given = backend.options_type.from_dict(model_options)
    if opened:
        lowest = backend.presence_options(given, 0.0)
        given = backend.options_type.from_dict({**model_options, **lowest})
    return backend.presence_options(given, likely)
