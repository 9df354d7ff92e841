"""The backend `vlm`: asks a vision-language model of the transformers library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from geochg.errors import RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.conversation import spoken_pieces
from geochg.models.memory import FittingBatches, is_out_of_memory
from geochg.models.pretrained import FirstUse
from geochg.models.vlm.options import AnswerForm, VlmOptions
from geochg.options import Dtype, Quantize
from geochg.records import Exchange, PairFacts, Question, Task, Tile, TileAnswers

if TYPE_CHECKING:
    import torch

    from geochg.models.vlm.engine import Engine


_BITS = {Quantize.FOUR: 4, Quantize.EIGHT: 8}


class VlmModel(ChangeModel[VlmOptions]):
    """A vision-language model that was made to talk about pictures or videos.

    Each tile is looked at once for all questions, and only tiles that changed are asked more than
    whether they did.
    """

    name = "vlm"
    summary = "a vision-language model of transformers (LLaVA, Qwen-VL and more): folder or hub id"
    backend_capabilities = Capabilities(
        tasks=frozenset(Task),
        location="grid",
        pixels="display",
        bands="rgb",
        streams=True,
        clues=True,
        asked_in_words=frozenset(Task),
    )

    def __init__(self, engine: Engine[Any], options: VlmOptions, identity: ModelIdentity) -> None:
        self.engine = engine
        self.options = options
        self._identity = identity
        self._batches = FittingBatches(self.capabilities.batch_tiles)
        self._first_use = FirstUse(identity.id)

    @classmethod
    def load(cls, source: str, options: VlmOptions, device: str) -> Self:
        """Loads a model folder; see `ChangeModel.load`.

        Args:
            source: A folder, or a hub id such as `owner/name`.
            options: Of the backend.
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
    def presence_options(cls, options: VlmOptions, probability: float) -> Mapping[str, Any]:
        """The probability of "yes"; see `ChangeModel.presence_options`."""
        return {} if options.answers == AnswerForm.WORDS else {"presence_threshold": probability}

    @property
    def identity(self) -> ModelIdentity:
        """What was loaded, and the checksum of its weights."""
        return self._identity

    def prompt(self, question: Question) -> str:
        """The question, or the pattern of those that take its place; see `ChangeModel.prompt`."""
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

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk, word by word as they come; see `ChangeModel.converse`."""
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
