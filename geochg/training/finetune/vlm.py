"""A vision-language model of transformers that is trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geochg.models.base import ChangeModel
from geochg.models.deltavlm.processing import IGNORED
from geochg.models.vlm.chat_writer import ChatWriter
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.instructblip import InstructBlipEngine
from geochg.models.vlm.prefix import PrefixEngine
from geochg.training.finetune.sample import Sample
from geochg.training.finetune.trainable_model import (
    TrainableModel,
    check_answer_room,
    has_trained_parameters,
    padded_rows,
    text_loss,
)

_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".onnx", ".gguf", ".md")
_WRITTEN_BY_NETWORK = ("config.json", "generation_config.json", "model.safetensors.index.json")


# --- dialogues as rows of tokens -----------------------------------------------------------------


class TokenRow(NamedTuple):
    """A row of tokens with the answers marked.

    Attributes:
        ids: The tokens after the opening; see `ChatWriter.prompt_ids`.
        labels: The same on the answers and their end tokens, else `IGNORED`.
    """

    ids: list[int]
    labels: list[int]


def token_rows(
    writer: ChatWriter, questions: Sequence[str], answers: Sequence[str], end_tokens: Sequence[int]
) -> list[TokenRow]:
    """A dialogue as one row, or as a row a turn where the template does not let turns nest.

    What stands before an answer is exactly what the model is given when it is asked. Some
    templates write an earlier turn otherwise than the last one, so that is checked.

    Args:
        writer: Writer of the model's chats.
        questions: The questions.
        answers: As many answers.
        end_tokens: The tokens that end an answer.
    """
    turns = [
        _last_turn(writer, questions[: n + 1], answers[:n], answers[n], end_tokens)
        for n in range(len(answers))
    ]
    nested = _nested_row(turns)
    return turns if nested is None else [nested]


def _last_turn(
    writer: ChatWriter,
    questions: Sequence[str],
    earlier: Sequence[str],
    answer: str,
    end_tokens: Sequence[int],
) -> TokenRow:
    prompt = writer.prompt_ids(questions, earlier)
    chat = writer.dialogue_ids(questions, [*earlier, answer])
    tokens = _answer_tokens(prompt, chat, end_tokens)
    if tokens is None:
        tokens = [*writer.answer_ids(answer), end_tokens[0]]
    return TokenRow([*prompt, *tokens], [IGNORED] * len(prompt) + tokens)


def _answer_tokens(
    prompt: Sequence[int], chat: Sequence[int], end_tokens: Sequence[int]
) -> list[int] | None:
    """The answer's tokens as the template writes them; None where it rewrites the prompt."""
    if list(chat[: len(prompt)]) != list(prompt):
        return None
    tokens = list(chat[len(prompt) :])
    stop = next((index for index, token in enumerate(tokens) if token in end_tokens), None)
    if stop is None:
        # A template that leaves out the end of the last answer, at which the model shall stop.
        return [*tokens, end_tokens[0]]
    return tokens[: stop + 1]


def _nested_row(turns: Sequence[TokenRow]) -> TokenRow | None:
    """All turns in one row; None where a later one does not begin with the one before it."""
    ids: list[int] = []
    labels: list[int] = []
    for turn in turns:
        if turn.ids[: len(ids)] != ids:
            return None
        labels += turn.labels[len(ids) :]
        ids = turn.ids
    return TokenRow(ids, labels)


# --- models --------------------------------------------------------------------------------------


class _TrainableEngine(TrainableModel):
    """What trainable models share whose base model is opened as an engine."""

    def __init__(self, engine: Any, folder: Path, max_tokens: int) -> None:  # noqa: ANN401
        super().__init__(engine.model, folder)
        self.engine = engine
        self.max_tokens = max_tokens

    @property
    def end_tokens(self) -> list[int]:
        """The tokens that end an answer; first the tokenizer's own, which chats end with."""
        own_end = self.engine.writer.tokenizer.eos_token_id
        return sorted(self.engine.ends, key=lambda token: (token != own_end, token))

    def change_model(self) -> ChangeModel:
        """See `TrainableModel.change_model`."""
        from geochg.models.base import ModelIdentity
        from geochg.models.vlm.backend import VlmModel
        from geochg.models.vlm.options import AnswerForm, VlmOptions

        # In words, because that is what is learned.
        return VlmModel(self.engine, VlmOptions(answers=AnswerForm.WORDS), ModelIdentity("", ""))

    def save(self, folder: Path) -> None:
        """See `TrainableModel.save`; tokenizer, template and processor are the base's own files."""
        self.network.save_pretrained(folder)
        for path in self.folder.iterdir():
            if path.is_dir() and path.name == "qformer_tokenizer":
                shutil.copytree(path, folder / path.name)
            elif (
                path.is_file()
                and path.suffix not in _WEIGHT_SUFFIXES
                and path.name not in _WRITTEN_BY_NETWORK
            ):
                shutil.copy2(path, folder / path.name)

    def _text_inputs(self, ids: list[list[int]], labels: list[list[int]]) -> dict[str, Tensor]:
        filler = int(self.engine.writer.tokenizer.pad_token_id)
        return {
            "input_ids": padded_rows(ids, filler),
            "attention_mask": padded_rows([[1] * len(row) for row in ids], 0),
            "labels": padded_rows(labels, IGNORED),
        }


class TrainableVlm(_TrainableEngine):
    """A model to which pictures are tokens."""

    engine: PrefixEngine

    def inputs(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """See `TrainableModel.inputs`; the pictures of a pair come again with each of its rows.

        Raises:
            InputError: If a question alone is longer than a row may be.
        """
        family = self.engine.family
        pictures, ids, labels = [], [], []
        for sample in samples:
            image_inputs = family.image_inputs([sample.tile()])
            opening = self.engine.prefix_with_images(image_inputs)
            for row in token_rows(
                self.engine.writer, sample.questions, sample.answers, self.end_tokens
            ):
                check_answer_room(
                    [row.labels[: self.max_tokens]], [sample.questions[0]], self.max_tokens
                )
                pictures.append(image_inputs.inputs)
                ids.append([*opening, *row.ids[: self.max_tokens]])
                labels.append([*[IGNORED] * len(opening), *row.labels[: self.max_tokens]])
        return {**self._text_inputs(ids, labels), **family.join_inputs(pictures)}

    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `TrainableModel.forward`."""
        labels = inputs["labels"][:, 1:]
        # Logits of the pictures' tokens, which are many, are of no use.
        wanted_columns = (labels != IGNORED).any(dim=0).nonzero()[:, 0]
        arguments = {
            name: self.engine.to_device(part) for name, part in inputs.items() if name != "labels"
        }
        family = self.engine.family
        if family.marks_images:
            arguments["mm_token_type_ids"] = (arguments["input_ids"] == family.token).int()
        family.state = None
        logits = self.network(**arguments, use_cache=False, logits_to_keep=wanted_columns).logits
        if logits.shape[1] != len(wanted_columns):
            # Some models ignore that argument.
            logits = logits[:, wanted_columns]
        return {"text": text_loss(logits, labels[:, wanted_columns])}


class TrainableInstructBlip(_TrainableEngine):
    """InstructBLIP, whose Q-Former reads the question: each turn is a row of its own."""

    engine: InstructBlipEngine

    def inputs(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """See `TrainableModel.inputs`.

        Raises:
            InputError: If a question alone is longer than a row may be.
        """
        writer = self.engine.writer
        longest = len(writer.prefix_ids) + self.max_tokens
        texts, ids, labels, last = [], [], [], []
        for index, sample in enumerate(samples):
            for turn, text in enumerate(sample.answers):
                prompt = writer.prompt_ids(sample.questions[: turn + 1], sample.answers[:turn])
                answer = [*writer.answer_ids(text), self.end_tokens[0]]
                texts.append(TilePrompt(index, prompt))
                last.append(sample.questions[turn])
                question = [*writer.prefix_ids, *prompt]
                ids.append([*question, *answer][:longest])
                labels.append([*[IGNORED] * len(question), *answer][:longest])
        check_answer_room(labels, last, self.max_tokens)
        return {
            **self._text_inputs(ids, labels),
            "pair_index": torch.tensor([text.row for text in texts]),
            "pixels": self.engine.pixels([sample.tile() for sample in samples]),
            **self.engine.qformer_inputs(texts),
        }

    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `TrainableModel.forward`."""
        network = self.network
        pixels = inputs["pixels"].to(network.dtype)
        learns = torch.is_grad_enabled() and has_trained_parameters(network.vision_model)
        with torch.set_grad_enabled(learns):
            vision = network.vision_model(pixel_values=pixels.flatten(0, 1)).last_hidden_state
        vision = vision.view(*pixels.shape[:2], *vision.shape[1:])[inputs["pair_index"]]
        features = self.engine.query_features(
            vision, inputs["qformer_input_ids"], inputs["qformer_attention_mask"]
        )
        words = network.get_input_embeddings()(inputs["input_ids"])
        mask = inputs["attention_mask"]
        logits = network.language_model(
            inputs_embeds=torch.cat([features, words], dim=1),
            attention_mask=torch.cat([mask.new_ones(features.shape[:2]), mask], dim=1),
            use_cache=False,
        ).logits[:, features.shape[1] :]
        return {"text": text_loss(logits[:, :-1], inputs["labels"][:, 1:])}


def trainable_vlm(engine: Any, folder: Path, max_tokens: int) -> TrainableModel:  # noqa: ANN401
    """The trainable model of an opened engine.

    Args:
        engine: Engine of the base model.
        folder: Folder of the base model.
        max_tokens: Most tokens of a row's text; what is longer loses its end.
    """
    if isinstance(engine, InstructBlipEngine):
        return TrainableInstructBlip(engine, folder, max_tokens)
    return TrainableVlm(engine, folder, max_tokens)
