"""Asks a model the questions of a test set: one look a pair, all questions about it together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from geochg.datasets.examples import PICTURES, load_pair
from geochg.errors import ModelError, RunError
from geochg.evaluation.agreement import tells_change
from geochg.evaluation.answers import AnswerRow, AnswerSet, AnswerSetHead
from geochg.evaluation.collect_presence import load_surveyless
from geochg.evaluation.exchange_answers import (
    ExchangedPairs,
    exchange_question,
    exchanged_rows,
)
from geochg.evaluation.items import Item, ItemSet
from geochg.evaluation.options import ExampleOptions
from geochg.evaluation.partial_answers import PartialAnswers
from geochg.evaluation.values import FailedAnswer, GivenAnswer, comparable_answer
from geochg.events import Listener, Progress, ignore
from geochg.geometry.grid_cells import changed_cells
from geochg.geometry.hysteresis import changed_pixels, presence_of
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.chat.converse import converse
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
    item_set: ItemSet,
    options: ExampleOptions,
    target: Path | None = None,
    *,
    resume: bool = False,
    listener: Listener = ignore,
) -> AnswerSet:
    """Asks the model of the options the questions of a test set.

    The pictures of a pair are one tile, whatever their size. Of a model that outlines, it is the
    outlines that tell whether anything changed, as in `analyze`.

    Args:
        item_set: Questions with their truths.
        options: Model and options of the run.
        target: File of predictions; partial answers lie beside it until all are there.
        resume: Whether to go on with partial answers.
        listener: Receives the progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read, or partial answers are in the way.
        ModelError: If the model is unknown, broken, or takes none of the tasks.
        OptionError: If the model refuses its options, or `resume` finds another run.
        RunError: If the model fails or nothing can be written.
    """
    pairs = ExchangedPairs.of(item_set.items, options.seed) if options.exchange else None
    model = load_surveyless(options, options.model_options)
    question = None if pairs is None else exchange_question(model, options)
    scored_items = [
        (number, item)
        for number, item in enumerate(item_set.items)
        if item.question.task in model.capabilities.tasks
    ]
    if not scored_items:
        tasks = ", ".join(dict.fromkeys(item.question.task for item in item_set.items))
        raise ModelError(
            f"the model {model.name} does not take what the rows ask: {tasks}",
            "choose another, see `geochg models`",
        )
    head = _head(item_set, options, model, scored_items)
    if pairs is not None:
        head = replace(head, exchange={"seed": options.seed, **pairs.counts})
    with PartialAnswers(target, head, resume=resume) as partial:
        done_items = {row.item for row in partial.rows}
        left = [(number, item) for number, item in scored_items if number not in done_items]
        with closing(answer_rows(left, model, options.batch_size, listener)) as rows_of_pairs:
            for rows in rows_of_pairs:
                partial.add(rows)
        if pairs is not None and question is not None:
            # They are asked in one order, so those that are kept come first.
            rest = pairs.pairs[len(partial.exchanged) :]
            with closing(
                exchanged_rows(rest, model, question, options.batch_size, listener)
            ) as batches:
                for batch in batches:
                    partial.add_exchanged(batch)
        return partial.finish()


def answer_rows(
    items: Sequence[tuple[int, Item]],
    model: ChangeModel,
    batch_size: int | None = None,
    listener: Listener = ignore,
) -> Generator[list[AnswerRow], None, None]:
    """The answers of a model, the rows of one pair after those of another.

    Args:
        items: Items with their numbers; those of one pair stand together. The model takes their
            tasks.
        model: Model that is ready to be asked.
        batch_size: Pairs answered in one call; None for the model's choice.
        listener: Receives the progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read.
        RunError: If the model fails.
    """
    by_pair = groupby(items, key=lambda numbered: numbered[1].example.paths)
    pairs = [_pair_questions(list(of_pair), model) for _, of_pair in by_pair]
    at_once = batch_size or model.capabilities.batch_tiles
    dialogues: dict[int, Mapping[int, GivenAnswer]] = {}
    done_count = 0
    listener(Progress("evaluate", done_count, len(pairs)))
    tiles = (_tile(index, pair, model) for index, pair in enumerate(pairs))
    answer_batch = _batch_answers(pairs, model, batch_size, dialogues)
    with closing(answered_ahead(tiles, at_once, answer_batch)) as batches:
        for batch, batch_answers in batches:
            for tile, answers in zip(batch, batch_answers, strict=True):
                assert isinstance(tile, Tile)
                index = tile.window.index
                yield _answer_rows(pairs[index], tile, answers, dialogues.pop(index, {}))
            done_count += len(batch)
            listener(Progress("evaluate", done_count, len(pairs)))


def _head(
    item_set: ItemSet,
    options: ExampleOptions,
    model: ChangeModel,
    scored_items: Sequence[tuple[int, Item]],
) -> AnswerSetHead:
    numbers = {number for number, _ in scored_items}
    left = [str(i.question.task) for n, i in enumerate(item_set.items) if n not in numbers]
    return AnswerSetHead(
        options.model,
        dict(options.model_options),
        asdict(model.identity),
        item_set.digest,
        len(scored_items),
        item_set.unreadable,
        {task: left.count(task) for task in dict.fromkeys(left)},
        options.wording(),
    )


# --- pairs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _PairQuestions:
    """Items of a pair with their numbers, and questions that need no turns before them, once."""

    items: Sequence[tuple[int, Item]]
    questions: tuple[Question, ...]


def _pair_questions(items: Sequence[tuple[int, Item]], model: ChangeModel) -> _PairQuestions:
    questions = dict.fromkeys(item.question for _, item in items if not item.before)
    outlines = model.capabilities.location == "mask"
    tasks = {question.task for question in questions}
    if Task.PRESENCE in tasks and outlines and Task.LOCATE in model.capabilities.tasks - tasks:
        questions[ask(Task.LOCATE)] = None
    return _PairQuestions(items, tuple(questions))


def _tile(index: int, pair: _PairQuestions, model: ChangeModel) -> Tile:
    before, after = load_pair(pair.items[0][1].example)
    dtype = np.uint8 if model.capabilities.pixels == "display" else np.float32
    return Tile.of_pair(before.astype(dtype), after.astype(dtype), index=index)


def _batch_answers(
    pairs: Sequence[_PairQuestions],
    model: ChangeModel,
    batch_size: int | None,
    dialogues: dict[int, Mapping[int, GivenAnswer]],
) -> Callable[[Sequence[Tile]], list[TileAnswers]]:
    """Answers about tiles of any size with any questions; `dialogues` takes those of dialogues."""

    def answers(tiles: Sequence[Tile]) -> list[TileAnswers]:
        tile_answers: list[TileAnswers] = []
        for batch in _like_batches(tiles, pairs, model, batch_size):
            questions = pairs[batch[0].window.index].questions
            with backend_errors(model):
                tile_answers += model.answer(batch, questions) if questions else [()] * len(batch)
        for tile in tiles:
            index = tile.window.index
            dialogues[index] = {
                n: _dialogue_answer(model, tile, i) for n, i in pairs[index].items if i.before
            }
        return tile_answers

    return answers


def _like_batches(
    tiles: Sequence[Tile],
    pairs: Sequence[_PairQuestions],
    model: ChangeModel,
    batch_size: int | None,
) -> Iterator[list[Tile]]:
    """Neighbouring tiles of one size with the same questions, as many as the model takes."""
    for (shape, _), like_tiles in groupby(
        tiles, key=lambda tile: (tile.valid.shape, pairs[tile.window.index].questions)
    ):
        at_once = batch_size or model.capabilities.tiles_at_once(max(shape))
        while batch := list(islice(like_tiles, at_once)):
            yield batch


def _dialogue_answer(model: ChangeModel, tile: Tile, item: Item) -> GivenAnswer:
    question = item.question.text
    with backend_errors(model):
        try:
            text = "".join(converse(model, tile, PICTURES, item.before, question))
        except RunError as error:
            return FailedAnswer(error.message)
    reply: Reply | Unparsed = SPECS[Task.QUESTION].parse(text, [question])
    return reply


# --- answers -------------------------------------------------------------------------------------


def _answer_rows(
    pair: _PairQuestions, tile: Tile, answers: TileAnswers, dialogues: Mapping[int, GivenAnswer]
) -> list[AnswerRow]:
    difference = round(float(np.abs(tile.after.astype(np.float32) - tile.before).mean()), 4)
    by_question: dict[Question, Answer] = {}
    if not isinstance(answers, TileFailure):
        by_question = dict(zip(pair.questions, answers, strict=True))
    failed = FailedAnswer(answers.reason) if isinstance(answers, TileFailure) else None
    outlines = next((a for a in by_question.values() if isinstance(a, Outlines)), None)

    def answer(number: int, item: Item) -> GivenAnswer:
        if item.before:
            return dialogues[number]
        question = item.question
        return failed or _scored_answer(question.task, by_question[question], outlines, tile)

    return [
        AnswerRow(
            number,
            item.pair,
            item.question.task,
            item.question.text,
            item.changed,
            item.truth,
            answer(number, item),
            difference,
            _own_view(item, by_question, tile) if outlines is not None else None,
            item.example.columns,
        )
        for number, item in pair.items
    ]


def _own_view(item: Item, by_question: Mapping[Question, Answer], tile: Tile) -> bool | None:
    """Whether the model itself tells a change, where its outlines are scored."""
    if item.before or item.question.task not in (Task.PRESENCE, Task.LOCATE):
        return None
    return tells_change(by_question[item.question], tile)


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
    pixels = changed_pixels(outlines, tile.valid)
    if pixels is None:
        return Locations({})
    of_class: dict[str, list[int]] = {}
    for index, channel in enumerate(pixels.channels):
        of_class.setdefault(channel.class_name, []).append(index)
    return Locations(
        {
            name: dict.fromkeys(
                changed_cells(pixels.changed & np.isin(pixels.channel, indexes)), 1.0
            )
            for name, indexes in of_class.items()
        }
    )
