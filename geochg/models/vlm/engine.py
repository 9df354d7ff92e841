"""Asks a model many questions about each tile while it looks at the tile once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import torch

from geochg.errors import ModelError
from geochg.models.library_logs import quietly
from geochg.models.memory import FittingBatches
from geochg.models.vlm.stream import streamed

if TYPE_CHECKING:
    from geochg.models.vlm.chat import ChatWriter
    from geochg.records import Tile

_Glance = TypeVar("_Glance")
_Result = TypeVar("_Result")

Allowed = Callable[[Sequence[int]], Sequence[int]]
"""The tokens that may follow the tokens said so far."""

MOST_DIGITS = 3
"""Of a number: no tile holds a thousand objects that changed."""

FIRST_ROWS = 32
"""Texts tried at once at first."""

MOST_ROWS = 256
"""Texts at once at most, where a device tells that its memory is full."""


class Text(NamedTuple):
    """What is asked about one tile.

    Attributes:
        row: The tile's place among those that were looked at.
        ids: The tokens after the opening; see `ChatWriter.rest`.
    """

    row: int
    ids: Sequence[int]


class NumberWatch:
    """Sees whether the scores of all words are numbers while an answer is made; changes nothing."""

    def __init__(self) -> None:
        self._sound: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ANN401
        """Takes notice of the scores `(rows, words)`; words that are not allowed have -inf."""
        highest = scores.float().amax(dim=-1)  # NaN, where any of them is.
        sound = torch.isfinite(highest)
        self._sound = sound if self._sound is None else self._sound & sound
        return scores

    def sound_rows(self) -> list[bool]:
        """Of each row whether all that was seen of it were numbers."""
        rows: list[bool] = self._sound.tolist()
        return rows


class Engine(ABC, Generic[_Glance]):
    """Runs one model; what a look keeps of the tiles differs.

    Args:
        model: The whole model.
        writer: Of its chats.
        max_tokens: Most tokens of an answer.
    """

    pads: bool = True
    """Whether texts of different length can go through the model side by side."""

    def __init__(self, model: Any, writer: ChatWriter, max_tokens: int) -> None:  # noqa: ANN401
        self.model = model
        self.writer = writer
        self.max_tokens = max_tokens
        self._batches = FittingBatches(
            FIRST_ROWS, MOST_ROWS if model.device.type == "cuda" else FIRST_ROWS
        )

    @property
    def speaker(self) -> Any:  # noqa: ANN401
        """The part with a method `generate`."""
        return self.model

    @abstractmethod
    def look(self, tiles: Sequence[Tile]) -> _Glance:
        """Looks at tiles of one size, all at once."""

    @abstractmethod
    def _inputs(self, glance: _Glance, texts: Sequence[Text]) -> Mapping[str, Any]:
        """Arguments of `generate` for some texts."""

    def say(self, glance: _Glance, texts: Sequence[Text]) -> list[str | None]:
        """Answers freely; None where the model gave no finite numbers to choose words by."""
        said = self._said(glance, texts, max_new_tokens=self.max_tokens)
        return [None if each is None else self.writer.words(each) for each in said]

    def stream(self, glance: _Glance, text: Text) -> Iterator[str]:
        """Answers freely, piece by piece."""

        def generate(**settings: Any) -> None:  # noqa: ANN401
            self._generated(glance, [text], max_new_tokens=self.max_tokens, **settings)

        yield from streamed(generate, self.writer.tokenizer)

    def number(self, glance: _Glance, texts: Sequence[Text]) -> list[int | None]:
        """Answers with whole numbers, since no other tokens are allowed; None as in `say`."""
        blanks, digits = self._blanks, self._digits

        def allowed(said: Sequence[int]) -> Sequence[int]:
            if not said:
                return [*blanks, *digits]
            return digits if said[-1] in blanks else [*digits, *self.ends]

        found = self._said(glance, texts, allowed=allowed, max_new_tokens=MOST_DIGITS + 1)
        return [
            None if each is None else int("".join(self.writer.words(each).split())[:MOST_DIGITS])
            for each in found
        ]

    def one_of(
        self, glance: _Glance, texts: Sequence[Text], answers: Sequence[str]
    ) -> list[str | None]:
        """Answers with one of some answers, since nothing else is allowed; None as in `say`.

        Args:
            glance: What was seen.
            texts: What is asked.
            answers: All there are; one may begin with another.
        """
        tree, longest = self._tree(answers)

        def allowed(said: Sequence[int]) -> Sequence[int]:
            branch = tree
            for token in said:
                # What stands behind the end of an answer does not matter.
                branch = branch.get(token, {})
            return list(branch) or self.ends

        found = self._said(glance, texts, allowed=allowed, max_new_tokens=longest)
        return [None if each is None else self.writer.words(each) for each in found]

    def choose(
        self, glance: _Glance, texts: Sequence[Text], choices: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """Probabilities that the answer begins with one of some words rather than another.

        Args:
            glance: What was seen.
            texts: What is asked.
            choices: The spellings of each choice, told apart by their first token.

        Returns:
            For each text the probability of each choice; they add up to 1. NaN where the model
            gives no numbers, as half precision may.

        Raises:
            ModelError: If the first tokens of two choices are the same.
        """
        first = self._first_tokens(choices)
        tokens = [token for each in first for token in each]
        ends = list(accumulate(map(len, first)))

        def chosen(part: Sequence[Text]) -> list[list[float]]:
            whole = self._generated(glance, part, max_new_tokens=1, output_logits=True).logits[0]
            logits = whole[:, tokens].double()
            # To a model that is damaged all words may be equally likely, and each answer is chance.
            logits[whole.amax(dim=1) == whole.amin(dim=1)] = torch.nan
            scores = [
                logits[:, end - len(each) : end].logsumexp(dim=1)
                for each, end in zip(first, ends, strict=True)
            ]
            likely: list[list[float]] = torch.stack(scores, dim=1).softmax(dim=1).tolist()
            return likely

        return self._by_length(texts, chosen)

    def _said(
        self,
        glance: _Glance,
        texts: Sequence[Text],
        allowed: Allowed | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> list[list[int] | None]:
        """The tokens the model says to each text, up to the one that ends them.

        None for a text to which it gave numbers that are not finite: any word would do then.
        """
        from transformers import LogitsProcessorList

        def said(part: Sequence[Text]) -> list[list[int] | None]:
            inputs = self._inputs(glance, part)
            before = _before_answers(self.speaker, inputs)
            watch = NumberWatch()
            more = {**settings, "logits_processor": LogitsProcessorList([watch])}
            if allowed:
                # A penalty would fall on the names and digits that stand in the question.
                more |= {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
                more["prefix_allowed_tokens_fn"] = lambda _, ids: allowed(ids[before:].tolist())
            rows = self._generated(glance, part, inputs, **more).sequences
            return [
                self._ended(row[before:]) if is_sound else None
                for row, is_sound in zip(rows.tolist(), watch.sound_rows(), strict=True)
            ]

        return self._by_length(texts, said)

    def _by_length(
        self, texts: Sequence[Text], run: Callable[[Sequence[Text]], list[_Result]]
    ) -> list[_Result]:
        """What `run` makes of texts, in order; it is given texts of like length together."""
        # They need less padding, and the longest first show what memory takes.
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place].ids))
        found: dict[int, _Result] = {}
        for places in [order] if self.pads else _grouped(order, key=lambda p: len(texts[p].ids)):
            results = self._batches.run([texts[place] for place in places], run)
            found.update(zip(places, results, strict=True))
        return [found[place] for place in range(len(texts))]

    @torch.inference_mode()
    def _generated(
        self,
        glance: _Glance,
        texts: Sequence[Text],
        inputs: Mapping[str, Any] | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """What `generate` gives; the model's own habits of search and sampling do not count."""
        with quietly():
            return self.speaker.generate(
                **(self._inputs(glance, texts) if inputs is None else inputs),
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

    def _ended(self, ids: list[int]) -> list[int]:
        """Without the end token and what stands behind it."""
        stop = next((place for place, token in enumerate(ids) if token in self.ends), len(ids))
        return ids[:stop]

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        configs = (self.model.generation_config, self.speaker.generation_config)
        ends: set[int] = {self.writer.tokenizer.eos_token_id} - {None}
        for config in configs:
            found = config.eos_token_id
            ends |= set(found) if isinstance(found, list | tuple) else {found} - {None}
        return sorted(ends)

    def _first_tokens(self, choices: Sequence[Sequence[str]]) -> list[list[int]]:
        """The tokens each choice may begin with, without those that others may begin with too."""
        first = [{self._spelt(word)[0] for word in words} for words in choices]
        apart = [
            sorted(own.difference(*(first[:place] + first[place + 1 :])))
            for place, own in enumerate(first)
        ]
        if not all(apart):
            raise ModelError(
                f"the model's first tokens do not tell {' from '.join(w[0] for w in choices)}",
                "use --model-option answers=words",
            )
        return apart

    @cached_property
    def _digits(self) -> list[int]:
        """The tokens of the digits, with a blank before them and without."""
        spelt = (self._spelt(f"{blank}{digit}")[-1] for digit in range(10) for blank in ("", " "))
        return sorted(set(spelt))

    @cached_property
    def _blanks(self) -> list[int]:
        """The tokens that may stand before those of a digit."""
        spelt = [token for digit in range(10) for token in self._spelt(f" {digit}")[:-1]]
        return sorted({token for token in spelt if not self.writer.words([token])})

    def _tree(self, answers: Sequence[str]) -> tuple[dict[int, Any], int]:
        """The tokens of answers as a tree in which each ends with an end token, and its depth."""
        tree: dict[int, Any] = {}
        longest = 0
        for answer in answers:
            branch = tree
            ids = self._spelt(answer)
            longest = max(longest, len(ids) + 1)
            for token in ids:
                branch = branch.setdefault(token, {})
            for token in self.ends:
                branch.setdefault(token, {})
        return tree, longest

    def _spelt(self, text: str) -> list[int]:
        found: list[int] = self.writer.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found


def _before_answers(speaker: Any, inputs: Mapping[str, Any]) -> int:  # noqa: ANN401
    """How many of the tokens that `generate` gives stand before the answer."""
    if speaker.config.is_encoder_decoder:
        return 1
    return int(inputs["input_ids"].shape[1]) if "input_ids" in inputs else 0


def _grouped(places: Sequence[int], key: Callable[[int], int]) -> list[list[int]]:
    """Places with the same key together."""
    groups: dict[int, list[int]] = {}
    for place in places:
        groups.setdefault(key(place), []).append(place)
    return list(groups.values())
