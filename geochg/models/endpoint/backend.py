"""The backend `openai`: a vision-language model behind an endpoint of OpenAI's chat protocol.

vLLM, `transformers serve`, Ollama, llama.cpp and many more serve it. Tiles leave the machine for
the address that is named, and for no other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from geochg.errors import RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.conversation import INTRODUCTION, Conversation, presence_first
from geochg.models.endpoint.address import Address
from geochg.models.endpoint.chat import Chat, Key, Message
from geochg.models.endpoint.options import EndpointOptions
from geochg.models.endpoint.reply import NoAnswerError
from geochg.models.images import data_uri
from geochg.records import (
    Exchange,
    PairFacts,
    Question,
    Task,
    Tile,
    TileAnswers,
)

SILENT_REQUESTS = 3
"""After so many requests in a row without any answer, it is asked whether the endpoint is there."""


class EndpointModel(ChangeModel[EndpointOptions]):
    """A model behind an endpoint; its answers in words go through the parsers."""

    name = "openai"
    summary = "a model behind an OpenAI-compatible endpoint: http://host:port/v1#name"
    backend_capabilities = Capabilities(
        tasks=frozenset(Task),
        location="grid",
        pixels="display",
        bands="rgb",
        streams=True,
        clues=True,
        asked_in_words=frozenset(Task),
    )

    def __init__(self, chat: Chat, options: EndpointOptions) -> None:
        self.chat = chat
        self.options = options

    @classmethod
    def load(cls, source: str, options: EndpointOptions, device: str) -> Self:
        """Asks the endpoint whether it has the model; see `ChangeModel.load`.

        Args:
            source: `http://host:port/v1#name`.
            options: Of the backend.
            device: Of no matter here.

        Raises:
            ModelError: If the address makes no sense, nothing answers there, the key is refused,
                or there is no such model.
        """
        chat = Chat.open(
            Address.parse(source),
            Key(options.key_variable, os.environ.get(options.key_variable, "").strip()),
            options.request(),
            timeout_s=options.timeout_s,
            retries=options.retries,
        )
        return cls(chat, options)

    @property
    def identity(self) -> ModelIdentity:
        """The address, and the checksum of what each request says; the weights are not known."""
        said = json.dumps(self.options.request(), sort_keys=True, default=str)
        return ModelIdentity(
            str(self.chat.address), f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"
        )

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Raises:
            ModelError: If the endpoint refuses the key or no longer has the model.
            RunError: If it went away.
        """
        self.chat.begin_call()
        pictures = [_pictures(tile) for tile in tiles]
        with ThreadPoolExecutor(self.options.concurrency, "geochg-endpoint") as pool:

            def hold(talks: Sequence[Conversation]) -> None:
                # The results are taken so that what a thread raises is raised here.
                list(pool.map(lambda talk: self._hold(talk, pictures[talk.place]), talks))

            found = presence_first(tiles, questions, hold)
        if self.chat.silent >= SILENT_REQUESTS and not self.chat.is_there():
            raise RunError(
                f"nothing answers any more at {self.chat.address.url}",
                "what was done is kept: look after the endpoint, then run again with --resume",
            )
        return found

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk, word by word as they come; see `ChangeModel.converse`."""
        talk = Conversation(0, Question(Task.QUESTION, question), tile.clue)
        said = [word for exchange in exchanges for word in exchange]
        roles = ("user", "assistant")
        texts = [*said, *talk.asked]
        first = [*_pictures(tile), {"type": "text", "text": texts[0]}]
        messages: list[Message] = [
            {"role": roles[n % 2], "content": text if n else first} for n, text in enumerate(texts)
        ]
        try:
            yield from self.chat.stream(messages)
        except NoAnswerError as lost:
            raise RunError(
                f"no answer: {lost}", "look after the endpoint, then ask again"
            ) from lost

    def _hold(self, talk: Conversation, pictures: list[Message]) -> None:
        while not talk.is_over:
            try:
                talk.hear(self.chat.say(_messages(pictures, talk)))
            except NoAnswerError as lost:
                talk.failure, talk.is_permanent = lost.reason, lost.is_permanent


def _pictures(tile: Tile) -> list[Message]:
    """What each conversation about a tile begins with."""
    dates = (tile.before, tile.after)
    shown = [{"type": "image_url", "image_url": {"url": data_uri(date)}} for date in dates]
    return [*shown, {"type": "text", "text": INTRODUCTION}]


def _messages(pictures: list[Message], talk: Conversation) -> list[Message]:
    """The chat so far, and the next question."""
    first, *later = talk.asked
    messages: list[Message] = [
        {"role": "user", "content": [*pictures, {"type": "text", "text": first}]}
    ]
    for said, asked in zip(talk.said, later, strict=True):
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": asked}]
    return messages
