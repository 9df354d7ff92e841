"""The base of models that wrap another one and change what it is asked or what it answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from geochg.errors import ModelError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.converse import converse
from geochg.options import Options
from geochg.records import Exchange, PairFacts, Question, Tile


class WrappedModel(ChangeModel[Options]):
    """Does what the wrapped model does, under its name; it is no backend."""

    def __init__(self, model: ChangeModel) -> None:
        self.model = model
        self.name = model.name
        self.summary = model.summary

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """A wrapper is made of a model that is loaded.

        Raises:
            ModelError: Always.
        """
        raise ModelError(f"{cls.__name__} wraps a model", "name a model with --model")

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the wrapped model."""
        return self.model.capabilities

    @property
    def answers_by_rules(self) -> bool:
        """Whether the wrapped model answers free questions by rules."""
        return self.model.answers_by_rules

    @property
    def how_it_runs(self) -> frozenset[str]:
        """Options of the wrapped model that do not change its answers."""
        return self.model.how_it_runs

    @property
    def identity(self) -> ModelIdentity:
        """The identity of the wrapped model."""
        return self.model.identity

    @property
    def tokens_so_far(self) -> Mapping[str, int]:
        """The tokens of the wrapped model."""
        return self.model.tokens_so_far

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Lets the wrapped model survey the pair; see `ChangeModel.survey`."""
        self.model.survey(facts, sample)

    def prompt(self, question: Question) -> str:
        """The prompt of the wrapped model; see `ChangeModel.prompt`."""
        return self.model.prompt(question)

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """The answer of the wrapped model; see `models.chat.converse`."""
        yield from converse(self.model, tile, facts, exchanges, question)
