"""A model that is told first what was seen.

The idea is that of prompt augmentation in UniRS (Li et al.). There a frozen model of its own gives
the clue, and the model that answers was tuned with clues; here any model is given one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from geochg.errors import ModelError, RunError
from geochg.models.base import ChangeModel, ModelIdentity, backend_errors
from geochg.models.wrappers.wrapped import WrappedModel
from geochg.records import (
    Caption,
    Exchange,
    PairFacts,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks import ask
from geochg.tasks.prompts import clue_sentence


class CluedModel(WrappedModel):
    """Lets one model describe each tile, and another answer with that as a clue.

    Args:
        model: Which answers.
        teller: Which describes; may be the same.
        wording: Prompts in one's own words; see `tasks.wording`.

    Raises:
        ModelError: If the one cannot read clues, the other cannot describe, or they see other
            pixels.
    """

    def __init__(self, model: ChangeModel, teller: ChangeModel, wording: Mapping[str, str]) -> None:
        if not model.capabilities.clues:
            raise ModelError(
                f"the model {model.name} does not read clues", "leave out --clue and --clue-model"
            )
        if Task.CAPTION not in teller.capabilities.tasks:
            raise ModelError(
                f"the model {teller.name} does not describe what it sees",
                "name another --clue-model",
            )
        mine, other = model.capabilities, teller.capabilities
        # What sees infrared too where there is some does without.
        seen = {other.bands, other.bands.removesuffix("+nir")}
        if mine.pixels != other.pixels or mine.bands not in seen or other.needs_survey:
            raise ModelError(
                f"the models {model.name} and {teller.name} do not see the same pixels",
                "name another --clue-model",
            )
        super().__init__(model)
        self.teller = teller
        self._wording = wording
        self._describe = ask(Task.CAPTION, wording.get(Task.CAPTION))

    @property
    def identity(self) -> ModelIdentity:
        """That of the model that answers, and of the one that describes."""
        mine, other = self.model.identity, self.teller.identity
        both = hashlib.sha256(f"{mine.checksum} {other.checksum}".encode()).hexdigest()
        return ModelIdentity(f"{mine.id}, clues by {other.id}", f"sha256:{both}", mine.adapter)

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Lets both look at the pair; see `ChangeModel.survey`."""
        if self.teller is not self.model:
            self.teller.survey(facts, [])
        self.model.survey(facts, sample)

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Talks with the description as a clue; see `ChangeModel.converse`."""
        (told,) = self._told([tile])
        if isinstance(told, TileFailure):
            raise RunError(told.reason, "ask about another place")
        clue = clue_sentence(_described(told), self._wording)
        yield from super().converse(replace(tile, clue=clue), facts, exchanges, question)

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        told = self._told(tiles)
        found: list[TileAnswers] = list(told)
        good = [place for place, clue in enumerate(told) if not isinstance(clue, TileFailure)]
        clued = [
            replace(tiles[place], clue=clue_sentence(_described(told[place]), self._wording))
            for place in good
        ]
        if clued:
            for place, answers in zip(good, self.model.answer(clued, questions), strict=True):
                found[place] = answers
        return found

    def _told(self, tiles: Sequence[Tile]) -> list[TileAnswers]:
        """What was seen in each tile; no answer about a tile is none to it either."""
        with backend_errors(self.teller):
            told = self.teller.answer(tiles, [self._describe])
        return [_with_clue(answers) for answers in told]


def _with_clue(told: TileAnswers) -> TileAnswers:
    """The description, or that the tile failed for want of one."""
    if isinstance(told, TileFailure):
        return replace(told, reason=f"no clue: {told.reason}")
    return told


def _described(told: TileAnswers) -> str:
    """What was said; a description that makes no sense is none."""
    assert not isinstance(told, TileFailure)
    (caption,) = told
    return caption.text if isinstance(caption, Caption) else ""
