"""A model around another one, which does what is left to it as that one does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from geochg.errors import ModelError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.converse import converse
from geochg.options import Options
from geochg.records import Exchange, PairFacts, Question, Tile


class WrappedModel(ChangeModel[Options]):
    """A model that asks another one; no backend: it is made of a model that is loaded.

    Args:
        model: The model that is asked.
    """

    def __init__(self, model: ChangeModel) -> None:
        self.model = model
        self.name = model.name
        self.summary = model.summary

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """Refuses: what is loaded is the model that is asked."""
        raise ModelError(f"{cls.__name__} is made of a model", "name one with --model")

    @property
    def capabilities(self) -> Capabilities:
        """What the wrapped model can do."""
        return self.model.capabilities

    @property
    def how_it_runs(self) -> frozenset[str]:
        """Options of the wrapped model that do not change its answers."""
        return self.model.how_it_runs

    @property
    def identity(self) -> ModelIdentity:
        """Which model is wrapped."""
        return self.model.identity

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Lets the wrapped model look at the pair; see `ChangeModel.survey`."""
        self.model.survey(facts, sample)

    def prompt(self, question: Question) -> str:
        """What is put to the wrapped model; see `ChangeModel.prompt`."""
        return self.model.prompt(question)

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Converses as the wrapped model does; see `models.chat.converse`."""
        yield from converse(self.model, tile, facts, exchanges, question)
