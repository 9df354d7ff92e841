"""Asks a model about the pairs of a test set of rows with exchanged after images."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Self

import numpy as np

from geochg.datasets.examples import Example, load_pair
from geochg.datasets.frames import picture_size, video_frames
from geochg.datasets.splits import connected_groups
from geochg.errors import ModelError
from geochg.evaluation.exchange import Size, exchange_partners
from geochg.evaluation.items import Item
from geochg.evaluation.options import ExampleOptions
from geochg.evaluation.predictions import Prediction
from geochg.events import Listener, Progress
from geochg.geometry.hysteresis import presence_of
from geochg.models.base import ChangeModel, backend_errors
from geochg.pipeline.batching import answered_ahead
from geochg.records import Outlines, Presence, Question, Task, Tile, TileAnswers, TileFailure
from geochg.tasks import ask


@dataclass(frozen=True, slots=True)
class ExchangedPair:
    """A pair that is given another one's after image.

    Attributes:
        row: Its prediction before it is asked.
        example: The pair.
        partner: The pair which the after image is of.
    """

    row: Prediction
    example: Example
    partner: Example


@dataclass(frozen=True)
class ExchangedPairs:
    """The pairs of a test set with exchanged after images.

    Attributes:
        pairs: The pairs, those of one size beside each other.
        total: Number of pairs in the test set.
    """

    pairs: Sequence[ExchangedPair]
    total: int

    @classmethod
    def of(cls, items: Iterable[Item], seed: int) -> Self:
        """The exchanged pairs of the pairs that questions are about.

        Args:
            items: The questions.
            seed: Seed of the exchange.

        Raises:
            InputError: If no images can be exchanged, or one cannot be read.
        """
        by_pair: dict[object, Item] = {}
        for item in items:
            by_pair.setdefault(item.example.paths, item)
        firsts = list(by_pair.values())
        keys = [
            {*item.example.paths, *([item.example.location] if item.example.location else ())}
            for item in firsts
        ]
        groups = [firsts[number].pair for number in connected_groups(keys)]
        sizes = [_size(item.example) for item in firsts]
        partners = exchange_partners(sizes, groups, seed)
        pairs = [
            ExchangedPair(
                Prediction(
                    *(item.pair, groups[number], item.changed, None, None, 0.0),
                    firsts[partners[number]].pair,
                    item.example.columns,
                ),
                item.example,
                firsts[partners[number]].example,
            )
            for number, item in sorted(enumerate(firsts), key=lambda entry: sizes[entry[0]])
            if number in partners
        ]
        return cls(pairs, len(firsts))

    @property
    def counts(self) -> dict[str, int]:
        """The number of exchanged pairs, and of those for which there was no image."""
        return {"pairs": len(self.pairs), "left_out": self.total - len(self.pairs)}


def exchange_question(model: ChangeModel, options: ExampleOptions) -> Question:
    """The question that tells whether a model calls a pair changed, as `analyze` asks it.

    Raises:
        ModelError: If the model tells no such thing.
    """
    able = model.capabilities
    outlines = able.location == "mask" and Task.LOCATE in able.tasks
    task = Task.LOCATE if outlines else Task.PRESENCE
    if task not in able.tasks:
        raise ModelError(
            f"the model {model.name} does not tell whether something changed",
            "leave out --exchange",
        )
    return ask(task, options.prompts.get(task))


def exchanged_rows(
    pairs: Sequence[ExchangedPair],
    model: ChangeModel,
    question: Question,
    batch_size: int | None,
    listener: Listener,
) -> Generator[list[Prediction], None, None]:
    """The answers about exchanged pairs, batch by batch.

    Args:
        pairs: The pairs, whole and uncut.
        model: Model that is ready to be asked.
        question: Question that tells whether something changed.
        batch_size: Pairs answered in one call; None for the model's choice.
        listener: Receives the progress, on the calling thread.

    Raises:
        InputError: If a pair cannot be read.
        RunError: If the model fails.
    """
    at_once = batch_size or model.capabilities.batch_tiles

    def answers(tiles: Sequence[Tile]) -> list[TileAnswers]:
        tile_answers: list[TileAnswers] = []
        for shape, like_tiles in groupby(tiles, key=lambda tile: tile.valid.shape):
            at_most = batch_size or model.capabilities.tiles_at_once(max(shape))
            while batch := list(islice(like_tiles, at_most)):
                with backend_errors(model):
                    tile_answers += model.answer(batch, [question])
        return tile_answers

    listener(Progress("exchange", 0, len(pairs)))
    done_count = 0
    with closing(answered_ahead(_tiles(pairs, model), at_once, answers)) as batches:
        for batch, batch_answers in batches:
            yield [
                _answered_row(pairs[tile.window.index].row, tile, answer)
                for tile, answer in zip(batch, batch_answers, strict=True)
                if isinstance(tile, Tile)
            ]
            done_count += len(batch)
            listener(Progress("exchange", done_count, len(pairs)))


def _tiles(pairs: Sequence[ExchangedPair], model: ChangeModel) -> Iterator[Tile]:
    dtype = np.uint8 if model.capabilities.pixels == "display" else np.float32
    for index, pair in enumerate(pairs):
        before, _ = load_pair(pair.example)
        _, after = load_pair(pair.partner)
        yield Tile.of_pair(before.astype(dtype), after.astype(dtype), index=index)


def _answered_row(row: Prediction, tile: Tile, answers: TileAnswers) -> Prediction:
    difference = round(float(np.abs(tile.after.astype(np.float32) - tile.before).mean()), 4)
    row = replace(row, difference=difference)
    answer = None if isinstance(answers, TileFailure) else answers[0]
    if isinstance(answer, Outlines):
        answer = presence_of(answer, tile.valid)
    if not isinstance(answer, Presence):
        return row
    likely = None if answer.probability is None else float(answer.probability)
    return replace(row, answer=bool(answer.changed), probability=likely)


def _size(example: Example) -> Size:
    """Height and width of the images of a pair; of pictures their heads are read only."""
    if example.before is not None:
        return picture_size(example.before)
    if example.video is None:
        return load_pair(example)[0].shape[1], load_pair(example)[0].shape[2]
    frame, _ = video_frames(example.video)
    return frame.shape[1], frame.shape[2]
