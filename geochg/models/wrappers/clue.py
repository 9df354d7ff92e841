"""A model that is given another model's caption of each tile as a clue.

The idea is that of prompt augmentation in UniRS (Li et al.). There a frozen model of its own gives
the clue, and the model that answers was tuned with clues; here any model is given one.
"""

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
    """Lets one model caption each tile, and another answer with that as a clue.

    Args:
        model: The model that answers.
        captioner: The model that captions; may be the same.
        prompts: Prompts in the user's own words; see `tasks.prompts`.

    Raises:
        ModelError: If the first cannot read clues, the second cannot caption, or they see other
            pixels.
    """

    def __init__(
        self, model: ChangeModel, captioner: ChangeModel, prompts: Mapping[str, str]
    ) -> None:
        if not model.capabilities.clues:
            raise ModelError(
                f"the model {model.name} does not read clues", "leave out --clue and --clue-model"
            )
        if Task.CAPTION not in captioner.capabilities.tasks:
            raise ModelError(
                f"the model {captioner.name} does not describe what it sees",
                "name another --clue-model",
            )
        mapper, other = model.capabilities, captioner.capabilities
        # A captioner that can use infrared does without where the model that answers has none.
        bands = {other.bands, other.bands.removesuffix("+nir")}
        if mapper.pixels != other.pixels or mapper.bands not in bands or other.needs_survey:
            raise ModelError(
                f"the models {model.name} and {captioner.name} do not see the same pixels",
                "name another --clue-model",
            )
        super().__init__(model)
        self.captioner = captioner
        self._prompts = prompts
        self._question = ask(Task.CAPTION, prompts.get(Task.CAPTION))

    @property
    def identity(self) -> ModelIdentity:
        """The identities of both models in one."""
        own_identity, other = self.model.identity, self.captioner.identity
        digest = hashlib.sha256(f"{own_identity.checksum} {other.checksum}".encode()).hexdigest()
        return ModelIdentity(
            f"{own_identity.id}, clues by {other.id}", f"sha256:{digest}", own_identity.adapter
        )

    @property
    def tokens_so_far(self) -> Mapping[str, int]:
        """The tokens of both models."""
        own_tokens, other = self.model.tokens_so_far, self.captioner.tokens_so_far
        if self.captioner is self.model or not other:
            return own_tokens
        return {name: own_tokens.get(name, 0) + other[name] for name in other}

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Lets both models survey the pair; see `ChangeModel.survey`."""
        if self.captioner is not self.model:
            self.captioner.survey(facts, [])
        self.model.survey(facts, sample)

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers with the caption as a clue; see `ChangeModel.converse`."""
        (caption,) = self._captions([tile])
        if isinstance(caption, TileFailure):
            raise RunError(caption.reason, "ask about another place")
        yield from super().converse(self._with_clue(tile, caption), facts, exchanges, question)

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        captions = self._captions(tiles)
        clued = [
            self._with_clue(tile, caption)
            for tile, caption in zip(tiles, captions, strict=True)
            if isinstance(caption, str)
        ]
        answers = iter(self.model.answer(clued, questions) if clued else [])
        return [next(answers) if isinstance(caption, str) else caption for caption in captions]

    def _captions(self, tiles: Sequence[Tile]) -> list[str | TileFailure]:
        """The caption of each tile; empty where it makes no sense, a failure where none came."""
        with backend_errors(self.captioner):
            answers = self.captioner.answer(tiles, [self._question])
        return [_caption_text(tile_answers) for tile_answers in answers]

    def _with_clue(self, tile: Tile, caption: str) -> Tile:
        return replace(tile, clue=clue_sentence(caption, self._prompts))


def _caption_text(answers: TileAnswers) -> str | TileFailure:
    if isinstance(answers, TileFailure):
        return replace(answers, reason=f"no clue: {answers.reason}")
    (caption,) = answers
    return caption.text if isinstance(caption, Caption) else ""
