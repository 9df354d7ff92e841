"""Asks about tiles of a single image: every label by yes or no, all of them side by side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any

from geochg.models.chat.dialogue import NUMBERLESS
from geochg.models.vlm.engine import Engine, TilePrompt
from geochg.models.vlm.tile_questions import NO, YES
from geochg.records import (
    AskedClass,
    Label,
    SceneQuestions,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks.base import NonsenseError
from geochg.tasks.scene import label_prompt, read_scene_caption, read_yes_or_no, scene_answers

LABEL_THRESHOLD = 0.5
"""A label is present where "yes" is likelier than this."""


@dataclass
class SceneTiles:
    """Tiles of one date, encoded once for all questions.

    Attributes:
        engine: The model's engine.
        tiles: Tiles of one size, each of one date.
        questions: What is asked about each.
        in_words: Whether yes and no are read from the model's own words, without a probability.
    """

    engine: Engine[Any]
    tiles: Sequence[Tile]
    questions: SceneQuestions
    in_words: bool = False
    _failed: set[int] = field(default_factory=set)

    def answers(self) -> list[TileAnswers]:
        """One `SceneAnswers` a tile; a tile fails where the model gives no finite number."""
        self.engine = self.engine.for_dates(1)
        self._encoding = self.engine.encode(self.tiles)
        labels = self._labels()
        counts, captions = self._counts(labels), self._captions()
        return [
            TileFailure(tile.window, NUMBERLESS)
            if index in self._failed
            else [scene_answers(self.questions, labels[index], counts[index], captions[index])]
            for index, tile in enumerate(self.tiles)
        ]

    def _labels(self) -> list[Mapping[str, Label]]:
        labels = self.questions.labels
        prompts = [
            self._prompt(index, label_prompt(self.questions.presence, label))
            for index in range(len(self.tiles))
            for label in labels
        ]
        answers = self._read(prompts) if self.in_words else self._measured(prompts)
        return [{label.name: next(answers) for label in labels} for _ in self.tiles]

    def _measured(self, prompts: Sequence[TilePrompt]) -> Iterator[Label]:
        """Labels by the probability of "yes" against "no"."""
        rows = self.engine.choice_probabilities(self._encoding, prompts, (YES, NO))
        for prompt, (yes, _) in zip(prompts, rows, strict=True):
            if isnan(yes):
                self._failed.add(prompt.row)
            # The last digits depend on the batch.
            yield Label(yes > LABEL_THRESHOLD, round(yes, 4))

    def _read(self, prompts: Sequence[TilePrompt]) -> Iterator[Label]:
        """Labels by what the model says."""
        for text in self._texts(prompts):
            try:
                yield Label(read_yes_or_no(text))
            except NonsenseError:
                yield Label(None)

    def _counts(self, labels: Sequence[Mapping[str, Label]]) -> list[Mapping[str, int]]:
        """How many there are of what is present."""
        if not self.questions.count:
            return [{} for _ in self.tiles]
        present_labels = [
            (index, label)
            for index, answers in enumerate(labels)
            for label in self.questions.labels
            if answers[label.name].present and index not in self._failed
        ]
        prompts = [self._count_prompt(index, label) for index, label in present_labels]
        numbers = self.engine.reply_numbers(self._encoding, prompts) if prompts else []
        counts: list[dict[str, int]] = [{} for _ in self.tiles]
        for (index, label), number in zip(present_labels, numbers, strict=True):
            if number is None:
                self._failed.add(index)
            else:
                counts[index][label.name] = number
        return list(counts)

    def _count_prompt(self, index: int, label: AskedClass) -> TilePrompt:
        return self._prompt(index, label_prompt(self.questions.count, label))

    def _captions(self) -> list[str]:
        if not self.questions.caption:
            return [""] * len(self.tiles)
        prompts = [self._prompt(index, self.questions.caption) for index in range(len(self.tiles))]
        echoes = (self.questions.caption,)
        return [read_scene_caption(text, echoes) for text in self._texts(prompts)]

    def _texts(self, prompts: Sequence[TilePrompt]) -> list[str]:
        """What the model says; a tile fails where that has no finite numbers."""
        texts = self.engine.reply_texts(self._encoding, prompts)
        self._failed |= {p.row for p, text in zip(prompts, texts, strict=True) if text is None}
        return [text or "" for text in texts]

    def _prompt(self, index: int, text: str) -> TilePrompt:
        return TilePrompt(index, self.engine.writer.prompt_ids([text], []))
