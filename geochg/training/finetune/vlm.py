"""A vision-language model of transformers that is being tuned."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geochg.models.deltavlm.processing import IGNORED
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.instructblip import InstructBlipEngine
from geochg.models.vlm.prefix import PrefixEngine
from geochg.training.finetune.sample import Lesson
from geochg.training.finetune.token_rows import Taught, taught
from geochg.training.finetune.trainable_model import Pupil, check_room, learns, padded, words_loss

if TYPE_CHECKING:
    from geochg.models.base import ChangeModel

_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".onnx", ".gguf", ".md")
_WRITTEN = ("config.json", "generation_config.json", "model.safetensors.index.json")


class _EnginePupil(Pupil):
    """What pupils share whose base is opened as an engine.

    Args:
        engine: Of the base.
        folder: Where it came from.
        max_tokens: Most tokens of a row's text; what is longer loses its end.
    """

    def __init__(self, engine: Any, folder: Path, max_tokens: int) -> None:  # noqa: ANN401
        super().__init__(engine.model)
        self.engine = engine
        self.folder = folder
        self.max_tokens = max_tokens

    def model(self) -> ChangeModel:
        """See `Pupil.model`."""
        from geochg.models.base import ModelIdentity
        from geochg.models.vlm.backend import VlmModel
        from geochg.models.vlm.options import AnswerForm, VlmOptions

        # In words, because that is what is learned.
        return VlmModel(self.engine, VlmOptions(answers=AnswerForm.WORDS), ModelIdentity("", ""))

    def save(self, folder: Path) -> None:
        """See `Pupil.save`; tokenizer, template and processor are the base's own files."""
        self.network.save_pretrained(folder)
        for path in self.folder.iterdir():
            if path.is_dir() and path.name == "qformer_tokenizer":
                shutil.copytree(path, folder / path.name)
            elif path.is_file() and path.suffix not in _WEIGHTS and path.name not in _WRITTEN:
                shutil.copy2(path, folder / path.name)

    def _rows(self, lessons: Sequence[Lesson]) -> tuple[list[int], list[Taught]]:
        """Rows of text, and the place of each one's lesson.

        Raises:
            InputError: If a question alone is longer than a row may be.
        """
        places, rows = [], []
        for place, lesson in enumerate(lessons):
            found = taught(self.engine.writer, lesson.asked, lesson.said, _ends(self.engine))
            for row in found:
                cut = Taught(row.ids[: self.max_tokens], row.labels[: self.max_tokens])
                check_room([cut.labels], [lesson.asked[0]], self.max_tokens)
                places.append(place)
                rows.append(cut)
        return places, rows


class VlmPupil(_EnginePupil):
    """One to which pictures are tokens."""

    engine: PrefixEngine

    def inputs(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        """See `Pupil.inputs`; the pictures of a pair come again with each of its rows."""
        engine, family = self.engine, self.engine.family
        places, rows = self._rows(lessons)
        pictures = []
        ids, labels = [], []
        for place, row in zip(places, rows, strict=True):
            shown = family.image_inputs([lessons[place].tile()])
            opening = engine.prefix_with_images(shown)
            pictures.append(shown.inputs)
            ids.append([*opening, *row.ids])
            labels.append([*([IGNORED] * len(opening)), *row.labels])
        filler = int(engine.writer.tokenizer.pad_token_id)
        return {
            "input_ids": padded(ids, filler),
            "attention_mask": padded([[1] * len(row) for row in ids], 0),
            "labels": padded(labels, IGNORED),
            **family.join_inputs(pictures),
        }

    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `Pupil.forward`."""
        labels = inputs["labels"][:, 1:]
        # Logits of the pictures' tokens, which are many, are of no use.
        wanted = (labels != IGNORED).any(dim=0).nonzero()[:, 0]
        given = {
            name: self.engine.to_device(part) for name, part in inputs.items() if name != "labels"
        }
        family = self.engine.family
        if family.marks_images:
            given["mm_token_type_ids"] = (given["input_ids"] == family.token).int()
        family.state = None
        logits = self.network(**given, use_cache=False, logits_to_keep=wanted).logits
        if logits.shape[1] != len(wanted):
            # Some models leave that wish alone.
            logits = logits[:, wanted]
        return {"words": words_loss(logits, labels[:, wanted])}


class InstructBlipPupil(_EnginePupil):
    """InstructBLIP, whose Q-Former reads the question: each turn is a row of its own."""

    engine: InstructBlipEngine

    def inputs(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        """See `Pupil.inputs`.

        Raises:
            InputError: If a question alone is longer than a row may be.
        """
        opening = self.engine.writer.prefix_ids
        texts, rows, labels, last = [], [], [], []
        for place, lesson in enumerate(lessons):
            for turn in range(len(lesson.said)):
                asked, said = lesson.asked[: turn + 1], lesson.said[:turn]
                prompt = self.engine.writer.prompt_ids(asked, said)
                answer = [*self.engine.writer.answer_ids(lesson.said[turn]), _ends(self.engine)[0]]
                texts.append(TilePrompt(place, prompt))
                last.append(lesson.asked[turn])
                whole = [*opening, *prompt, *answer]
                room = len(opening) + self.max_tokens
                rows.append(whole[:room])
                labels.append([*([IGNORED] * (len(whole) - len(answer))), *answer][:room])
        check_room(labels, last, self.max_tokens)
        filler = int(self.engine.writer.tokenizer.pad_token_id)
        return {
            "input_ids": padded(rows, filler),
            "attention_mask": padded([[1] * len(row) for row in rows], 0),
            "labels": padded(labels, IGNORED),
            "pair_index": torch.tensor([text.row for text in texts]),
            "pixels": self.engine.pixels([lesson.tile() for lesson in lessons]),
            **self.engine.qformer_inputs(texts),
        }

    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `Pupil.forward`."""
        labels = inputs["labels"][:, 1:]
        network = self.network
        pixels = inputs["pixels"].to(network.dtype)
        with torch.set_grad_enabled(torch.is_grad_enabled() and learns(network.vision_model)):
            seen = network.vision_model(pixel_values=pixels.flatten(0, 1)).last_hidden_state
        seen = seen.view(*pixels.shape[:2], *seen.shape[1:])[inputs["pair_index"]]
        features = self.engine.query_features(
            seen, inputs["qformer_input_ids"], inputs["qformer_attention_mask"]
        )
        words = network.get_input_embeddings()(inputs["input_ids"])
        there = inputs["attention_mask"]
        logits = network.language_model(
            inputs_embeds=torch.cat([features, words], dim=1),
            attention_mask=torch.cat([there.new_ones(features.shape[:2]), there], dim=1),
            use_cache=False,
        ).logits[:, features.shape[1] :]
        return {"words": words_loss(logits[:, :-1], labels)}


def _ends(engine: Any) -> list[int]:  # noqa: ANN401
    """The tokens that end an answer; first the tokenizer's own, which chats end with."""
    own = engine.writer.tokenizer.eos_token_id
    return sorted(engine.ends, key=lambda token: (token != own, token))


def engine_pupil(engine: Any, folder: Path, max_tokens: int) -> Pupil:  # noqa: ANN401
    """The pupil of an opened model."""
    kind = InstructBlipPupil if isinstance(engine, InstructBlipEngine) else VlmPupil
    return kind(engine, folder, max_tokens)


__all__ = ["InstructBlipPupil", "VlmPupil", "engine_pupil"]
