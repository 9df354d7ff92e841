"""Asks a model whether anything changed in labelled pairs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from geochg.datasets.examples import PICTURES
from geochg.datasets.frames import picture_size
from geochg.datasets.pairs import LabelledPair, PairFiles, read_pair
from geochg.errors import ModelError, OptionError
from geochg.evaluation.agreement import VIEWS, tells_change
from geochg.evaluation.exchange import exchange_partners
from geochg.evaluation.options import AskOptions, EvaluateOptions
from geochg.evaluation.predictions import (
    ZERO_SHOT_THRESHOLD,
    Prediction,
    Predictions,
    merged_by_item,
)
from geochg.events import Listener, Progress, ignore
from geochg.geometry.hysteresis import presence_of
from geochg.models.base import Capabilities, ChangeModel, backend_errors
from geochg.models.loading import with_clues
from geochg.models.registry import find_backend
from geochg.models.tile_features import ZeroShotModel
from geochg.pipeline.batching import answered_ahead
from geochg.records import (
    Outlines,
    PixelWindow,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks import ask
from geochg.tasks.prompts import CLUE, check_prompts
from geochg.tiling.layout import Layout


def collect_presence(
    pairs: Sequence[PairFiles], options: EvaluateOptions, listener: Listener = ignore
) -> Predictions:
    """Asks the model of the options whether anything changed in pairs.

    Where a threshold is to be fitted, the model is asked with its own as low as it goes.

    Args:
        pairs: Files of the pairs.
        options: Model and options of the run.
        listener: Receives the progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read.
        ModelError: If the model is unknown or broken, cannot tell presence, or learns from the
            pair itself.
        OptionError: If the model refuses its options.
        RunError: If the model fails.
    """
    check_prompts(options.prompts)
    exchanged = _exchanged_files(pairs, options.seed) if options.exchange else []
    backend, _ = find_backend(options.model)
    backend_options = backend.options_type.from_dict(options.model_options)
    lowest = backend.presence_options(backend_options, 0.0) if options.fit_threshold else {}
    model = load_surveyless(options, {**options.model_options, **lowest}, _check_presence)
    questions = _questions(model, options)
    progress = _PairProgress(listener, len(pairs) + len(exchanged))
    rows = _collect_predictions(pairs, model, questions, options, progress)
    # Of exchanged pairs, only the presence is asked.
    exchanged_rows = _collect_predictions(exchanged, model, questions[:1], options, progress)
    shaping = options.shaping()
    probing = {"seed": options.seed, "left_out": len(pairs) - len(exchanged)}
    return Predictions(
        options.model,
        dict(options.model_options),
        bool(lowest),
        asdict(model.identity),
        {
            **{name: shaping[name] for name in ("tile_size_px", "overlap_px", "changed_share")},
            **options.wording(),
            **({"exchange": probing} if options.exchange else {}),
            **_zero_shot_facts(model),
        },
        merged_by_item(rows),
        merged_by_item(exchanged_rows),
    )


def _zero_shot_facts(model: ChangeModel) -> dict[str, Any]:
    """The threshold of the zero-shot method that a model knows, if it knows one."""
    if not isinstance(model, ZeroShotModel) or model.zero_shot_threshold is None:
        return {}
    return {ZERO_SHOT_THRESHOLD: model.zero_shot_threshold}


def load_surveyless(
    options: AskOptions,
    model_options: Mapping[str, Any],
    check: Callable[[str, Capabilities], None] = lambda name, capabilities: None,
) -> ChangeModel:
    """Loads a model that can be asked about single pictures, which it need not survey.

    Args:
        options: Model, device, clues and prompts.
        model_options: The backend's own options.
        check: Refuses models by name and capabilities: those of the backend before a model is
            loaded, and once more those of the model.

    Raises:
        ModelError: If the model is unknown or broken, or learns from the pair itself.
        OptionError: If the model refuses its options.
    """
    backend, source = find_backend(options.model)
    refuse_surveys(backend.name, backend.backend_capabilities)
    check(backend.name, backend.backend_capabilities)
    model = backend.load(source, backend.options_type.from_dict(model_options), options.device)
    refuse_surveys(model.name, model.capabilities)
    check(model.name, model.capabilities)
    model = with_clues(model, options)
    with backend_errors(model):
        model.survey(PICTURES, [])
    return model


def refuse_surveys(name: str, capabilities: Capabilities) -> None:
    """Refuses a model that can only be asked about whole scenes.

    Raises:
        ModelError: If it learns from the pair it is asked about.
    """
    if capabilities.needs_survey:
        raise ModelError(
            f"{name} learns from the pair it is asked about, so there is nothing to evaluate "
            "on pairs of pictures",
            "choose a model that needs no survey, see `geochg models`",
        )


def _check_presence(name: str, capabilities: Capabilities) -> None:
    if Task.PRESENCE not in capabilities.tasks:
        raise ModelError(
            f"the model {name} does not tell whether something changed",
            "choose another, see `geochg models`",
        )


# --- questions -----------------------------------------------------------------------------------


def _questions(model: ChangeModel, options: EvaluateOptions) -> list[Question]:
    """What is asked: first what tells whether something changed, then what it is compared with."""
    able = model.capabilities
    # What a model outlines tells whether anything changed, as in `analyze`.
    outlines = able.location == "mask" and Task.LOCATE in able.tasks
    tasks = [Task.LOCATE if outlines else Task.PRESENCE]
    if options.agreement:
        tasks += [task for task in VIEWS if task in able.tasks and task not in tasks]
        if len(tasks) < 2:
            raise ModelError(
                f"the model {model.name} answers in one way only, so nothing can disagree",
                "leave out --agreement",
            )
    needs_caption = Task.CAPTION in tasks or bool(options.clue or options.clue_model)
    askable = {*map(str, tasks), CLUE, *([str(Task.CAPTION)] if needs_caption else ())}
    if idle := sorted(options.prompts.keys() - askable):
        raise OptionError(
            f"the prompt {idle[0]!r} is not asked here",
            "leave it out"
            if options.agreement
            else "leave it out, or add --agreement, which asks for more than presence",
        )
    return [ask(task, options.prompts.get(task)) for task in tasks]


def _exchanged_files(pairs: Sequence[PairFiles], seed: int) -> list[PairFiles]:
    """The pairs with after images of others; a pair keeps its name, label and columns."""
    sizes = [picture_size(files.before) for files in pairs]
    partners = exchange_partners(sizes, [files.group for files in pairs], seed)
    return [
        replace(pairs[number], after=pairs[partner].after, partner=pairs[partner].name)
        for number, partner in partners.items()
    ]


@dataclass
class _PairProgress:
    """Tells how many pairs are done, over several passes."""

    listener: Listener
    total: int
    done: int = 0

    def tell(self, done_in_pass: int) -> None:
        self.listener(Progress("evaluate", self.done + done_in_pass, self.total))


# --- answers -------------------------------------------------------------------------------------


def _collect_predictions(
    pairs: Sequence[PairFiles],
    model: ChangeModel,
    questions: Sequence[Question],
    options: EvaluateOptions,
    progress: _PairProgress,
) -> list[Prediction]:
    # The number of a tile's pair, and its prediction before it is answered.
    truths: list[tuple[int, Prediction]] = []
    zero_shot: dict[int, float | None] = {}

    def answers(tiles: Sequence[Tile]) -> list[TileAnswers]:
        with backend_errors(model):
            rows = model.answer(tiles, questions)
            if isinstance(model, ZeroShotModel):
                scores = model.zero_shot_scores(tiles)
                indexes = [tile.window.index for tile in tiles]
                zero_shot.update(zip(indexes, scores, strict=True))
            return rows

    def numbered_tiles() -> Generator[Tile, None, None]:
        for number, files in enumerate(pairs):
            for tile, row in pair_tiles(files, read_pair(files), model, options):
                truths.append((number, row))
                yield replace(tile, window=replace(tile.window, index=len(truths) - 1))

    batch_tiles = options.batch_size or model.capabilities.tiles_at_once(options.tile_size_px)
    rows: list[Prediction] = []
    progress.tell(0)
    with (
        closing(numbered_tiles()) as tiles,
        closing(answered_ahead(tiles, batch_tiles, answers)) as batches,
    ):
        for batch, batch_answers in batches:
            for tile, answer in zip(batch, batch_answers, strict=True):
                assert isinstance(tile, Tile)
                index = tile.window.index
                row = replace(truths[index][1], zero_shot=zero_shot.pop(index, None))
                rows.append(_with_answers(row, tile, questions, answer))
            progress.tell(truths[batch[-1].window.index][0])
    progress.tell(len(pairs))
    progress.done += len(pairs)
    return rows


def pair_tiles(
    files: PairFiles, pair: LabelledPair, model: ChangeModel, options: EvaluateOptions
) -> Iterator[tuple[Tile, Prediction]]:
    """The tiles of a pair as `analyze` cuts them, each with its prediction before it is answered.

    Args:
        files: Files of the pair.
        pair: Its pixels.
        model: The model that is asked.
        options: Size and overlap of the tiles, and what makes one changed.
    """
    height_px, width_px = pair.mask.shape
    layout = Layout(height_px, width_px, options.tile_size_px, options.overlap_px)
    dtype = np.uint8 if model.capabilities.pixels == "display" else np.float32
    full_window = PixelWindow.whole((height_px, width_px))
    for window in layout:
        inside = window.read.cut_to(full_window)
        assert inside is not None
        slices = inside.slices_within(full_window)
        before, after, mask = pair.before[:, *slices], pair.after[:, *slices], pair.mask[slices]
        padding = (
            (0, window.read.height_px - inside.height_px),
            (0, window.read.width_px - inside.width_px),
        )
        tile = Tile(
            window,
            (
                np.pad(before, ((0, 0), *padding)).astype(dtype),
                np.pad(after, ((0, 0), *padding)).astype(dtype),
            ),
            np.pad(np.ones(mask.shape, bool), padding),
        )
        alone = files.label is None or len(layout) == 1
        item = files.name if alone else f"{files.name}/{window.name}"
        changed = bool(mask.mean() > options.changed_share) if files.is_labelled else None
        difference = float(np.abs(after.astype(np.int16) - before).mean())
        columns = files.columns
        yield (
            tile,
            Prediction(item, files.group, changed, None, None, difference, files.partner, columns),
        )


def _with_answers(
    row: Prediction, tile: Tile, questions: Sequence[Question], answers: TileAnswers
) -> Prediction:
    """The prediction with its answer; a failure and an answer that makes no sense are none."""
    if isinstance(answers, TileFailure):
        return row
    if len(questions) > 1:
        views = {
            question.task: tells_change(answer, tile)
            for question, answer in zip(questions, answers, strict=True)
        }
        row = replace(row, views=(views,))
    first = answers[0]
    if isinstance(first, Outlines):
        first = presence_of(first, tile.valid)
    if not isinstance(first, Presence):
        return row
    likely = None if first.probability is None else float(first.probability)
    return replace(row, answer=first.changed, probability=likely)


def threshold_options(
    model: str, model_options: Mapping[str, Any], likely: float, *, was_opened: bool
) -> Mapping[str, Any]:
    """The model options with which a model calls changed what it finds likelier than this.

    Args:
        model: `name` or `name:source`.
        model_options: Model options as they were given.
        likely: A probability that the model gives.
        was_opened: Whether it gave it when it was asked with its threshold as low as it goes.

    Returns:
        Options of the model's own; empty where it has none for this.

    Raises:
        ModelError: If the model is not installed.
        OptionError: If the model refuses the options.
    """
    backend, _ = find_backend(model)
    backend_options = backend.options_type.from_dict(model_options)
    if was_opened:
        lowest = backend.presence_options(backend_options, 0.0)
        backend_options = backend.options_type.from_dict({**model_options, **lowest})
    return backend.presence_options(backend_options, likely)
