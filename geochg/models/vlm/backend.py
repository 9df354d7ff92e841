"""The backend `vlm`: asks a vision-language model of the transformers library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geochg.extras import require_packages
from geochg.models.adapters import adapter_id
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.dialogue import CHAT_CAPABILITIES, spoken_pieces
from geochg.models.devices import torch_device
from geochg.models.hub import find_folder, model_id
from geochg.models.memory import FittingBatches, memory_errors
from geochg.models.model_files import fingerprint, weight_files
from geochg.models.model_settings import check_settings_files
from geochg.models.pretrained import FirstUse, loading_errors
from geochg.models.vlm.code_elsewhere import refuse_code_elsewhere
from geochg.models.vlm.model_types import HINT, MODEL_TYPES, PROCESSOR_FILES, WEIGHTS_HINT
from geochg.models.vlm.options import AnswerForm, VlmOptions
from geochg.options import Dtype, Quantize
from geochg.records import (
    Exchange,
    PairFacts,
    Question,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
)

if TYPE_CHECKING:
    import torch

    from geochg.models.vlm.engine import Engine


_MEMORY_HINT = (
    "what was done is kept: run again with --resume --device cpu, or start anew with --quantize"
    " 4bit or a smaller model"
)
_BITS = {Quantize.FOUR: 4, Quantize.EIGHT: 8}


class VlmModel(ChangeModel[VlmOptions]):
    """A vision-language model that was made to answer questions about images or videos.

    Each tile is encoded once for all questions, and only tiles that changed are asked more than
    whether they did.
    """

    name = "vlm"
    summary = "a vision-language model of transformers (LLaVA, Qwen-VL and more): folder or hub id"
    backend_capabilities = replace(
        CHAT_CAPABILITIES, asked_by_class=frozenset({Task.LOCATE, Task.COUNT})
    )
    folder_types = MODEL_TYPES

    def __init__(self, engine: Engine[Any], options: VlmOptions, identity: ModelIdentity) -> None:
        self.engine = engine
        self.options = options
        self._identity = identity
        self._batches = FittingBatches(self.capabilities.batch_tiles)
        self._first_use = FirstUse(identity.id)

    @classmethod
    def load(cls, source: str, options: VlmOptions, device: str) -> Self:
        """Loads a folder or a hub id such as `owner/name`; see `ChangeModel.load`.

        Raises:
            ModelError: If the folder is of no known family, lacks something, or does not go with
                the adapter, the quantisation or the device.
        """
        from geochg.models.vlm.loading import VlmSettings, open_vlm

        folder = find_folder(source, cls.name, options.revision, refuse_code_elsewhere)
        device = torch_device(device)
        settings = VlmSettings(
            device,
            _dtype(options.dtype, device),
            _BITS[options.quantize] if options.quantize else None,
            options.adapter,
            options.max_tokens,
        )
        # Settings may be sensible one by one and fail together, wherever they are used.
        with loading_errors(folder, HINT):
            engine = open_vlm(folder, settings)
        identity = ModelIdentity(
            model_id(cls.name, source, options.revision),
            fingerprint(folder, weight_files(folder)),
            adapter_id(options.adapter),
        )
        return cls(engine, options, identity)

    @classmethod
    def inspect_folder(cls, folder: Path) -> Capabilities:
        """Checks weights and settings; see `ChangeModel.inspect_folder`."""
        refuse_code_elsewhere(folder)
        check_settings_files(folder, weight_files(folder, WEIGHTS_HINT), PROCESSOR_FILES)
        require_packages("vlm", "torch", "transformers")
        return cls.backend_capabilities

    @classmethod
    def presence_options(cls, options: VlmOptions, probability: float) -> Mapping[str, Any]:
        """The probability of "yes"; see `ChangeModel.presence_options`."""
        return {} if options.answers == AnswerForm.WORDS else {"presence_threshold": probability}

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend; one that answers in words is asked about all classes at once."""
        in_words = self.options.answers == AnswerForm.WORDS
        able = CHAT_CAPABILITIES if in_words else self.backend_capabilities
        return replace(able, most_dates=self.engine.most_dates)

    @property
    def identity(self) -> ModelIdentity:
        """The loaded model, and the checksum of its weights."""
        return self._identity

    def prompt(self, question: Question) -> str:
        """The question, or the pattern that takes its place; see `ChangeModel.prompt`."""
        from geochg.models.vlm.tile_questions import prompt_pattern

        return prompt_pattern(question, self.options.answers)

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Raises:
            ModelError: If the model fails before it has answered about any tile.
            RunError: If not even one tile fits into memory.
        """
        from geochg.models.vlm.tile_questions import TileQuestions

        def answers(part: Sequence[Tile]) -> list[TileAnswers]:
            form, threshold = self.options.answers, self.options.presence_threshold
            tile_questions = TileQuestions(
                self.engine, part, form, threshold, directions=self.options.directions
            )
            return tile_questions.answers(questions)

        with self._first_use.guard(), memory_errors("even one tile", _MEMORY_HINT):
            return self._batches.map(answers, tiles)

    def describe(self, tiles: Sequence[Tile], questions: SceneQuestions) -> list[TileAnswers]:
        """Answers about tiles of a single image; see `ChangeModel.describe`.

        Raises:
            ModelError: If the model fails before it has answered about any tile.
            RunError: If not even one tile fits into memory.
        """
        from geochg.models.vlm.scene_answers import SceneTiles

        in_words = self.options.answers == AnswerForm.WORDS

        def answers(part: Sequence[Tile]) -> list[TileAnswers]:
            return SceneTiles(self.engine, part, questions, in_words=in_words).answers()

        with self._first_use.guard(), memory_errors("even one tile", _MEMORY_HINT):
            return self._batches.map(answers, tiles)

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers piece by piece while the model generates; see `ChangeModel.converse`."""
        from geochg.models.vlm.engine import TilePrompt

        questions = [exchange.question for exchange in exchanges]
        questions.append(f"{question} {tile.clue}".strip())
        answers = [exchange.answer for exchange in exchanges]
        hint = "use --quantize 4bit, a smaller model or --device cpu"
        with self._first_use.guard(), memory_errors("even one tile", hint):
            dates = len(tile.dates)
            engine = self.engine if dates == 2 else self.engine.for_dates(dates)
            prompt = TilePrompt(0, engine.writer.prompt_ids(questions, answers))
            pieces = engine.stream_reply(engine.encode([tile]), prompt)
            yield from spoken_pieces(pieces)


def _dtype(dtype_name: Dtype, device: str) -> torch.dtype:
    """The number type of the weights; `auto` is half precision on GPUs."""
    import torch

    if dtype_name is not Dtype.AUTO:
        dtype: torch.dtype = getattr(torch, dtype_name)
        return dtype
    if device == "cpu":
        return torch.float32
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float16
