"""Asks a model the questions of a test set: one look a pair, all questions about it together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from geochg.datasets.examples import PICTURES, load_pair
from geochg.errors import ModelError, RunError
from geochg.evaluation.answers import AnswerRow, AnswerSet, AnswerSetHead
from geochg.evaluation.collect_presence import refuse_surveys
from geochg.evaluation.example_options import ExampleOptions
from geochg.evaluation.items import Item, ItemSet
from geochg.evaluation.partial_answers import PartialAnswers
from geochg.evaluation.values import FailedAnswer, GivenAnswer, comparable_answer
from geochg.events import Listener, Progress, ignore
from geochg.geometry.grid_cells import changed_cells
from geochg.geometry.hysteresis import changed_pixels, presence_of
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.registry import find_backend
from geochg.pipeline.batching import answered_ahead
from geochg.records import (
    Answer,
    Caption,
    Counts,
    Dialogue,
    Locations,
    Missing,
    Outlines,
    Presence,
    Question,
    Reply,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
    Unparsed,
)
from geochg.tasks import SPECS, TURN_BREAK, ask


def collect_answers(
    asked: ItemSet,
    options: ExampleOptions,
    keep: Path | None = None,
    *,
    resume: bool = False,
    listener: Listener = ignore,
) -> AnswerSet:
    """What the model of the options answers.

    The pictures of a pair are one tile, whatever their size. Of a model that outlines, it is the
    outlines that tell whether anything changed, as in `analyze`.

    Args:
        asked: The questions.
        options: Which model is asked, and how.
        keep: File of predictions; they lie beside it until all are there.
        resume: Whether to go on with such ones.
        listener: Told of progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read, or an unfinished run is in the way.
        ModelError: If the model is unknown, broken, or takes none of the tasks.
        OptionError: If the model refuses its options, or `resume` finds another run.
        RunError: If the model fails or nothing can be written.
    """
    backend, source = find_backend(options.model)
    refuse_surveys(backend)
    given = backend.options_type.from_dict(options.model_options)
    model = backend.load(source, given, options.device)
    refuse_surveys(model)
    with backend_errors(model):
        model.survey(PICTURES, [])
    known = [(n, i) for n, i in enumerate(asked.items) if _takes(model, i)]
    if not known:
        tasks = ", ".join(dict.fromkeys(i.question.task for i in asked.items))
        raise ModelError(
            f"the model {model.name} does not take what the rows ask: {tasks}",
            "choose another, see `geochg models`",
        )
    with PartialAnswers(keep, _head(asked, options, model, known), resume=resume) as kept:
        done = {row.item for row in kept.rows}
        left = [(n, i) for n, i in known if n not in done]
        with closing(answer_rows(left, model, options.batch_size, listener)) as found:
            for rows in found:
                kept.add(rows)
        return kept.finish()


def answer_rows(
    items: Sequence[tuple[int, Item]],
    model: ChangeModel,
    batch_size: int | None = None,
    listener: Listener = ignore,
) -> Generator[list[AnswerRow], None, None]:
    """What a model answers, the rows of one pair after those of another.

    Args:
        items: With their numbers; those of one pair stand together. The model takes their tasks.
        model: Ready to be asked.
        batch_size: Pairs answered in one call; None for the model's choice.
        listener: Told of progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read.
        RunError: If the model fails.
    """
    visits = _visits(items, model)
    at_once = batch_size or model.capabilities.batch_tiles
    talked: dict[int, Mapping[int, GivenAnswer]] = {}
    done = 0
    listener(Progress("evaluate", done, len(visits)))
    tiles = (_tile(place, visit, model) for place, visit in enumerate(visits))
    asking = _batch_answers(visits, model, batch_size, talked)
    with closing(answered_ahead(tiles, at_once, asking)) as answered:
        for batch, given in answered:
            for tile, answers in zip(batch, given, strict=True):
                assert isinstance(tile, Tile)
                place = tile.window.index
                yield _answer_rows(visits[place], tile, answers, talked.pop(place, {}))
            done += len(batch)
            listener(Progress("evaluate", done, len(visits)))


def _takes(model: ChangeModel, item: Item) -> bool:
    return item.question.task in model.capabilities.tasks


def _head(
    asked: ItemSet, options: ExampleOptions, model: ChangeModel, known: Sequence[tuple[int, Item]]
) -> AnswerSetHead:
    places = {number for number, _ in known}
    left = [str(i.question.task) for n, i in enumerate(asked.items) if n not in places]
    identity = model.identity
    return AnswerSetHead(
        options.model,
        dict(options.model_options),
        {"id": identity.id, "checksum": identity.checksum, "adapter": identity.adapter},
        asked.digest,
        len(known),
        asked.unreadable,
        {task: left.count(task) for task in dict.fromkeys(left)},
    )


# --- visits --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Visit:
    """A pair and what is to be asked about it.

    Attributes:
        items: With their numbers.
        questions: Those that need nothing said before, each once.
    """

    items: Sequence[tuple[int, Item]]
    questions: tuple[Question, ...]


def _visits(items: Sequence[tuple[int, Item]], model: ChangeModel) -> list[_Visit]:
    return [
        _visit(list(found), model)
        for _, found in groupby(items, key=lambda numbered: numbered[1].example.paths)
    ]


def _visit(items: Sequence[tuple[int, Item]], model: ChangeModel) -> _Visit:
    asked = dict.fromkeys(item.question for _, item in items if not item.before)
    outlines = model.capabilities.location == "mask"
    tasks = {question.task for question in asked}
    if Task.PRESENCE in tasks and outlines and Task.LOCATE in model.capabilities.tasks - tasks:
        asked[ask(Task.LOCATE)] = None
    return _Visit(items, tuple(asked))


def _tile(place: int, visit: _Visit, model: ChangeModel) -> Tile:
    before, after = load_pair(visit.items[0][1].example)
    dtype = np.uint8 if model.capabilities.pixels == "display" else np.float32
    return Tile.of_pair(before.astype(dtype), after.astype(dtype), index=place)


def _batch_answers(
    visits: Sequence[_Visit],
    model: ChangeModel,
    batch_size: int | None,
    talked: dict[int, Mapping[int, GivenAnswer]],
) -> Callable[[Sequence[Tile]], list[TileAnswers]]:
    """Answers about tiles of any size and with any questions; talks go into `talked`."""

    def answers(tiles: Sequence[Tile]) -> list[TileAnswers]:
        found: list[TileAnswers] = []
        for part in _like_batches(tiles, visits, model, batch_size):
            questions = visits[part[0].window.index].questions
            with backend_errors(model):
                found += model.answer(part, questions) if questions else [()] * len(part)
        for tile in tiles:
            visit = visits[tile.window.index]
            talked[tile.window.index] = {
                number: _talk_answer(model, tile, item)
                for number, item in visit.items
                if item.before
            }
        return found

    return answers


def _like_batches(
    tiles: Sequence[Tile],
    visits: Sequence[_Visit],
    model: ChangeModel,
    batch_size: int | None,
) -> Iterator[list[Tile]]:
    """Neighbouring tiles of one size with the same questions, as many as the model takes."""
    for (shape, _), same in groupby(
        tiles, key=lambda tile: (tile.valid.shape, visits[tile.window.index].questions)
    ):
        found = list(same)
        most = batch_size or model.capabilities.tiles_at_once(max(shape))
        yield from (found[start : start + most] for start in range(0, len(found), most))


def _talk_answer(model: ChangeModel, tile: Tile, item: Item) -> GivenAnswer:
    with backend_errors(model):
        try:
            said = "".join(model.converse(tile, PICTURES, item.before, item.question.text))
        except RunError as error:
            return FailedAnswer(error.message)
    found: Reply | Unparsed = SPECS[Task.QUESTION].parse(said, [item.question.text])
    return found


# --- answers -------------------------------------------------------------------------------------


def _answer_rows(
    visit: _Visit, tile: Tile, answers: TileAnswers, talked: Mapping[int, GivenAnswer]
) -> list[AnswerRow]:
    difference = round(float(np.abs(tile.after.astype(np.float32) - tile.before).mean()), 4)
    by_question: dict[Question, Answer] = {}
    if not isinstance(answers, TileFailure):
        by_question = dict(zip(visit.questions, answers, strict=True))
    failed = FailedAnswer(answers.reason) if isinstance(answers, TileFailure) else None
    outlines = next((a for a in by_question.values() if isinstance(a, Outlines)), None)
    return [
        AnswerRow(
            number,
            item.pair,
            item.question.task,
            item.question.text,
            item.changed,
            item.truth,
            talked[number]
            if item.before
            else failed
            or _scored_answer(item.question.task, by_question[item.question], outlines, tile),
            difference,
        )
        for number, item in visit.items
    ]


def _scored_answer(
    task: Task, answer: Answer, outlines: Outlines | None, tile: Tile
) -> GivenAnswer:
    """An answer as it is scored; `outlines` are those of the same tile, where there are any."""
    if isinstance(answer, Missing):
        return FailedAnswer(answer.reason)
    if isinstance(answer, Unparsed):
        text = answer.text.split(TURN_BREAK)[-1] if task is Task.DIALOGUE else answer.text
        return Unparsed(task, text, answer.reason)
    if task is Task.PRESENCE and isinstance(answer, Presence):
        answer = answer if outlines is None else presence_of(outlines, tile.valid)
        likely = None if answer.probability is None else float(answer.probability)
        return Presence(bool(answer.changed), likely)
    if task is Task.COUNT and isinstance(answer, Counts):
        return comparable_answer(answer)
    if task is Task.LOCATE and isinstance(answer, Locations):
        return comparable_answer(answer)
    if task is Task.LOCATE and isinstance(answer, Outlines):
        return _outline_cells(answer, tile)
    if task is Task.CAPTION and isinstance(answer, Caption):
        return Reply(answer.text)
    if task is Task.DIALOGUE and isinstance(answer, Dialogue):
        return Reply(answer.description)
    if task is Task.QUESTION and isinstance(answer, Reply):
        return answer
    return FailedAnswer(f"answered '{task}' with a {type(answer).__name__}")


def _outline_cells(outlines: Outlines, tile: Tile) -> Locations:
    """The cells in which more than 5 % of the pixels are of a class, whatever the direction."""
    found = changed_pixels(outlines, tile.valid)
    if found is None:
        return Locations({})
    of_class: dict[str, list[int]] = {}
    for place, channel in enumerate(found.channels):
        of_class.setdefault(channel.class_name, []).append(place)
    return Locations(
        {
            name: dict.fromkeys(changed_cells(found.changed & np.isin(found.channel, places)), 1.0)
            for name, places in of_class.items()
        }
    )
