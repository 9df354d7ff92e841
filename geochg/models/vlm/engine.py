"""Asks a model many questions about each tile, which it encodes once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any, Generic, NamedTuple, Self, TypeVar

import torch
from transformers import LogitsProcessorList

from geochg.errors import ModelError
from geochg.models.library_guards import quiet_libraries
from geochg.models.memory import FittingBatches
from geochg.models.vlm.chat_writer import ChatWriter
from geochg.models.vlm.stream import stream_text
from geochg.records import Tile

_Encoding = TypeVar("_Encoding")
_Result = TypeVar("_Result")

AllowedTokens = Callable[[Sequence[int]], Sequence[int]]
"""The tokens that may follow the tokens of an answer so far."""

MAX_DIGITS = 3
"""Most digits of a number: no tile holds a thousand objects that changed."""

FIRST_ROWS = 32
"""Prompts in the first batch."""

MAX_ROWS = 256
"""Most prompts in a batch, where a device reports that its memory is full."""


class TilePrompt(NamedTuple):
    """A prompt about one tile.

    Attributes:
        row: Index of the tile in its encoding.
        ids: The tokens after the prefix; see `ChatWriter.prompt_ids`.
    """

    row: int
    ids: Sequence[int]


class FiniteScores:
    """A logits processor that notes whether all scores are numbers; it changes nothing."""

    def __init__(self) -> None:
        self._finite: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Checks the scores `(rows, vocabulary)`; tokens that are not allowed have -inf."""
        highest = scores.float().amax(dim=-1)  # NaN, where any of them is.
        finite = torch.isfinite(highest)
        self._finite = finite if self._finite is None else self._finite & finite
        return scores

    def finite_rows(self) -> list[bool]:
        """For each row whether all its scores were numbers."""
        return list(self._finite.tolist())


class AllowedScores:
    """A logits processor that leaves only the tokens that may follow.

    That of transformers asks the device for each row by itself.

    Args:
        allowed: Gives the tokens that may follow an answer.
        prompt_tokens: Number of tokens that stand before the answers.
    """

    def __init__(self, allowed: AllowedTokens, prompt_tokens: int) -> None:
        self._allowed = allowed
        self._prompt_tokens = prompt_tokens

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """The scores `(rows, vocabulary)` with -inf for all other tokens."""
        places = [
            (row, token)
            for row, answer in enumerate(input_ids[:, self._prompt_tokens :].tolist())
            for token in self._allowed(answer)
        ]
        rows, tokens = torch.tensor(places, device=scores.device).unbind(1)
        mask = torch.full_like(scores, -torch.inf)
        mask[rows, tokens] = 0
        return scores + mask


class Engine(ABC, Generic[_Encoding]):
    """Runs one model; subclasses differ in how they encode tiles.

    Args:
        model: The whole model.
        writer: Writes its chats.
        max_tokens: Most tokens of an answer.
    """

    pads: bool = True
    """Whether prompts of different length can go through the model side by side."""

    def __init__(self, model: Any, writer: ChatWriter, max_tokens: int) -> None:
        self.model = model
        self.writer = writer
        self.max_tokens = max_tokens
        self._batches = FittingBatches(
            FIRST_ROWS, MAX_ROWS if model.device.type == "cuda" else FIRST_ROWS
        )

    @property
    def most_dates(self) -> int:
        """Most dates of a tile."""
        return 2

    @abstractmethod
    def for_dates(self, dates: int) -> Self:
        """The engine of the same model for tiles of so many dates."""

    @property
    def generator(self) -> Any:
        """The part with a method `generate`."""
        return self.model

    @abstractmethod
    def encode(self, tiles: Sequence[Tile]) -> _Encoding:
        """Encodes tiles of one size, all at once."""

    @abstractmethod
    def _inputs(self, encoding: _Encoding, prompts: Sequence[TilePrompt]) -> Mapping[str, Any]:
        """Arguments of `generate` for some prompts."""

    def reply_texts(self, encoding: _Encoding, prompts: Sequence[TilePrompt]) -> list[str | None]:
        """Free answers; None where the model gave scores that are not finite numbers."""
        rows = self._reply_ids(encoding, prompts, max_new_tokens=self.max_tokens)
        return [None if ids is None else self.writer.text(ids) for ids in rows]

    def stream_reply(self, encoding: _Encoding, prompt: TilePrompt) -> Iterator[str]:
        """A free answer, piece by piece."""

        def generate(**settings: Any) -> None:
            self._generate(encoding, [prompt], max_new_tokens=self.max_tokens, **settings)

        yield from stream_text(generate, self.writer.tokenizer)

    def reply_numbers(self, encoding: _Encoding, prompts: Sequence[TilePrompt]) -> list[int | None]:
        """Answers that are whole numbers, since only digits are allowed; None as `reply_texts`."""
        blanks, digits = self._blank_ids, self._digit_ids

        def allowed_tokens(answer: Sequence[int]) -> Sequence[int]:
            if not answer:
                return [*blanks, *digits]
            return digits if answer[-1] in blanks else [*digits, *self.ends]

        rows = self._reply_ids(
            encoding, prompts, allowed=allowed_tokens, max_new_tokens=MAX_DIGITS + 1
        )
        return [
            None if ids is None else int("".join(self.writer.text(ids).split())[:MAX_DIGITS])
            for ids in rows
        ]

    def reply_choices(
        self, encoding: _Encoding, prompts: Sequence[TilePrompt], answers: Sequence[str]
    ) -> list[str | None]:
        """Answers out of a closed list, since nothing else is allowed; None as `reply_texts`.

        Args:
            encoding: The encoded tiles.
            prompts: The prompts.
            answers: All answers; one may begin with another.
        """
        tree, longest = self._tree(answers)

        def allowed_tokens(answer: Sequence[int]) -> Sequence[int]:
            branch = tree
            for token in answer:
                # Tokens behind the end of an answer do not matter.
                branch = branch.get(token, {})
            return list(branch) or self.ends

        rows = self._reply_ids(encoding, prompts, allowed=allowed_tokens, max_new_tokens=longest)
        return [None if ids is None else self.writer.text(ids) for ids in rows]

    def choice_probabilities(
        self, encoding: _Encoding, prompts: Sequence[TilePrompt], choices: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Probabilities that the answer begins with one choice rather than another.

        Args:
            encoding: The encoded tiles.
            prompts: The prompts.
            choices: The spellings of each choice, which differ in their first token.

        Returns:
            For each prompt the probability of each choice; they add up to 1. NaN where the model
            gives no numbers, as half precision may.

        Raises:
            ModelError: If the first tokens of two choices are the same.
        """
        first = self._first_tokens(choices)
        ids = [token for tokens in first for token in tokens]
        ends = list(accumulate(map(len, first)))

        def probabilities(part: Sequence[TilePrompt]) -> list[list[float]]:
            all_logits = self._generate(
                encoding, part, max_new_tokens=1, output_logits=True
            ).logits[0]
            logits = all_logits[:, ids].double()
            # To a damaged model all tokens may be equally likely, and each answer is chance.
            logits[all_logits.amax(dim=1) == all_logits.amin(dim=1)] = torch.nan
            scores = [
                logits[:, end - len(tokens) : end].logsumexp(dim=1)
                for tokens, end in zip(first, ends, strict=True)
            ]
            return torch.stack(scores, dim=1).softmax(dim=1).tolist()

        return self._by_length(prompts, probabilities)

    def _reply_ids(
        self,
        encoding: _Encoding,
        prompts: Sequence[TilePrompt],
        allowed: AllowedTokens | None = None,
        **settings: Any,
    ) -> list[list[int] | None]:
        """The tokens of the answer to each prompt, up to the one that ends them.

        None for a prompt with scores that are not finite: the answer would be chance.
        """

        def reply_ids(part: Sequence[TilePrompt]) -> list[list[int] | None]:
            inputs = self._inputs(encoding, part)
            before = _tokens_before_answer(self.generator, inputs)
            finite = FiniteScores()
            processors: list[Any] = [finite]
            all_settings = dict(settings)
            if allowed:
                # A penalty would fall on the names and digits that stand in the question.
                all_settings |= {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
                processors.insert(0, AllowedScores(allowed, before))
            all_settings["logits_processor"] = LogitsProcessorList(processors)
            rows = self._generate(encoding, part, inputs, **all_settings).sequences
            return [
                self._without_end(row[before:]) if is_finite else None
                for row, is_finite in zip(rows.tolist(), finite.finite_rows(), strict=True)
            ]

        return self._by_length(prompts, reply_ids)

    def _by_length(
        self, prompts: Sequence[TilePrompt], run: Callable[[Sequence[TilePrompt]], list[_Result]]
    ) -> list[_Result]:
        """The results of `run` for all prompts, in order; prompts of like length go together."""
        # They need less padding, and the longest first show what memory takes.
        lengths = [len(prompt.ids) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda index: -lengths[index])
        groups = [list(group) for _, group in groupby(order, key=lengths.__getitem__)]
        results: dict[int, _Result] = {}
        for indices in [order] if self.pads else groups:
            part = self._batches.map(run, [prompts[index] for index in indices])
            results.update(zip(indices, part, strict=True))
        return [results[index] for index in range(len(prompts))]

    @torch.inference_mode()
    def _generate(
        self,
        encoding: _Encoding,
        prompts: Sequence[TilePrompt],
        inputs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Any:
        """Runs `generate`; the model's own settings of search and sampling do not count."""
        with quiet_libraries():
            return self.generator.generate(
                **(self._inputs(encoding, prompts) if inputs is None else inputs),
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                num_beams=1,
                num_return_sequences=1,
                use_cache=True,
                pad_token_id=self.writer.tokenizer.pad_token_id,
                eos_token_id=self.ends,
                return_dict_in_generate=True,
                **settings,
            )

    def _without_end(self, ids: list[int]) -> list[int]:
        """The tokens before the end token."""
        stop = next((index for index, token in enumerate(ids) if token in self.ends), len(ids))
        return ids[:stop]

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        configs = (self.model.generation_config, self.generator.generation_config)
        ends: set[int] = {self.writer.tokenizer.eos_token_id} - {None}
        for config in configs:
            end = config.eos_token_id
            ends |= set(end) if isinstance(end, list | tuple) else {end} - {None}
        return sorted(ends)

    def _first_tokens(self, choices: Sequence[Sequence[str]]) -> list[list[int]]:
        """The tokens each choice may begin with, without those that others may begin with too."""
        first = [{self._token_ids(word)[0] for word in words} for words in choices]
        distinct = [
            sorted(own_tokens.difference(*(first[:index] + first[index + 1 :])))
            for index, own_tokens in enumerate(first)
        ]
        if not all(distinct):
            raise ModelError(
                f"the model's first tokens do not tell {' from '.join(w[0] for w in choices)}",
                "use --model-option answers=words and --model-option directions=false",
            )
        return distinct

    @cached_property
    def _digit_ids(self) -> list[int]:
        """The tokens of the digits, with a blank before them and without."""
        ids = (self._token_ids(f"{blank}{digit}")[-1] for digit in range(10) for blank in ("", " "))
        return sorted(set(ids))

    @cached_property
    def _blank_ids(self) -> list[int]:
        """The tokens that may stand before those of a digit."""
        ids = [token for digit in range(10) for token in self._token_ids(f" {digit}")[:-1]]
        return sorted({token for token in ids if not self.writer.text([token])})

    def _tree(self, answers: Sequence[str]) -> tuple[dict[int, Any], int]:
        """The tokens of answers as a tree in which each ends with an end token, and its depth."""
        tree: dict[int, Any] = {}
        longest = 0
        for answer in answers:
            branch = tree
            ids = self._token_ids(answer)
            longest = max(longest, len(ids) + 1)
            for token in ids:
                branch = branch.setdefault(token, {})
            for token in self.ends:
                branch.setdefault(token, {})
        return tree, longest

    def _token_ids(self, text: str) -> list[int]:
        return list(self.writer.tokenizer(text, add_special_tokens=False)["input_ids"])


def _tokens_before_answer(generator: Any, inputs: Mapping[str, Any]) -> int:
    """Number of tokens from `generate` that stand before the answer."""
    if generator.config.is_encoder_decoder:
        return 1
    return int(inputs["input_ids"].shape[1]) if "input_ids" in inputs else 0
