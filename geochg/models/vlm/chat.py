"""How a chat is written for a model: what comes before the first question, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.chat.conversation import INTRODUCTION
from geochg.models.pretrained import broken_errors
from geochg.models.time_limit import patience
from geochg.tasks.thoughts import ends_in_thoughts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "(geochg asks here)"
"""Stands for the first question while it is found out what comes before it."""

_PATIENCE_S = 10.0
"""A template writes a chat within milliseconds; one that loops would do so for ever."""

_REMEMBERED = 4096
"""Texts whose tokens are kept: most questions are asked about every tile."""

VICUNA = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<{{ part['type'] }}>\n{% endif %}"
    "{% endfor %} ASSISTANT:{% else %} {{ message['content'][0]['text'] }}</s>{% endif %}"
    "{% endfor %}"
)
"""Of LLaVA 1.5, Video-LLaVA and LLaVA-NeXT-Video, for folders that bring no template."""


class ChatWriter:
    """Writes chats about a pair as tokens; all of them begin with the same ones.

    Args:
        tokenizer: Of the model.
        template: The model's chat template.
        content: The pair within a message; see `Family.content`.
        ends: Whether the token that ends a text stands behind a question, as encoders want it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: str,
        content: Sequence[Mapping[str, str]],
        *,
        ends: bool = False,
    ) -> None:
        self.tokenizer: Any = tokenizer
        self.template = template
        self.content = content
        self._ending = [self.tokenizer.eos_token_id] if ends else []
        self._rest = lru_cache(_REMEMBERED)(self._rest_of)

    @cached_property
    def opening(self) -> list[int]:
        """The tokens before the first question, one for each picture among them.

        Raises:
            ModelError: If the template fails.
        """
        return self._ids(self._opening)

    def rest(self, asked: Sequence[str], said: Sequence[str]) -> list[int]:
        """The tokens after the opening, up to where the next answer begins.

        Args:
            asked: Questions, one more than there are answers.
            said: Answers so far.
        """
        return self._rest(tuple(asked), tuple(said))

    def told(self, asked: Sequence[str], said: Sequence[str]) -> list[int]:
        """The tokens after the opening of a talk that ends with an answer, for training.

        Args:
            asked: Questions.
            said: As many answers.
        """
        return self._after_opening(self._written(tuple(asked), tuple(said)))

    def spelt(self, text: str) -> list[int]:
        """The tokens of an answer on its own."""
        found = self.tokenizer(self._harmless(text), add_special_tokens=False)
        ids: list[int] = found["input_ids"]
        return ids

    def words(self, ids: Sequence[int]) -> str:
        """What a model said."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _rest_of(self, asked: tuple[str, ...], said: tuple[str, ...]) -> list[int]:
        return self._after_opening(self._written(asked, said))

    def _after_opening(self, written: str) -> list[int]:
        whole = self._ids(written)
        start = len(self.opening)
        if whole[:start] == self.opening:
            return [*whole[start:], *self._ending]
        # The end of the opening and the question would share a token.
        found = self.tokenizer(written.removeprefix(self._opening), add_special_tokens=False)
        return [*found["input_ids"], *self._ending]

    @cached_property
    def _opening(self) -> str:
        return self._written([_MARK], []).partition(_MARK)[0]

    def _ids(self, text: str) -> list[int]:
        """Templates often write the token a text begins with, which tokenizers add too.

        The token that ends a text, which some add, would stand before the answer: without it.
        """
        begins = self.tokenizer.bos_token is not None and text.startswith(self.tokenizer.bos_token)
        ids: list[int] = self.tokenizer(text, add_special_tokens=not begins)["input_ids"]
        ended = bool(ids) and ids[-1] == self.tokenizer.eos_token_id
        written = text.endswith(self.tokenizer.eos_token or "\0")
        return ids[:-1] if ended and not written else ids

    def _written(self, asked: Sequence[str], said: Sequence[str]) -> str:
        assert len(asked) - 1 <= len(said) <= len(asked)
        # The line end keeps the tokens before it apart from those of the question.
        first, *later = map(self._harmless, asked)
        opening = [*self.content, {"type": "text", "text": f"{INTRODUCTION}\n{first}"}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": opening}]
        for answer, question in zip_longest(map(self._harmless, said), later):
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
            if question is not None:
                messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
        try:
            with patience(_PATIENCE_S):
                written = self.tokenizer.apply_chat_template(
                    messages,
                    chat_template=self.template,
                    tokenize=False,
                    add_generation_prompt=len(said) < len(asked),
                    enable_thinking=False,
                )
        except broken_errors() as error:
            raise ModelError(
                f"the model's chat template fails: {error}", "use another model"
            ) from error
        if ends_in_thoughts(str(written)):
            raise ModelError("the model thinks before it answers", "use the one that does not")
        return str(written)

    def _harmless(self, text: str) -> str:
        """Without the words that a tokenizer takes for a picture or for the end of a turn."""
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
