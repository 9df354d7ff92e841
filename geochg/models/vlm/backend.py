"""The backend `vlm`: asks a vision-language model of the transformers library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geochg.errors import OptionError, RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.conversation import spoken_pieces
from geochg.models.memory import FittingBatches, is_out_of_memory
from geochg.models.pretrained import FirstUse
from geochg.options import Dtype, Options, Quantize
from geochg.records import Exchange, PairFacts, Question, Task, Tile, TileAnswers

if TYPE_CHECKING:
    import torch

    from geochg.models.vlm.engine import Engine


class Answers(StrEnum):
    """In which form a model answers."""

    PROBABILITIES = "probabilities"
    LISTS = "lists"
    WORDS = "words"


_BITS = {Quantize.FOUR: 4, Quantize.EIGHT: 8}


@dataclass(frozen=True)
class VlmOptions(Options):
    """What `vlm` can be told.

    Attributes:
        revision: Of a hub id: a branch, tag or commit; empty for the newest.
        adapter: A PEFT folder to put on the model; empty for none.
        quantize: In how many bits the weights are held; None for all of them.
        dtype: Of the weights; `auto` for half precision on GPUs.
        max_tokens: Most tokens of an answer.
        answers: `probabilities` of change for presence and each of the nine cells, and counts as
            numbers; `lists` like that, but the cells as one list that can hold nothing but cells;
            `words` for all in the model's own words, as models tuned on ChangeChat give them.
        presence_threshold: A tile has changed when "yes" is likelier than this (0-1); of no matter
            to `words`.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "max_tokens": (1, 100_000),
        "presence_threshold": (0, 1),
    }

    revision: str = ""
    adapter: str = ""
    quantize: Quantize | None = None
    dtype: Dtype = Dtype.AUTO
    max_tokens: int = 128
    answers: Answers = Answers.PROBABILITIES
    presence_threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise OptionError(f"max_tokens {self.max_tokens}", "it must be above zero")
        if not 0 <= self.presence_threshold <= 1:
            raise OptionError(
                f"presence_threshold {self.presence_threshold}", "it must lie between 0 and 1"
            )
        super().__post_init__()


class VlmModel(ChangeModel):
    """A vision-language model that was made to talk about pictures or videos.

    Each tile is looked at once for all questions, and only tiles that changed are asked more than
    whether they did.
    """

    name: ClassVar[str] = "vlm"
    summary: ClassVar[str] = (
        "a vision-language model of transformers (LLaVA, Qwen-VL and more): folder or hub id"
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=frozenset(Task),
        location="grid",
        pixels="display",
        bands="rgb",
        streams=True,
        clues=True,
        asked_in_words=frozenset(Task),
    )
    options_type: ClassVar[type[Options]] = VlmOptions

    def __init__(self, engine: Engine[Any], options: VlmOptions, identity: ModelIdentity) -> None:
        self.engine = engine
        self.options = options
        self._identity = identity
        self._batches = FittingBatches(self.capabilities.batch_tiles)
        self._first_use = FirstUse(identity.id)

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
        from geochg.models.adapters import adapter_id
        from geochg.models.devices import torch_device
        from geochg.models.hub import find_folder
        from geochg.models.model_files import fingerprint, weight_files
        from geochg.models.pretrained import opening_told
        from geochg.models.vlm.loading import HINT, How, open_vlm

        assert isinstance(options, VlmOptions)
        folder = find_folder(source, cls.name, options.revision)
        place = torch_device(device)
        how = How(
            place,
            _dtype(options.dtype, place),
            _BITS[options.quantize] if options.quantize else None,
            options.adapter,
            options.max_tokens,
        )
        # Settings that each make sense may make none together, wherever they are used.
        with opening_told(folder, HINT):
            engine = open_vlm(folder, how)
        identity = ModelIdentity(
            f"{cls.name}:{source}" + (f"@{options.revision}" if options.revision else ""),
            fingerprint(folder, weight_files(folder)),
            adapter_id(options.adapter),
        )
        return cls(engine, options, identity)

    @classmethod
    def presence_options(cls, options: Options, probability: float) -> Mapping[str, Any]:
        """The probability of "yes"; see `ChangeModel.presence_options`."""
        assert isinstance(options, VlmOptions)
        return {} if options.answers == Answers.WORDS else {"presence_threshold": probability}

    @property
    def identity(self) -> ModelIdentity:
        """What was loaded, and the checksum of its weights."""
        return self._identity

    def worded(self, question: Question) -> str:
        """The question, or the pattern of those that take its place; see `ChangeModel.worded`."""
        from geochg.models.vlm.generation import pattern

        return pattern(question, self.options.answers)

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Raises:
            ModelError: If the model fails before it has answered about any tile.
            RunError: If not even one tile fits into memory.
        """
        from geochg.models.vlm.generation import Asking

        def answers(part: Sequence[Tile]) -> Iterable[TileAnswers]:
            how = self.options
            asking = Asking(self.engine, part, how.answers, how.presence_threshold)
            return asking.answers(questions)

        hint = (
            "what was done is kept: run again with --resume --device cpu, or start anew with "
            "--quantize 4bit or a smaller model"
        )
        with self._first_use.told(), _memory_told(hint):
            return self._batches.run(tiles, lambda part: list(answers(part)))

    def talk(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk, word by word as they come; see `ChangeModel.talk`."""
        from geochg.models.vlm.engine import Text

        asked = [*(exchange.question for exchange in exchanges), f"{question} {tile.clue}".strip()]
        hint = "use --quantize 4bit, a smaller model or --device cpu"
        with self._first_use.told(), _memory_told(hint):
            ids = self.engine.writer.rest(asked, [exchange.answer for exchange in exchanges])
            said = self.engine.stream(self.engine.look([tile]), Text(0, ids))
            yield from spoken_pieces(said)


@contextmanager
def _memory_told(hint: str) -> Iterator[None]:
    """Turns a full memory into an error that says what to do about it.

    Raises:
        RunError: If the device ran out of memory within the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise RunError("the device has too little memory for even one tile", hint) from error


def _dtype(wanted: Dtype, device: str) -> torch.dtype:
    """Half precision on GPUs unless told otherwise."""
    import torch

    if wanted is not Dtype.AUTO:
        found: torch.dtype = getattr(torch, wanted)
        return found
    if device == "cpu":
        return torch.float32
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16


__all__ = ["VlmModel", "VlmOptions"]
