"""Asks an endpoint about tiles of a single image, one request a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from geochg.models.endpoint.reply import NoAnswerError
from geochg.records import (
    Label,
    SceneQuestions,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks.base import NonsenseError
from geochg.tasks.scene import label_prompt, read_number, read_scene_caption, scene_answers

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
        labels = self._labels()
        counts, captions = self._counts(labels), self._captions()
        return [
            self._failures[index]
            if index in self._failures
            else [scene_answers(self.questions, labels[index], counts[index], captions[index])]
            for index in range(len(self.tiles))
        ]

    def _labels(self) -> list[Mapping[str, Label]]:
        labels = self.questions.labels
        tile_questions = [
            AskedTile(index, label_prompt(self.questions.presence, label))
            for index in range(len(self.tiles))
            for label in labels
        ]
        answers = self._all(tile_questions, lambda question: self.ask_label(*question))
        return [{label.name: next(answers) or Label(None) for label in labels} for _ in self.tiles]

    def _counts(self, labels: Sequence[Mapping[str, Label]]) -> list[dict[str, int | None]]:
        """How many there are of what is present; None where the answer made no sense."""
        counts: list[dict[str, int | None]] = [{} for _ in self.tiles]
        if not self.questions.count:
            return counts
        present_labels = [
            (index, label)
            for index, answers in enumerate(labels)
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

    def _captions(self) -> list[str]:
        if not self.questions.caption:
            return [""] * len(self.tiles)
        tile_questions = [
            AskedTile(index, self.questions.caption) for index in range(len(self.tiles))
        ]
        texts = self._all(tile_questions, lambda question: self.ask(*question))
        prompts = (self.questions.caption,)
        return [read_scene_caption(text or "", prompts) for text in texts]

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
