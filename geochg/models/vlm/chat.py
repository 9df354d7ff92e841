"""How a chat is written for a model: what comes before the first question, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from geochg.models.talk import INTRODUCTION

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "<<question>>"
"""Stands for the first question while it is found out what comes before it."""

VICUNA = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<{{ part['type'] }}>\n{% endif %}"
    "{% endfor %} ASSISTANT:{% else %} {{ message['content'][0]['text'] }}</s>{% endif %}"
    "{% endfor %}"
)
"""Of LLaVA 1.5, Video-LLaVA and LLaVA-NeXT-Video, for folders that bring no template."""


@dataclass(frozen=True)
class ChatWriter:
    """Writes chats in which nothing but the words after the pictures differs between tiles.

    Attributes:
        tokenizer: Of the model.
        template: The model's chat template.
        content: The pair within a message; see `Family.content`.
    """

    tokenizer: PreTrainedTokenizerBase
    template: str
    content: Sequence[Mapping[str, str]]

    @cached_property
    def opening(self) -> str:
        """All that comes before the first question."""
        return self._written([_MARK], []).partition(_MARK)[0]

    def rest(self, asked: Sequence[str], said: Sequence[str]) -> str:
        """All that comes after the opening, up to where the next answer begins.

        Args:
            asked: Questions, one more than there are answers.
            said: Answers so far.
        """
        written = self._written(asked, said)
        assert written.startswith(self.opening)
        return written[len(self.opening) :]

    def _written(self, asked: Sequence[str], said: Sequence[str]) -> str:
        first, *later = asked
        opening = [*self.content, {"type": "text", "text": f"{INTRODUCTION} {first}"}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": opening}]
        for answer, question in zip(said, later, strict=True):
            messages += [
                {"role": "assistant", "content": [{"type": "text", "text": answer}]},
                {"role": "user", "content": [{"type": "text", "text": question}]},
            ]
        written = self.tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=True
        )
        assert isinstance(written, str)
        return written
