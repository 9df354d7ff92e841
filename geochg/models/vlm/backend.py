"""The backend `vlm`: asks a vision-language model of the transformers library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from geochg.errors import OptionError, RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.memory import FittingBatches, is_out_of_memory
from geochg.options import Options
from geochg.records import Exchange, PairFacts, Question, Task, Tile, TileAnswers

if TYPE_CHECKING:
    import torch

    from geochg.models.vlm.engine import Engine

ANSWERS = ("probabilities", "lists", "words")
DTYPES = ("auto", "float32", "bfloat16", "float16")
QUANTIZED = {"": None, "8bit": 8, "4bit": 4}


@dataclass(frozen=True)
class VlmOptions(Options):
    """What `vlm` can be told.

    Attributes:
        revision: Of a hub id: a branch, tag or commit; empty for the newest.
        adapter: A PEFT folder to put on the model; empty for none.
        quantize: `4bit`, `8bit` or empty.
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        max_tokens: Most tokens of an answer.
        answers: `probabilities` of change for presence and each of the nine cells, and counts as
            numbers; `lists` like that, but the cells as one list that can hold nothing but cells;
            `words` for all in the model's own words, as models tuned on ChangeChat give them.
    """

    revision: str = ""
    adapter: str = ""
    quantize: str = ""
    dtype: str = "auto"
    max_tokens: int = 128
    answers: str = "probabilities"

    def __post_init__(self) -> None:
        for name, known in (
            ("quantize", tuple(QUANTIZED)),
            ("dtype", DTYPES),
            ("answers", ANSWERS),
        ):
            if getattr(self, name) not in known:
                raise OptionError(
                    f"{name} {getattr(self, name)!r}",
                    f"it must be {' or '.join(filter(None, known))}",
                )
        if self.max_tokens < 1:
            raise OptionError(f"max_tokens {self.max_tokens}", "it must be above zero")


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
        from geochg.models.saved import checksum, weight_files
        from geochg.models.vlm.loading import How, open_vlm

        assert isinstance(options, VlmOptions)
        folder = find_folder(source, cls.name, options.revision)
        place = torch_device(device)
        how = How(
            place,
            _dtype(options.dtype, place),
            QUANTIZED[options.quantize],
            options.adapter,
            options.max_tokens,
        )
        engine = open_vlm(folder, how)
        identity = ModelIdentity(
            f"{cls.name}:{source}" + (f"@{options.revision}" if options.revision else ""),
            checksum(weight_files(folder)),
            adapter_id(options.adapter),
        )
        return cls(engine, options, identity)

    @property
    def identity(self) -> ModelIdentity:
        """What was loaded, and the checksum of its weights."""
        return self._identity

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Raises:
            RunError: If not even one tile fits into memory.
        """
        from geochg.models.vlm.asking import Asking

        def answers(part: Sequence[Tile]) -> Iterable[TileAnswers]:
            return Asking(self.engine, part, self.options.answers).answers(questions)

        with _memory_told():
            return self._batches.run(tiles, lambda part: list(answers(part)))

    def talk(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk, word by word as they come; see `ChangeModel.talk`."""
        from geochg.models.vlm.engine import Text

        asked = [*(exchange.question for exchange in exchanges), f"{question} {tile.clue}".strip()]
        ids = self.engine.writer.rest(asked, [exchange.answer for exchange in exchanges])
        with _memory_told():
            yield from self.engine.stream(self.engine.look([tile]), Text(0, ids))


@contextmanager
def _memory_told() -> Iterator[None]:
    """Turns a full memory into an error that says what to do about it.

    Raises:
        RunError: If the device ran out of memory within the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(
            "the device has too little memory for even one tile",
            "what was done is kept: run again with --resume and --quantize 4bit, a smaller model, "
            "or --device cpu",
        ) from error


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
