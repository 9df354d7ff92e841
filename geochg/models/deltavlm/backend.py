"""The backend `deltavlm`: a DeltaVLM of any size as a change model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geochg.errors import RunError
from geochg.models.adapters import adapter_folder, adapter_id, apply_adapter, read_sentence
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.dialogue import TileDialogue, answers_or_failure, unchanged_answer
from geochg.models.deltavlm import folder_capabilities
from geochg.models.deltavlm.alike_dates import needs_no_network
from geochg.models.deltavlm.date_cover import cover_logits, date_covers
from geochg.models.deltavlm.dense_features import EncodedTile, features_maker
from geochg.models.deltavlm.detector import SCENE_TILES, Detector, Scene
from geochg.models.deltavlm.input_checks import resolution_of, tile_failure
from geochg.models.deltavlm.loading import (
    check_folder,
    export_fingerprint,
    open_model,
    weights_dtype,
)
from geochg.models.deltavlm.options import DeltaVLMOptions, Precision
from geochg.models.deltavlm.postprocessing import OutlineMaker
from geochg.models.deltavlm.runtime.language import LanguageRunner, run_dialogues, turn_prompt
from geochg.models.deltavlm.runtime.language_choice import open_language
from geochg.models.deltavlm.runtime.onnx_file import can_run
from geochg.models.deltavlm.runtime.onnx_vision import FILES, OnnxVision
from geochg.models.deltavlm.runtime.vision_output import (
    VisionOutput,
    VisionRunner,
    joined_outputs,
)
from geochg.models.deltavlm.tile_features import tile_features
from geochg.models.deltavlm.tile_map import TileMap, text_answer
from geochg.models.devices import torch_device
from geochg.models.hub import find_folder, model_id
from geochg.models.model_files import fingerprint
from geochg.models.pretrained import FirstUse
from geochg.models.tile_features import TileFeatures
from geochg.records import (
    Answer,
    Exchange,
    Outlines,
    PairFacts,
    Presence,
    Question,
    Task,
    Tile,
    TileAnswers,
)

if TYPE_CHECKING:
    from geochg.models.date_cover import CoverLogits, DateCover
    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor


class DeltaVLMModel(ChangeModel[DeltaVLMOptions]):
    """A DeltaVLM: the released one converted, or one trained with geochg.

    Each pair is encoded once. A dense head locates changes and tells presence; only where it shows
    change (and for free questions) the language model is asked, else answers mean no change.
    """

    name = "deltavlm"
    summary = "DeltaVLM, a change vision-language model: a folder or a hub id"
    folder_types = frozenset({"deltavlm"})
    backend_capabilities = Capabilities(
        tasks=frozenset(Task),
        location="mask",
        radar="refused",
        pixels="display",
        bands="rgb+nir",
        surveys=True,
        survey_tiles=SCENE_TILES,
        survey_is_optional=True,
        tells_land_cover=True,
        gives_features=True,
        asked_in_words=frozenset(Task) - {Task.PRESENCE, Task.LOCATE},
    )

    def __init__(
        self,
        vision: VisionRunner,
        load_language: Callable[[], LanguageRunner],
        options: DeltaVLMOptions,
        identity: ModelIdentity,
    ) -> None:
        self.vision = vision
        self.options = options
        self._load_language = load_language
        self._identity = identity
        self._first_use = FirstUse(identity.id)
        self.detector = None if vision.head is None else Detector(vision, vision.head)
        self.scene: Scene | None = None
        self._resolution_m: float | None = None
        self._infrared: int | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Without a dense head it names cells of the grid, and answers all questions in words."""
        if self.detector is not None:
            return self.backend_capabilities
        return folder_capabilities.without_head(self.backend_capabilities)

    @classmethod
    def inspect_folder(cls, folder: Path) -> Capabilities:
        """Reads the configuration; see `ChangeModel.inspect_folder`."""
        return folder_capabilities.of_folder(folder, cls.backend_capabilities)

    @classmethod
    def presence_options(cls, options: DeltaVLMOptions, probability: float) -> Mapping[str, Any]:
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
        """The backend of a model in memory."""
        from geochg.models.deltavlm.runtime.torch_language import TorchLanguage
        from geochg.models.deltavlm.runtime.torch_vision import TorchVision

        language = TorchLanguage(model, processor, dict(options.generation()))
        return cls(TorchVision(model, processor), lambda: language, options, identity)

    @classmethod
    def load(cls, source: str, options: DeltaVLMOptions, device: str) -> Self:
        """Loads a folder or a hub id such as `owner/name`; see `ChangeModel.load`.

        Raises:
            ModelError: If the folder lacks a file, has other shapes, is a pickle or of another
                model, or the device is not there.
        """
        folder = find_folder(source, cls.name)
        backend = cls.open(folder, model_id(cls.name, source), options, device)
        # A broken folder is refused now, not at the first change.
        _ = backend.language
        return backend

    @classmethod
    def open(cls, folder: Path, model_id: str, options: DeltaVLMOptions, device: str) -> Self:
        """Loads a model folder under an id; errors as `load`.

        An adapter is merged into the weights, which torch then runs: exported files know of none.
        """
        files = check_folder(folder)
        if options.adapter:
            adapter_folder(options.adapter)
        identity = ModelIdentity(model_id, fingerprint(folder, files), adapter_id(options.adapter))
        if device == "auto":
            device = torch_device(device)
        if not options.adapter and can_run(folder, FILES, device):
            made_from = export_fingerprint(folder, files)
            load_language = partial(open_language, folder, made_from, options)
            vision = OnnxVision.open(folder, made_from, options.precision, device)
            if vision.precision == Precision.INT8:
                identity = replace(identity, precision=vision.precision.value)
            return cls(vision, load_language, options, identity)
        device = torch_device(device)
        size_bytes = sum(path.stat().st_size for path in files)
        model, processor = open_model(folder, weights_dtype(device, size_bytes), device)
        if options.adapter:
            model = apply_adapter(model, options.adapter, merge=True).eval()
            if sentence := read_sentence(adapter_folder(options.adapter)):
                model.config.no_change_sentence = sentence
        return cls.of(model, processor, options, identity)

    @cached_property
    def language(self) -> LanguageRunner:
        """The language model, loaded at its first prompt."""
        with self._first_use.guard("language"):
            return self._load_language()

    @property
    def identity(self) -> ModelIdentity:
        """The loaded model, and the checksum of its weights."""
        return self._identity

    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Measures the pair on a sample of its tiles; see `ChangeModel.survey`."""
        self._resolution_m = resolution_of(facts)
        self._infrared = facts.bands.index("nir") if "nir" in facts.bands else None
        tiles = [tile for tile in sample if tile_failure(tile) is None and tile.valid.any()]
        self.scene = None
        if self.detector is not None and tiles:
            with self._first_use.guard("survey"):
                self.scene = self.detector.survey(tiles, self._resolution_m, self._infrared)

    def date_covers(
        self, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
    ) -> Iterator[DateCover]:
        """Tells the land cover of tiles of one image; see `LandCoverModel.date_covers`."""
        if self.detector is not None:
            yield from date_covers(self.detector, facts, sample, tiles)

    def tile_features(self, tiles: Sequence[Tile]) -> list[TileFeatures]:
        """Gives features of whole tiles; see `TileFeatureModel.tile_features`."""
        with self._first_use.guard("features"):
            return tile_features(self.detector, tiles, self._resolution_m)

    def cover_logits(
        self, facts: PairFacts, sample: Sequence[Tile], tiles: Iterable[Tile]
    ) -> Iterator[CoverLogits]:
        """Tells how likely each land cover is; see `CoverLogitsModel.cover_logits`."""
        if self.detector is not None:
            yield from cover_logits(self.detector, facts, sample, tiles)

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Without a survey each tile is a scene of its own, as in a set of unrelated pairs.
        """
        failures = [tile_failure(tile) for tile in tiles]
        good = [tile for tile, failure in zip(tiles, failures, strict=True) if failure is None]
        answers = iter(self._answers(good, questions) if good else [])
        return [next(answers) if failure is None else failure for failure in failures]

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers in the language model's words; see `ChangeModel.converse`."""
        if failure := tile_failure(tile):
            raise RunError(f"no answer: {failure.reason}", "ask about another place")
        prompts = TileDialogue(0, Question(Task.QUESTION, question), tile.clue).prompts
        questions = [*(exchange.question for exchange in exchanges), *prompts]
        prompt = turn_prompt(questions, [exchange.answer for exchange in exchanges])
        vision, language = self.vision_output([tile]), self.language
        with self._first_use.guard("text"):
            answers = language.answers(language.encode(vision, [0]), [0], [prompt])
        yield from answers

    def vision_output(self, tiles: Sequence[Tile]) -> VisionOutput:
        """The output of vision encoder and dense head for tiles of one size, each encoded once."""
        return joined_outputs([output for output, _ in self._outputs(tiles, needs_text=True)])

    def _outputs(
        self, tiles: Sequence[Tile], *, needs_text: bool, with_features: bool = False
    ) -> list[tuple[VisionOutput, list[Outlines | None]]]:
        """For the tiles of each scene the vision output, and the outlines made of it.

        Args:
            tiles: The tiles.
            needs_text: Whether the language model is asked, which reads the tokens of each tile.
            with_features: Whether the outlines have their dense features.
        """
        if self.detector is None:
            with self._first_use.guard("tokens"):
                return [(self.vision.tokens(tiles), [None] * len(tiles))]
        if not tiles:
            return []
        if self.scene is not None:
            return [self._outlines(self.detector, tiles, self.scene, needs_text, with_features)]
        with self._first_use.guard("survey"):
            scenes = [
                self.detector.survey([tile], self._resolution_m, self._infrared) for tile in tiles
            ]
        return [
            self._outlines(self.detector, [tile], scene, needs_text, with_features)
            for tile, scene in zip(tiles, scenes, strict=True)
        ]

    def _outlines(
        self,
        detector: Detector,
        tiles: Sequence[Tile],
        scene: Scene,
        needs_text: bool,
        with_features: bool,
    ) -> tuple[VisionOutput, list[Outlines | None]]:
        with self._first_use.guard("map"):
            maker = OutlineMaker(detector.head, scene, self.options.threshold)
            output = detector.detect(
                tiles,
                scene,
                maker.is_quiet,
                needs_tokens=needs_text,
                keeps_encodings=with_features,
            )
            predictions = maker.small_predictions(output, tiles)
            outlines: list[Outlines | None] = [
                maker.outlines(prediction, tile)
                for prediction, tile in zip(predictions, tiles, strict=True)
            ]
        if not with_features:
            return output, outlines
        encoded_tiles = [
            None if dates is None else EncodedTile(prediction, dates)
            for prediction, dates in zip(predictions, output.encodings, strict=True)
        ]
        return replace(output, encodings=()), [
            replace(tile_outlines, features=features_maker(detector, maker, tile, encoded))
            for tile_outlines, tile, encoded in zip(outlines, tiles, encoded_tiles, strict=True)
            if tile_outlines is not None
        ]

    @property
    def has_words(self) -> bool:
        """Whether its language model answers, and not its map alone."""
        return True

    def _answers(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        in_words = any(q.task not in (Task.PRESENCE, Task.LOCATE) for q in questions)
        with_features = any(question.with_features for question in questions)
        unchanged = {} if in_words else self._unchanged_outlines(tiles, with_features)
        others = [tile for index, tile in enumerate(tiles) if index not in unchanged]
        outputs = self._outputs(
            others, needs_text=self.has_words and in_words, with_features=with_features
        )
        predicted = iter([outlines for _, part in outputs for outlines in part])
        outlines = [unchanged.get(i) or next(predicted) for i in range(len(tiles))]
        maps = [
            None if tile_outlines is None else TileMap(tile_outlines, tile)
            for tile, tile_outlines in zip(tiles, outlines, strict=True)
        ]
        rows: list[list[Answer | TileDialogue]] = [
            [
                self._map_answer(tile, tile_map, question)
                or TileDialogue(index, question, tile.clue)
                for question in questions
            ]
            for index, (tile, tile_map) in enumerate(zip(tiles, maps, strict=True))
        ]
        if dialogues := [a for row in rows for a in row if isinstance(a, TileDialogue)]:
            language = self.language
            with self._first_use.guard("text"):
                vision = joined_outputs([output for output, _ in outputs])
                run_dialogues(language, vision, dialogues)
        return [
            answers_or_failure(
                tile,
                [text_answer(a, tile_map) if isinstance(a, TileDialogue) else a for a in row],
            )
            for row, tile_map, tile in zip(rows, maps, tiles, strict=True)
        ]

    def _unchanged_outlines(
        self, tiles: Sequence[Tile], with_features: bool
    ) -> dict[int, Outlines]:
        """The outlines of the tiles that both dates show alike, by their index.

        Where a threshold was given it alone decides what changed.
        """
        if self.detector is None or self.scene is None or self.options.threshold is not None:
            return {}
        detector, maker = self.detector, OutlineMaker(self.detector.head, self.scene)
        return {
            index: replace(
                maker.unchanged_outlines(tile),
                features=features_maker(detector, maker, tile) if with_features else None,
            )
            for index, tile in enumerate(tiles)
            if needs_no_network(tile, self.scene)
        }

    def _map_answer(
        self, tile: Tile, tile_map: TileMap | None, question: Question
    ) -> Answer | None:
        """The answer that needs no language model; None where it is needed."""
        if tile_map is None or self.detector is None:
            return None
        if question.task is Task.LOCATE:
            return tile_map.outlines
        presence = tile_map.presence
        if question.task is Task.PRESENCE:
            return presence
        if question.task is Task.QUESTION or presence.changed:
            return self._in_words(tile, tile_map.outlines, presence, question)
        sentence = self.detector.head.no_change_sentence
        return unchanged_answer(question.task, presence, sentence)

    def _in_words(
        self, tile: Tile, outlines: Outlines, presence: Presence, question: Question
    ) -> Answer | None:
        """The answer about a tile that changed; None to ask the language model."""
        return None
