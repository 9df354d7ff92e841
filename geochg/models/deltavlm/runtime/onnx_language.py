"""Runs the language model of a compact DeltaVLM by ONNX Runtime, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.deltavlm.loading import HINT
from geochg.models.deltavlm.prompts import PaddedRows, left_padded, right_padded, shortened_prompt
from geochg.models.deltavlm.runtime.onnx_file import open_session, workers
from geochg.models.deltavlm.runtime.vision_output import DenseArrays, VisionOutput
from geochg.models.devices import processors
from geochg.models.model_files import CONFIG, saved_json

QUESTION, LANGUAGE = "question.onnx", "language.onnx"
"""Files of a model folder: from vision output and question to the prefix; the language model."""

VISION_INPUTS = ("tokens_before", "tokens_after", *DenseArrays._fields)
"""The output of the vision encoder, a row for each prompt."""

QUESTION_INPUTS = (*VISION_INPUTS, "question_ids", "question_mask")
"""The prompts follow, `(rows, tokens)` int64, padded on the right."""

LANGUAGE_INPUTS = ("prefix", "ids", "mask", "positions", "past")
"""`(rows, n, width)` float32 before the `(rows, m)` int64 tokens; `(rows, 1, n + m, past + n + m)`
float32, added to the attention; `(rows, n + m)` int64; and what `present` was, `(2 * layers, rows,
heads, past, head width)` float32. `n` and `past` may be zero."""

LANGUAGE_OUTPUTS = ("logits", "present")
"""`(rows, vocabulary)` float32 of the next token, and keys and values of all tokens so far."""

GREEDY = {"do_sample": False, "num_beams": 1}
"""The generation settings by which the likeliest token comes next."""

_NEEDED = ("max_new_tokens", "eos_token_id", "pad_token_id")
_NEVER = np.float32(np.finfo(np.float32).min)
_LEAST_ROWS = 4
"""Fewer rows are not worth a thread."""


@dataclass(frozen=True, slots=True)
class OnnxLanguage:
    """Runs the exported language model greedily; see `LanguageRunner`.

    Attributes:
        question: An `onnxruntime.InferenceSession` of `QUESTION`.
        language: An `onnxruntime.InferenceSession` of `LANGUAGE`.
        tokenizer: A `tokenizers.Tokenizer`.
        batch_prompts: Prompts answered at once.
        prompt_tokens: Most tokens of a prompt.
        answer_tokens: Most tokens of an answer.
        pad: The token that fills rows.
        end: The token that ends an answer.
        cache: Shape of `past` with nothing in it, for one row.
    """

    question: Any
    language: Any
    tokenizer: Any
    batch_prompts: int
    prompt_tokens: int
    answer_tokens: int
    pad: int
    end: int
    cache: tuple[int, ...]

    @classmethod
    def open(cls, folder: Path, made_from: str, settings: dict[str, int]) -> Self:
        """Loads the exported files of a folder.

        Args:
            folder: The model's folder.
            made_from: See `open_session`.
            settings: Greedy generation settings over the defaults saved with the model.

        Raises:
            ModelError: As `open_session`, or if the tokenizer or a setting is broken.
        """
        from tokenizers import Tokenizer

        config = saved_json(folder / CONFIG, HINT)
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing more exact.
            raise ModelError(f"the tokenizer in {folder} is broken: {error}", HINT) from error
        generation = generation_settings(folder) | settings
        language = open_session(folder / LANGUAGE, made_from)
        layers, _, heads, _, width = language.get_inputs()[-1].shape
        return cls(
            question=open_session(folder / QUESTION, made_from),
            language=language,
            tokenizer=tokenizer,
            batch_prompts=config["language_batch"],
            prompt_tokens=config["max_prompt_tokens"],
            answer_tokens=generation["max_new_tokens"],
            pad=generation["pad_token_id"],
            end=generation["eos_token_id"],
            cache=(layers, 1, heads, 0, width),
        )

    def encode(self, vision: VisionOutput, indices: Sequence[int]) -> list[NDArray[np.float32]]:
        """The `VISION_INPUTS` of some tiles; see `LanguageRunner`."""
        assert vision.dense is not None
        parts = (vision.before, vision.after, *vision.dense)
        return [values[list(indices)] for values in parts]

    def answers(
        self, encoding: list[NDArray[np.float32]], rows: Sequence[int], prompts: Sequence[str]
    ) -> list[str]:
        """Answers prompts; see `LanguageRunner`."""
        share = max(_LEAST_ROWS, -(-len(prompts) // processors()))
        starts = range(0, len(prompts), share)

        def answer_part(start: int) -> list[list[int]]:
            part = slice(start, start + share)
            return self._answer_ids([values[rows[part]] for values in encoding], prompts[part])

        ids = [answer for part in workers().map(answer_part, starts) for answer in part]
        texts: list[str] = self.tokenizer.decode_batch(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _answer_ids(
        self, vision: list[NDArray[np.float32]], prompts: Sequence[str]
    ) -> list[list[int]]:
        """The tokens of the answers."""
        ids = [encoded.ids for encoded in self.tokenizer.encode_batch(list(prompts))]
        questions = right_padded([row[: self.prompt_tokens] for row in ids], self.pad)
        inputs = dict(zip(QUESTION_INPUTS, (*vision, *questions), strict=True))
        (prefix,) = self.question.run(None, inputs)
        text = left_padded([shortened_prompt(row, self.prompt_tokens) for row in ids], self.pad)
        return self._generate(prefix, text)

    def _generate(self, prefix: NDArray[np.float32], text: PaddedRows) -> list[list[int]]:
        """The likeliest token after the likeliest token, until all rows have ended."""
        answers: list[list[int]] = [[] for _ in text.ids]
        seen_mask = np.hstack((np.ones(prefix.shape[:2], np.int64), text.mask))
        length = seen_mask.shape[1]
        # Padding has no position of its own.
        positions = np.maximum(seen_mask.cumsum(axis=1) - 1, 0)
        causal = np.tri(length, dtype=bool)[None] & (seen_mask[:, None] == 1)
        past = np.zeros((self.cache[0], len(answers), *self.cache[2:]), np.float32)
        logits, past = self._next_token(prefix, text.ids, causal, positions, past)

        rows = np.arange(len(answers))
        for _ in range(self.answer_tokens - 1):
            latest = logits.argmax(axis=1)
            going = latest != self.end
            for row, token in zip(rows[going], latest[going], strict=True):
                answers[row].append(int(token))
            if not going.any():
                return answers
            if not going.all():
                rows, latest, seen_mask, past = (
                    rows[going],
                    latest[going],
                    seen_mask[going],
                    past[:, going],
                )
                positions = positions[going]
            seen_mask = np.hstack((seen_mask, np.ones((len(rows), 1), np.int64)))
            positions = positions[:, -1:] + 1
            empty_prefix = np.zeros((len(rows), 0, prefix.shape[2]), np.float32)
            logits, past = self._next_token(
                empty_prefix, latest[:, None], seen_mask[:, None] == 1, positions, past
            )
        for row, token in zip(rows, logits.argmax(axis=1), strict=True):
            answers[row].append(int(token))
        return answers

    def _next_token(
        self,
        prefix: NDArray[np.float32],
        ids: NDArray[np.int64],
        seen_mask: NDArray[np.bool_],
        positions: NDArray[np.int64],
        past: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        mask = np.where(seen_mask, np.float32(0), _NEVER)[:, None]
        values = (prefix, ids, mask, positions, past)
        logits, present = self.language.run(None, dict(zip(LANGUAGE_INPUTS, values, strict=True)))
        return logits, present


def generation_settings(folder: Path) -> dict[str, Any]:
    """The generation defaults saved with a model, without the version of transformers."""
    settings = saved_json(folder / "generation_config.json", HINT)
    return {name: value for name, value in settings.items() if name != "transformers_version"}


def is_greedy(settings: dict[str, Any]) -> bool:
    """Whether generation settings ask for nothing but the likeliest token each time."""
    numbers = (settings.get(name) for name in _NEEDED)
    return (
        settings.keys() <= {*GREEDY, *_NEEDED, "bos_token_id"}
        and all(settings.get(name, usual) == usual for name, usual in GREEDY.items())
        and all(isinstance(number, int) for number in numbers)
    )
