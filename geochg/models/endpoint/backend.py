"""The backend `openai`: a vision-language model behind an endpoint of OpenAI's chat protocol.

vLLM, `transformers serve`, Ollama, llama.cpp and many more serve it. Tiles leave the machine for
the address that is named, and for no other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from geochg.errors import OptionError, RunError
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.chat.conversation import INTRODUCTION, Conversation, presence_first
from geochg.models.endpoint.address import Address
from geochg.models.endpoint.chat import Chat, Key, Message
from geochg.models.endpoint.reply import NoAnswerError
from geochg.models.images import data_uri
from geochg.options import Options
from geochg.records import (
    Exchange,
    PairFacts,
    Question,
    Task,
    Tile,
    TileAnswers,
)
from geochg.safety.untrusted_text import secret_names

SILENT_REQUESTS = 3
"""After so many requests in a row without any answer, it is asked whether the endpoint is there."""


@dataclass(frozen=True)
class EndpointOptions(Options):
    """What `openai` can be told.

    Attributes:
        concurrency: Requests under way at once.
        timeout_s: How long a whole answer may take.
        retries: How often a request is sent again after 408, 409, 429, 5xx or a lost connection,
            waiting longer each time, as long as the endpoint says.
        max_tokens: Most tokens of an answer.
        key_variable: Environment variable that holds the key; needed by endpoints that want one.
        extra: Further members of each request, such as `{"seed": 1}`, over those above.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "concurrency": (1, 256),
        "timeout_s": (0.1, 86_400),
        "retries": (0, 20),
        "max_tokens": (1, 1_000_000),
    }

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("concurrency", "timeout_s", "retries", "key_variable")

    concurrency: int = 8
    timeout_s: float = 120.0
    retries: int = 5
    max_tokens: int = 256
    key_variable: str = "OPENAI_API_KEY"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if names := secret_names(self.extra):
            raise OptionError(
                f"extra holds {names[0]!r}, and options stand in every output",
                f"put the key into the environment variable {self.key_variable}",
            )

    def request(self) -> dict[str, Any]:
        """The members of each request beside model and messages."""
        extra = dict(self.extra)
        usual = {"max_tokens": self.max_tokens, "temperature": 0.0}
        if "max_completion_tokens" in extra:
            del usual["max_tokens"]
        return {**{k: v for k, v in usual.items() if k not in extra}, "extra_body": extra}


class EndpointModel(ChangeModel):
    """A model behind an endpoint; its answers in words go through the parsers."""

    name: ClassVar[str] = "openai"
    summary: ClassVar[str] = (
        "a model behind an OpenAI-compatible endpoint: http://host:port/v1#name"
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=frozenset(Task),
        location="grid",
        pixels="display",
        bands="rgb",
        streams=True,
        clues=True,
        asked_in_words=frozenset(Task),
    )
    options_type: ClassVar[type[Options]] = EndpointOptions

    def __init__(self, chat: Chat, options: EndpointOptions) -> None:
        self.chat = chat
        self.options = options

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """Asks the endpoint whether it has the model; see `ChangeModel.load`.

        Args:
            source: `http://host:port/v1#name`.
            options: `EndpointOptions`.
            device: Of no matter here.

        Raises:
            ModelError: If the address makes no sense, nothing answers there, the key is refused,
                or there is no such model.
        """
        assert isinstance(options, EndpointOptions)
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

    def talk(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Goes on with a talk, word by word as they come; see `ChangeModel.talk`."""
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


__all__ = ["EndpointModel", "EndpointOptions"]
