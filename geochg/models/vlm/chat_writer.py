"""Writes chats about images as tokens: a prefix that all share, and the rest."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import zip_longest
from typing import Any, Self

from transformers import PreTrainedTokenizerBase

from geochg.errors import ModelError
from geochg.models.chat.dialogue import INTRODUCTION, introduction_of
from geochg.models.library_guards import time_limit
from geochg.models.pretrained import broken_errors
from geochg.tasks.thoughts import ends_in_thoughts

_MARK = "(geochg asks here)"
"""Stands for the first question to tell what the template writes before it."""

_TIME_LIMIT_S = 10.0
"""A template writes a chat within milliseconds; one that loops would do so for ever."""

_CACHED_PROMPTS = 4096
"""Prompts whose tokens are kept: most questions are asked about every tile."""

VICUNA = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<{{ part['type'] }}>\n{% endif %}"
    "{% endfor %} ASSISTANT:{% else %} {{ message['content'][0]['text'] }}</s>{% endif %}"
    "{% endfor %}"
)
"""The template of LLaVA 1.5, Video-LLaVA and LLaVA-NeXT-Video, for folders that bring none."""


class ChatWriter:
    """Writes chats about images as tokens; all of them begin with `prefix_ids`.

    Args:
        tokenizer: The model's tokenizer.
        template: The model's chat template.
        content: The images within a message; see `Family.content`.
        adds_end: Whether the token that ends a text stands behind a question, as encoders want it.
        introduction: The text between the images and the first question.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: str,
        content: Sequence[Mapping[str, str]],
        *,
        adds_end: bool = False,
        introduction: str = INTRODUCTION,
    ) -> None:
        self.tokenizer: Any = tokenizer
        self.template = template
        self.content = content
        self.introduction = introduction
        self._end_ids = [self.tokenizer.eos_token_id] if adds_end else []
        self._cached_prompt_ids = lru_cache(_CACHED_PROMPTS)(self._prompt_ids)

    @cached_property
    def prefix_ids(self) -> list[int]:
        """The tokens before the first question, one for each image among them.

        Raises:
            ModelError: If the template fails.
        """
        return self._ids(self._prefix_text)

    def for_dates(self, content: Sequence[Mapping[str, str]], dates: int) -> Self:
        """The writer of the same model for so many dates, which `content` stands for."""
        return type(self)(
            self.tokenizer,
            self.template,
            content,
            adds_end=bool(self._end_ids),
            introduction=introduction_of(dates),
        )

    def prompt_ids(self, questions: Sequence[str], answers: Sequence[str]) -> list[int]:
        """The tokens after the prefix, up to where the next answer begins.

        There is one more question than there are answers so far.
        """
        return self._cached_prompt_ids(tuple(questions), tuple(answers))

    def dialogue_ids(self, questions: Sequence[str], answers: Sequence[str]) -> list[int]:
        """The tokens after the prefix of a dialogue that ends with an answer, for training."""
        return self._prompt_ids(tuple(questions), tuple(answers))

    def answer_ids(self, text: str) -> list[int]:
        """The tokens of an answer on its own."""
        return list(self.tokenizer(self._harmless(text), add_special_tokens=False)["input_ids"])

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens that a model generated."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _prompt_ids(self, questions: tuple[str, ...], answers: tuple[str, ...]) -> list[int]:
        text = self._chat_text(questions, answers)
        full_ids = self._ids(text)
        start = len(self.prefix_ids)
        if full_ids[:start] == self.prefix_ids:
            return [*full_ids[start:], *self._end_ids]
        # The end of the prefix and the question would share a token.
        rest = self.tokenizer(text.removeprefix(self._prefix_text), add_special_tokens=False)
        return [*rest["input_ids"], *self._end_ids]

    @cached_property
    def _prefix_text(self) -> str:
        return self._chat_text([_MARK], []).partition(_MARK)[0]

    def _ids(self, text: str) -> list[int]:
        """The tokens of a text, with one token at its start and none at its end.

        Templates often write the token a text begins with, which tokenizers add too. The token that
        ends a text, which some add, would stand before the answer.
        """
        has_start = self.tokenizer.bos_token is not None and text.startswith(
            self.tokenizer.bos_token
        )
        ids: list[int] = self.tokenizer(text, add_special_tokens=not has_start)["input_ids"]
        ends = bool(ids) and ids[-1] == self.tokenizer.eos_token_id
        has_end = text.endswith(self.tokenizer.eos_token or "\0")
        return ids[:-1] if ends and not has_end else ids

    def _chat_text(self, questions: Sequence[str], answers: Sequence[str]) -> str:
        assert len(questions) - 1 <= len(answers) <= len(questions)
        # The line end keeps the tokens before it apart from those of the question.
        first, *later_turns = map(self._harmless, questions)
        content = [*self.content, {"type": "text", "text": f"{self.introduction}\n{first}"}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        for answer, question in zip_longest(map(self._harmless, answers), later_turns):
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
            if question is not None:
                messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
        try:
            with time_limit(_TIME_LIMIT_S):
                text = self.tokenizer.apply_chat_template(
                    messages,
                    chat_template=self.template,
                    tokenize=False,
                    add_generation_prompt=len(answers) < len(questions),
                    enable_thinking=False,
                )
        except broken_errors() as error:
            raise ModelError(
                f"the model's chat template fails: {error}", "use another model"
            ) from error
        if ends_in_thoughts(str(text)):
            raise ModelError(
                "the model thinks before it answers", "use a model that answers at once"
            )
        return str(text)

    def _harmless(self, text: str) -> str:
        """Without the words that a tokenizer takes for an image or for the end of a turn."""
        before = ""
        while before != text:
            before = text
            for word in self._special_words:
                text = text.replace(word, "")
        return text

    @cached_property
    def _special_words(self) -> list[str]:
        added = [str(token) for token in self.tokenizer.added_tokens_decoder.values()]
        return sorted({*added, *self.tokenizer.all_special_tokens}, key=len, reverse=True)
