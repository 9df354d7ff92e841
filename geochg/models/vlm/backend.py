"""The backend `vlm`: asks a vision-language model of the transformers library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geochg.errors import OptionError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.talk import Conversation, unchanged
from geochg.options import Options
from geochg.records import (
    GRID_CELLS,
    Answer,
    Counts,
    Dialogue,
    Exchange,
    GridCell,
    Locations,
    PairFacts,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
)
from geochg.tasks import ask
from geochg.tasks.lexicon import ASKED, COUNTABLE

if TYPE_CHECKING:
    import torch

    from geochg.models.vlm.engine import Engine, Glance

YES = ("Yes", "yes", " Yes", " yes")
NO = ("No", "no", " No", " no")
"""Spellings of the two answers to a yes/no question."""

CELL_QUESTION = (
    "Look only at the {cell} part of the place: has any {thing} changed? Answer yes or no."
)
COUNT_QUESTION = "How many {things} have changed? Answer with one number."

DTYPES = ("auto", "float32", "bfloat16", "float16")
QUANTIZED = {"": None, "8bit": 8, "4bit": 4}


@dataclass(frozen=True)
class VlmOptions(Options):
    """What `vlm` can be told.

    Attributes:
        revision: Of a hub id; empty for the newest.
        adapter: A PEFT folder to put on the model; empty for none.
        quantize: `4bit`, `8bit` or empty.
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        max_tokens: Most tokens of an answer.
        in_words: Whether places and counts are asked in words too, instead of cell by cell and as
            numbers.
        presence_threshold: A tile has changed when "yes" is likelier than this (0-1).
    """

    revision: str = ""
    adapter: str = ""
    quantize: str = ""
    dtype: str = "auto"
    max_tokens: int = 128
    in_words: bool = False
    presence_threshold: float = 0.5

    def __post_init__(self) -> None:
        for name, known in (("quantize", tuple(QUANTIZED)), ("dtype", DTYPES)):
            if getattr(self, name) not in known:
                raise OptionError(
                    f"{name} {getattr(self, name)!r}",
                    f"it must be {' or '.join(filter(None, known))}",
                )
        if self.max_tokens < 1:
            raise OptionError(f"max_tokens {self.max_tokens}", "it must be above zero")
        if not 0 <= self.presence_threshold <= 1:
            raise OptionError(
                f"presence_threshold {self.presence_threshold}", "it must lie between 0 and 1"
            )


class VlmModel(ChangeModel):
    """A vision-language model that was made to talk about pictures or videos.

    Each tile is looked at once for all questions. Presence comes as the probability of "yes"
    against "no", places as nine such probabilities for each class, counts as numbers; captions and
    free answers as they come. The rest is asked only of tiles that changed.
    """

    name: ClassVar[str] = "vlm"
    summary: ClassVar[str] = "a vision-language model of transformers (LLaVA and kin): folder or id"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=frozenset(Task),
        location="grid",
        pixels="display",
        bands="rgb",
        clues=True,
        asked_in_words=frozenset(Task),
    )
    options_type: ClassVar[type[Options]] = VlmOptions

    def __init__(self, engine: Engine, options: VlmOptions, identity: ModelIdentity) -> None:
        self.engine = engine
        self.options = options
        self._identity = identity

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """Loads a model folder; see `ChangeModel.load`.

        Args:
            source: A folder, or a hub id such as `owner/name`.
            options: `VlmOptions`.
            device: See `ChangeModel.load`.

        Raises:
            ModelError: If the folder is of no known family, lacks something, or does not go with
                the adapter, the quantisation or the device.
        """
        from geochg.models.deltavlm.folder import checksum, weight_files
        from geochg.models.devices import torch_device
        from geochg.models.hub import find_folder
        from geochg.models.vlm.chat import ChatWriter
        from geochg.models.vlm.engine import Engine
        from geochg.models.vlm.loading import How, open_vlm

        assert isinstance(options, VlmOptions)
        folder = find_folder(source, cls.name, options.revision)
        place = torch_device(device)
        bits = QUANTIZED[options.quantize]
        opened = open_vlm(folder, How(place, _dtype(options.dtype, place), bits, options.adapter))
        writer = ChatWriter(opened.tokenizer, opened.template, opened.family.content)
        identity = ModelIdentity(
            f"{cls.name}:{source}" + (f"@{options.revision}" if options.revision else ""),
            checksum(weight_files(folder)),
            options.adapter,
        )
        return cls(Engine(opened.family, writer, options.max_tokens), options, identity)

    @classmethod
    def presence_options(cls, options: Options, probability: float) -> Mapping[str, Any]:
        """The probability of "yes"; see `ChangeModel.presence_options`."""
        return {"presence_threshold": probability}

    @property
    def identity(self) -> ModelIdentity:
        """What was loaded, and the checksum of its weights."""
        return self._identity

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        return list(_Batch(self.engine, tiles, self.options).answers(questions))

    def talk(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk; see `ChangeModel.talk`."""
        asked = [*(exchange.question for exchange in exchanges), f"{question} {tile.clue}".strip()]
        text = self.engine.writer.rest(asked, [exchange.answer for exchange in exchanges])
        yield from self.engine.say(self.engine.look([tile]), [0], [text])


class _Batch:
    """Some tiles that were looked at."""

    def __init__(self, engine: Engine, tiles: Sequence[Tile], options: VlmOptions) -> None:
        self.engine = engine
        self.tiles = tiles
        self.options = options
        self.glance: Glance = engine.look(tiles)

    def answers(self, questions: Sequence[Question]) -> Iterator[list[Answer]]:
        """Of each tile, in the order of the questions."""
        asked = next((q for q in questions if q.task is Task.PRESENCE), None)
        everywhere = range(len(self.tiles))
        presence = self._presence(everywhere, asked) if asked else None
        changed = [p for p in everywhere if presence is None or presence[p].changed]
        columns: list[dict[int, Answer]] = []
        for question in questions:
            if question.task is Task.PRESENCE and presence is not None:
                columns.append(dict(enumerate(presence)))
            elif question.task is Task.QUESTION:
                columns.append(self._asked(everywhere, question))
            else:
                columns.append(self._asked(changed, question))
        for place in everywhere:
            yield [
                self._agreed(column[place], presence[place] if presence else None)
                if place in column
                else unchanged(question.task, presence[place] if presence else Presence(False))
                for question, column in zip(questions, columns, strict=True)
            ]

    def _agreed(self, answer: Answer, presence: Presence | None) -> Answer:
        """A dialogue's presence has the probability that was found."""
        if presence and isinstance(answer, Dialogue):
            known = replace(answer.presence, probability=presence.probability)
            return replace(answer, presence=known)
        return answer

    def _asked(self, places: Sequence[int], question: Question) -> dict[int, Answer]:
        """The answers about some tiles, by place."""
        if not places:
            return {}
        answers: Iterable[Answer]
        if question == ask(Task.LOCATE) and not self.options.in_words:
            answers = self._located(places)
        elif question == ask(Task.COUNT) and not self.options.in_words:
            answers = self._counted(places)
        else:
            answers = self._in_words(places, question)
        return dict(zip(places, answers, strict=True))

    def _presence(self, places: Sequence[int], question: Question) -> list[Presence]:
        least = self.options.presence_threshold
        found = self._yes(places, [question.text] * len(places))
        return [Presence(likely > least, likely) for likely in found]

    def _located(self, places: Sequence[int]) -> Iterator[Locations]:
        """Nine probabilities for each class; cells that are likelier changed than not."""
        kinds = [(name, cell) for name in ASKED for cell in GRID_CELLS]
        texts = [
            CELL_QUESTION.format(cell=cell.name.replace("-", " "), thing=COUNTABLE[name][0])
            for name, cell in kinds
        ]
        rows = [place for place in places for _ in kinds]
        found = self._yes(rows, texts * len(places))
        for number in range(len(places)):
            part = found[number * len(kinds) : (number + 1) * len(kinds)]
            located: dict[str, dict[GridCell, float]] = {name: {} for name in ASKED}
            for (name, cell), probability in zip(kinds, part, strict=True):
                if probability > 0.5:
                    located[name][cell] = probability
            yield Locations(located)

    def _counted(self, places: Sequence[int]) -> Iterator[Counts]:
        rows = [place for place in places for _ in ASKED]
        texts = [COUNT_QUESTION.format(things=COUNTABLE[name][1]) for name in ASKED] * len(places)
        numbers = iter(self.engine.number(self.glance, rows, self._written(rows, texts)))
        for _ in places:
            yield Counts({name: next(numbers) for name in ASKED})

    def _in_words(self, places: Sequence[int], question: Question) -> list[Answer]:
        talks = [Conversation(place, question, self.tiles[place].clue) for place in places]
        while open_ones := [talk for talk in talks if not talk.is_over]:
            texts = [self.engine.writer.rest(talk.asked, talk.said) for talk in open_ones]
            said = self.engine.say(self.glance, [talk.place for talk in open_ones], texts)
            for talk, words in zip(open_ones, said, strict=True):
                talk.said.append(words)
        return [talk.answer() for talk in talks]

    def _yes(self, rows: Sequence[int], texts: Sequence[str]) -> list[float]:
        """Probability of "yes" against "no"."""
        written = self._written(rows, texts)
        return [yes for yes, _ in self.engine.choose(self.glance, rows, written, (YES, NO))]

    def _written(self, rows: Sequence[int], texts: Sequence[str]) -> list[str]:
        return [
            self.engine.writer.rest([f"{text} {self.tiles[row].clue}".rstrip()], [])
            for row, text in zip(rows, texts, strict=True)
        ]


def _dtype(wanted: str, device: str) -> torch.dtype:
    """Half precision on GPUs unless told otherwise."""
    import torch

    if wanted != "auto":
        found: torch.dtype = getattr(torch, wanted)
        return found
    if device == "cpu":
        return torch.float32
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16


__all__ = ["VlmModel", "VlmOptions"]
