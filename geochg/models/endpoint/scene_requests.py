"""Asks an endpoint about tiles of a single image, one request a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from geochg.models.endpoint.reply import NoAnswerError
from geochg.records import (
    AskedClass,
    Label,
    SceneAnswers,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks.base import NonsenseError
from geochg.tasks.scene import label_prompt, read_number, read_scene_caption

_Read = TypeVar("_Read")


class AskedTile(NamedTuple):
    """A question about the tile of an index."""

    tile: int
    prompt: str


@dataclass
class SceneRequests:
    """The requests about some tiles, several of them in flight.

    Attributes:
        tiles: Tiles of one date each.
        questions: What is asked about each.
        ask_label: Asks one yes-or-no question about the tile of an index.
        ask: Asks for words; as `ask_label`, both raise `NoAnswerError` where none came.
        pool: Runs the requests.
    """

    tiles: Sequence[Tile]
    questions: SceneQuestions
    ask_label: Callable[[int, str], Label]
    ask: Callable[[int, str], str]
    pool: Executor
    _failures: dict[int, TileFailure] = field(default_factory=dict)

    def answers(self) -> list[TileAnswers]:
        """One `SceneAnswers` a tile; a tile fails where a request about it got no answer."""
        everywhere = range(len(self.tiles))
        labels = self._labels(everywhere)
        counts = self._counts(labels)
        captions = self._captions(everywhere)
        return [
            self._failures[index]
            if index in self._failures
            else [self._joined(labels[index], counts[index], captions.get(index, ""))]
            for index in everywhere
        ]

    def _joined(
        self, labels: Mapping[str, Label], counts: Mapping[str, int | None], caption: str
    ) -> SceneAnswers:
        unparsed = [name for name, label in labels.items() if label.present is None]
        if None in counts.values():
            unparsed.append(str(Task.COUNT))
        if self.questions.caption and not caption:
            unparsed.append(str(Task.CAPTION))
        known_counts = {name: number for name, number in counts.items() if number is not None}
        return SceneAnswers(labels, known_counts, caption, tuple(unparsed))

    def _labels(self, indices: Sequence[int]) -> dict[int, dict[str, Label]]:
        labels = self.questions.labels
        tile_questions = [
            AskedTile(index, label_prompt(self.questions.presence, label))
            for index in indices
            for label in labels
        ]
        answers = self._all(tile_questions, lambda question: self.ask_label(*question))
        return {
            index: {label.name: next(answers) or Label(None) for label in labels}
            for index in indices
        }

    def _counts(self, labels: Mapping[int, Mapping[str, Label]]) -> list[dict[str, int | None]]:
        """How many there are of what is present; None where the answer made no sense."""
        counts: list[dict[str, int | None]] = [{} for _ in self.tiles]
        if not self.questions.count:
            return counts
        present_labels: list[tuple[int, AskedClass]] = [
            (index, label)
            for index, answers in labels.items()
            for label in self.questions.labels
            if answers[label.name].present
        ]
        tile_questions = [
            AskedTile(index, label_prompt(self.questions.count, label))
            for index, label in present_labels
        ]
        for (index, label), number in zip(
            present_labels, self._all(tile_questions, self._number), strict=True
        ):
            counts[index][label.name] = number
        return counts

    def _number(self, question: AskedTile) -> int | None:
        try:
            return read_number(self.ask(*question), (question.prompt,))
        except NonsenseError:
            return None

    def _captions(self, indices: Sequence[int]) -> dict[int, str]:
        if not self.questions.caption:
            return {}
        tile_questions = [AskedTile(index, self.questions.caption) for index in indices]
        texts = self._all(tile_questions, lambda question: self.ask(*question))
        prompts = (self.questions.caption,)
        return {
            index: read_scene_caption(text or "", prompts)
            for index, text in zip(indices, texts, strict=True)
        }

    def _all(
        self, tile_questions: Sequence[AskedTile], read: Callable[[AskedTile], _Read]
    ) -> Iterator[_Read | None]:
        """What is read of each answer; None for tiles that failed, of which no more is asked."""

        def read_one(question: AskedTile) -> _Read | None:
            if question.tile in self._failures:
                return None
            try:
                return read(question)
            except NoAnswerError as error:
                window = self.tiles[question.tile].window
                self._failures[question.tile] = TileFailure(
                    window, error.reason, error.is_permanent
                )
                return None

        # All of them are consumed here, so that the errors of threads are raised here.
        return iter(list(self.pool.map(read_one, tile_questions)))
