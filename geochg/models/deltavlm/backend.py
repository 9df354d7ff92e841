"""The backend `deltavlm`: a DeltaVLM of any size as a change model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from geochg.errors import OptionError, RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.deltavlm.finding import Finder, Finding
from geochg.models.devices import torch_device
from geochg.models.talk import Conversation, settled, unchanged
from geochg.options import Options
from geochg.records import (
    Answer,
    Dialogue,
    Exchange,
    PairFacts,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)

if TYPE_CHECKING:
    import torch

    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor
    from geochg.models.deltavlm.sight import Eyes, HeadFacts
    from geochg.models.deltavlm.speech import Speaker

LARGE_PARAMETERS = 1_000_000_000
"""Models above this run in half precision on a GPU; smaller ones give the same everywhere."""


@dataclass(frozen=True)
class DeltaVLMOptions(Options):
    """What `deltavlm` can be told; None takes what was calibrated with the model.

    Attributes:
        threshold: Least probability (0-1) of a changed pixel.
        presence_threshold: Least presence probability (0-1) of a changed tile.
        beams: Beams of the language model's search.
        max_tokens: Most tokens of an answer.
        adapter: A PEFT folder to put on the model; empty for none.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "threshold": (0, 1),
        "presence_threshold": (0, 1),
        "beams": (1, 64),
        "max_tokens": (1, 100_000),
    }

    threshold: float | None = None
    presence_threshold: float | None = None
    beams: int | None = None
    max_tokens: int | None = None
    adapter: str = ""

    def __post_init__(self) -> None:
        for name in ("threshold", "presence_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise OptionError(f"{name} {value}", "it must lie between 0 and 1")
        for name in ("beams", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} {value}", "it must be above zero")
        super().__post_init__()

    def generation(self) -> dict[str, int]:
        """Over the generation defaults saved with the model."""
        given = {"num_beams": self.beams, "max_new_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}


class DeltaVLMModel(ChangeModel):
    """A DeltaVLM: the released one converted, or one trained with geochg.

    Each pair is encoded once. Where the model has a dense head, that answers presence and
    location, and the language model is asked only about tiles in which the head sees change (and
    for free questions); the others get the fixed answers that mean no change.
    """

    name: ClassVar[str] = "deltavlm"
    summary: ClassVar[str] = "DeltaVLM, a change vision-language model: a folder or a hub id"
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=frozenset(Task),
        location="mask",
        pixels="display",
        bands="rgb",
        asked_in_words=frozenset(Task) - {Task.PRESENCE, Task.LOCATE},
    )
    options_type: ClassVar[type[Options]] = DeltaVLMOptions

    def __init__(
        self,
        eyes: Eyes,
        load_speaker: Callable[[], Speaker],
        options: DeltaVLMOptions,
        identity: ModelIdentity,
    ) -> None:
        self.eyes = eyes
        self.options = options
        self._load_speaker = load_speaker
        self._identity = identity
        self.finder = _finder(eyes.head, options)
        if self.finder is None:
            # What this model can do stands above what the class can.
            self.capabilities = replace(  # type: ignore[misc]
                type(self).capabilities,
                location="grid",
                clues=True,
                asked_in_words=frozenset(Task),
            )

    @classmethod
    def presence_options(cls, options: Options, probability: float) -> Mapping[str, Any]:
        """The least probability of a changed pixel; see `ChangeModel.presence_options`."""
        return {"threshold": probability}

    @classmethod
    def of(
        cls,
        model: DeltaVLMForConditionalGeneration,
        processor: DeltaVLMProcessor,
        options: DeltaVLMOptions,
        identity: ModelIdentity,
    ) -> Self:
        """The backend of a model in memory, whose batch norms are folded in place."""
        from geochg.models.deltavlm.folding import fold_batch_norms
        from geochg.models.deltavlm.torch_eyes import TorchEyes
        from geochg.models.deltavlm.torch_speaker import TorchSpeaker

        speaker = TorchSpeaker(fold_batch_norms(model), processor, dict(options.generation()))
        return cls(TorchEyes(model, processor), lambda: speaker, options, identity)

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """Loads a model folder; see `ChangeModel.load`.

        Args:
            source: A folder, or a hub id such as `owner/name`.
            options: `DeltaVLMOptions`.
            device: See `ChangeModel.load`.

        Raises:
            ModelError: If the folder lacks a file, has other shapes, is a pickle or of another
                model, or the device is not there.
        """
        from geochg.models.hub import find_folder

        assert isinstance(options, DeltaVLMOptions)
        opened = cls.open(find_folder(source, cls.name), f"{cls.name}:{source}", options, device)
        # A folder that is no good is refused now, not at the first change.
        _ = opened.speaker
        return opened

    @classmethod
    def open(cls, folder: Path, model_id: str, options: DeltaVLMOptions, device: str) -> Self:
        """Loads a model folder under an id; errors as `load`.

        An adapter is merged into the weights, which torch then runs: exported files know of none.
        """
        from geochg.models.adapters import adapted, adapter_folder, adapter_id
        from geochg.models.deltavlm.folder import check_folder, fingerprint, open_model
        from geochg.models.deltavlm.onnx_eyes import EYES, OnnxEyes
        from geochg.models.deltavlm.onnx_file import can_run
        from geochg.models.deltavlm.wording import kept_sentence
        from geochg.models.saved import fingerprint as whole_fingerprint

        files = check_folder(folder)
        if options.adapter:
            adapter_folder(options.adapter)
        signed = whole_fingerprint(folder, files)
        identity = ModelIdentity(model_id, signed, adapter_id(options.adapter))
        place = torch_device(device)
        if not options.adapter and can_run(folder, (EYES,), place):
            made_from = fingerprint(folder, files)
            eyes = OnnxEyes.open(folder, made_from)
            return cls(eyes, partial(_speaker, folder, made_from, options), options, identity)
        size_bytes = sum(path.stat().st_size for path in files)
        model, processor = open_model(folder, _dtype(place, size_bytes), place)
        if options.adapter:
            model = adapted(model, options.adapter, merge=True).eval()
            if sentence := kept_sentence(adapter_folder(options.adapter)):
                model.config.no_change_sentence = sentence
        return cls.of(model, processor, options, identity)

    @cached_property
    def speaker(self) -> Speaker:
        """The language model, loaded when it is first asked."""
        return self._load_speaker()

    @property
    def identity(self) -> ModelIdentity:
        """What was loaded, and the checksum of its weights."""
        return self._identity

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`."""
        answers: list[TileAnswers] = [_failure(tile) or () for tile in tiles]
        good = [place for place, found in enumerate(answers) if not isinstance(found, TileFailure)]
        if good:
            found = self._answers([tiles[place] for place in good], questions)
            for place, given in zip(good, found, strict=True):
                answers[place] = given
        return answers

    def talk(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk in the language model's words; see `ChangeModel.talk`."""
        from geochg.models.deltavlm.speech import turn_prompt

        if failure := _failure(tile):
            raise RunError(f"no answer: {failure.reason}", "ask about another place")
        talk = Conversation(0, Question(Task.QUESTION, question), tile.clue)
        asked = [exchange.question for exchange in exchanges] + talk.asked
        prompt = turn_prompt(asked, [exchange.answer for exchange in exchanges])
        encoding = self.speaker.encode(self.eyes.look([tile]), [0])
        yield from self.speaker.answers(encoding, [0], [prompt])

    def _answers(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        from geochg.models.deltavlm.speech import hold

        sight = self.eyes.look(tiles)
        seen: list[Finding | None] = [None] * len(tiles)
        if self.finder is not None and sight.seen is not None:
            seen = list(self.finder.findings(sight.seen, tiles))
        answers: list[list[Answer | Conversation]] = [
            [self._seen(tile, finding, q) or Conversation(place, q, tile.clue) for q in questions]
            for place, (tile, finding) in enumerate(zip(tiles, seen, strict=True))
        ]
        if talks := [a for row in answers for a in row if isinstance(a, Conversation)]:
            hold(self.speaker, sight, talks)
        said = [
            [self._said(a, f) if isinstance(a, Conversation) else a for a in row]
            for row, f in zip(answers, seen, strict=True)
        ]
        return [settled(tile, row) for tile, row in zip(tiles, said, strict=True)]

    def _seen(self, tile: Tile, finding: Finding | None, question: Question) -> Answer | None:
        """The answer that needs no language model; None when it does."""
        if finding is None or self.finder is None:
            return None
        if question.task is Task.PRESENCE:
            return finding.presence
        if question.task is Task.LOCATE:
            return self.finder.outlines(finding, tile)
        if finding.presence.changed or question.task is Task.QUESTION:
            return None
        return unchanged(question.task, finding.presence, self.finder.head.no_change_sentence)

    def _said(self, conversation: Conversation, finding: Finding | None) -> Answer:
        """The language model's answer; a dialogue's presence has the dense head's probability."""
        answer = conversation.answer()
        if finding is not None and isinstance(answer, Dialogue):
            return replace(
                answer,
                presence=replace(answer.presence, probability=finding.presence.probability),
            )
        return answer


def _finder(head: HeadFacts | None, given: DeltaVLMOptions) -> Finder | None:
    """What reads a dense head, with the thresholds that were given or else calibrated."""
    if head is None:
        return None
    threshold, presence_threshold = given.threshold, given.presence_threshold
    return Finder(
        head,
        head.threshold if threshold is None else threshold,
        head.presence_threshold if presence_threshold is None else presence_threshold,
    )


def _failure(tile: Tile) -> TileFailure | None:
    """Why a tile cannot be answered; None when it can."""
    if all(np.issubdtype(date.dtype, np.integer) for date in (tile.before, tile.after)):
        return None
    bad = ~(np.isfinite(tile.before).all(axis=0) & np.isfinite(tile.after).all(axis=0))
    bad_px = int(np.count_nonzero(bad & tile.valid))
    return (
        TileFailure(tile.window, f"{bad_px} valid pixels are not finite numbers")
        if bad_px
        else None
    )


def _speaker(folder: Path, made_from: str, options: DeltaVLMOptions) -> Speaker:
    """The language model of a folder whose eyes ONNX Runtime runs."""
    from geochg.models.deltavlm.onnx_file import can_run
    from geochg.models.deltavlm.onnx_speaker import (
        LANGUAGE,
        QUESTION,
        OnnxSpeaker,
        generation_settings,
        is_greedy,
    )

    settings = options.generation()
    greedy = is_greedy(generation_settings(folder) | settings)
    if greedy and can_run(folder, (QUESTION, LANGUAGE), "cpu"):
        return OnnxSpeaker.open(folder, made_from, settings)

    import torch

    from geochg.models.deltavlm.folder import open_model
    from geochg.models.deltavlm.torch_speaker import TorchSpeaker

    return TorchSpeaker(*open_model(folder, torch.float32, "cpu"), dict(settings))


def _dtype(device: str, size_bytes: int) -> torch.dtype:
    import torch

    large = size_bytes > 2 * LARGE_PARAMETERS
    if not (large and device.startswith("cuda")):
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


__all__ = ["DeltaVLMModel", "DeltaVLMOptions"]
