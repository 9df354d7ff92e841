"""The backend `builtin`: the compact DeltaVLM whose weights lie in this folder.

`README.md` beside this file is its card: data, licences, recipe, scores, limits.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from geochg.errors import ModelError
from geochg.models.chat.converse import rule_based_answer
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.map_answers import map_answer
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.records import Answer, Exchange, Outlines, PairFacts, Presence, Question, Tile

FOLDER = Path(__file__).parent
"""The folder of the weights."""


class BuiltinModel(DeltaVLMModel):
    """The default: a compact DeltaVLM for RGB imagery, offline and on a CPU."""

    name = "builtin"
    summary = "the compact DeltaVLM that comes with geochg; runs on a CPU"
    folder_types = frozenset()

    @classmethod
    def load(cls, source: str, options: DeltaVLMOptions, device: str) -> Self:
        """Loads the weights that came with geochg; see `ChangeModel.load`.

        The source must be empty; the device `auto` is the CPU, for which this model is made.

        Raises:
            ModelError: If a source is given, or the installation is damaged.
        """
        if source:
            raise ModelError(
                f"builtin takes no source, but {source!r} was given",
                "write --model builtin, or --model deltavlm:FOLDER for another DeltaVLM",
            )
        return cls.open(FOLDER, cls.name, options, "cpu" if device == "auto" else device)

    @property
    def has_words(self) -> bool:
        """Whether its language model answers: with an adapter only."""
        return bool(self.options.adapter)

    def _in_words(
        self, tile: Tile, outlines: Outlines, presence: Presence, question: Question
    ) -> Answer | None:
        """The answer of the map alone, since its language model is too small to be trusted.

        With an adapter it is the language model that answers, as it was taught and scored.
        """
        if self.options.adapter:
            return None
        assert self.detector is not None
        sentence = self.detector.head.no_change_sentence
        return map_answer(question.task, outlines, presence, tile, sentence)

    @property
    def answers_by_rules(self) -> bool:
        """Whether it has no adapter, with which its language model answers."""
        return not self.options.adapter

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers from outlines, counts and caption; see `models.chat.rule_based`.

        Its language model is too small for questions that it was not taught; with an adapter it
        answers all the same.
        """
        if self.options.adapter:
            yield from super().converse(tile, facts, exchanges, question)
        else:
            yield rule_based_answer(self, tile, facts, question)
