"""Asks an endpoint through OpenAI's own client, and sorts its errors.

The text of an endpoint's error is shown without the key, should it hold that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from geochg.errors import ModelError
from geochg.models.endpoint.address import Address
from geochg.models.endpoint.client import UnwantedReplyError, open_client
from geochg.models.endpoint.logprobs import TokenChoices, token_choices
from geochg.models.endpoint.reply import NO_SENSE, NoAnswerError, answer_text, error_text
from geochg.models.endpoint.streaming import Stream
from geochg.models.endpoint.token_totals import TokenTotals

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

CHECK_TIMEOUT_S = 10.0
"""Time limit of the list of models."""

TOP_LOGPROBS = (20, 5)
"""Tokens asked for at each place, of which servers allow so many, fewer or none."""

MAX_REFUSALS = 3
"""Requests refused alike before any was answered, after which no more are sent in one call."""

Message = Mapping[str, Any]
"""One message of a chat, in the protocol's form."""

_MOVED = range(300, 400)
_PASSING = frozenset({408, 409, 425, 429})
"""Refusals of the kind 4xx that another attempt may mend."""
_BUSY = frozenset({429, 502, 503, 504})
"""Status of a server that has too much to do, or has just been started."""
_UNABLE = frozenset({501, 505})
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
"""Codes of refusals that are about the images of one tile only."""

_BLIND_WORDS = (
    "image input is not supported",
    "not support image input",
    "not support images",
    "image_url is only supported by certain models",
    "not a multimodal model",
    "mmproj",
    "at most 0 image",
)
"""Words of servers whose model takes no images: llama.cpp, Ollama, vLLM, LM Studio, OpenAI."""

_BROKEN = (ValueError, AttributeError, TypeError, LookupError, RecursionError)
"""Errors of reading a reply that is no JSON, or breaks the protocol."""


@dataclass(frozen=True, slots=True)
class Key:
    """The key of an endpoint.

    Attributes:
        variable: The environment variable that holds it.
        secret: The key itself; empty for none.
    """

    variable: str
    secret: str = field(repr=False)


class ChatReply(NamedTuple):
    """An answer, and how likely its tokens were; without the latter where that is not known."""

    text: str
    tokens: Sequence[TokenChoices] = ()


@dataclass(slots=True)
class Chat:
    """A chat model that answers.

    Attributes:
        client: OpenAI's client; it retries what is temporary, ever more slowly.
        address: The address of the model, with its name.
        key: The key that is sent with each request.
        settings: Settings of each request, such as `max_tokens`.
        unanswered: Requests in a row, retries not counted, without any reply.
        tokens: The tokens of all requests so far.
        holds_back: Whether a stream is held back to its end: until a first answer has shown that
            the model does not think in the midst of its text, as some templates have it.
    """

    client: OpenAI
    address: Address
    key: Key
    settings: Mapping[str, Any]
    unanswered: int = 0
    holds_back: bool = True
    tokens: TokenTotals = field(default_factory=TokenTotals)
    _refused_logprobs: int = 0
    _refusals: list[NoAnswerError] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def open(
        cls,
        address: Address,
        key: Key,
        settings: Mapping[str, Any],
        *,
        timeout_s: float,
        retries: int,
    ) -> Chat:
        """Asks an endpoint for its models.

        Args:
            address: The address; its name may be empty where the endpoint has one model only.
            key: The key of the endpoint.
            settings: Settings of each request.
            timeout_s: Time limit of an answer.
            retries: How often a failed request is sent again.

        Raises:
            ModelError: If nothing answers there, the key is refused, there is no such model, or
                the proxy that the environment names cannot be used.
        """
        if not key.secret.isascii():
            raise ModelError(
                f"the key in {key.variable} holds characters that no key has", "copy it again"
            )
        client = open_client(address.url, key.secret, timeout_s=timeout_s, retries=retries)
        names = _names(client, address, key)
        name = address.name or (names[0] if len(names) == 1 else "")
        if not name or (names and name not in names):
            raise ModelError(
                f"{address.url} has no model {name!r}" if name else "the address names no model",
                f"write #NAME behind the address: {', '.join(names[:20]) or 'it names none'}",
            )
        return cls(client, Address(address.url, name), key, settings)

    def begin_call(self) -> None:
        """Forgets earlier refusals, whose cause may be gone."""
        with self._lock:
            self._refusals.clear()

    def reply(self, messages: list[Message], *, measured: bool = False) -> ChatReply:
        """The answer to a chat.

        Args:
            messages: The chat so far.
            measured: Whether to ask how likely the tokens of the answer are.

        Where several chats were refused alike since `begin_call` and none was answered, the others
        are not sent at all.

        Raises:
            NoAnswerError: If none came, after all retries.
            ModelError: If none will ever come.
        """
        if (refusals := self._refusals)[MAX_REFUSALS - 1 :]:
            raise refusals[-1]
        try:
            with self._sorted_errors():
                request = self._measured_request if measured else self._request
                completion = request(messages)
                self.tokens.add(getattr(completion, "usage", None))
                text = answer_text(completion, self._max_tokens)
                return ChatReply(text, token_choices(completion.choices[0]) if measured else [])
        except NoAnswerError as error:
            raise self._weighted_error(error) from error.__cause__

    def stream(self, messages: list[Message]) -> Iterator[str]:
        """The answer to a chat, piece by piece; errors as `reply`."""
        with self._sorted_errors(), self._request(messages, stream=True) as parts:
            stream = Stream(parts, self._max_tokens, holds_back=self.holds_back)
            yield from stream.pieces()
        self.holds_back = stream.has_bare_thoughts

    def is_reachable(self) -> bool:
        """Whether the endpoint still lists its models."""
        try:
            _names(self.client, self.address, self.key)
        except ModelError:
            return False
        return True

    @property
    def _max_tokens(self) -> object:
        extra = self.settings.get("extra_body", {})
        return extra.get("max_completion_tokens") or extra.get(
            "max_tokens", self.settings.get("max_tokens")
        )

    def _measured_request(self, messages: list[Message]) -> Any:
        """A completion with as many log probabilities as the server gives, or with none."""
        import openai

        for count in TOP_LOGPROBS[self._refused_logprobs :]:
            settings = {"logprobs": True, "top_logprobs": count}
            try:
                return self._request(messages, **settings)
            except openai.APIStatusError as error:
                if "logprob" not in error_text(error.body).lower():
                    raise
                # Other threads may have got as far.
                level = TOP_LOGPROBS.index(count) + 1
                self._refused_logprobs = max(self._refused_logprobs, level)
        return self._request(messages)

    def _request(self, messages: list[Message], **settings: Any) -> Any:
        return self.client.chat.completions.create(
            model=self.address.name,
            messages=messages,  # type: ignore[arg-type]
            **self.settings,
            **settings,
        )

    @contextmanager
    def _sorted_errors(self) -> Iterator[None]:
        """Turns the client's errors into those of `reply`, and notes whether any reply came."""
        import openai

        try:
            yield
        except openai.APIConnectionError as error:
            with self._lock:
                self.unanswered += 1
            late = isinstance(error, openai.APITimeoutError)
            raise NoAnswerError(
                "the endpoint did not answer in time"
                if late
                else "the connection to the endpoint broke"
            ) from error
        except openai.APIStatusError as error:
            with self._lock:
                self.unanswered = 0
            raise _status_error(self.address, self.key, error) from error
        except NoAnswerError:
            self._note_reply()
            raise
        except UnwantedReplyError as error:
            self._note_reply()
            raise NoAnswerError(str(error)) from error
        except (openai.OpenAIError, *_BROKEN) as error:
            self._note_reply()
            raise NoAnswerError(NO_SENSE) from error
        self._note_reply()

    def _note_reply(self) -> None:
        """Notes that a request was answered, however badly."""
        with self._lock:
            self.unanswered = 0
            self._refusals.clear()

    def _weighted_error(self, error: NoAnswerError) -> NoAnswerError:
        """The error, which is permanent where the server has said nothing else to any chat."""
        if not isinstance(error, RefusedError):
            return error
        with self._lock:
            same_refusals = [
                refusal for refusal in self._refusals if refusal.reason == error.reason
            ]
            is_permanent = error.is_permanent or (
                len(same_refusals) + 1 >= MAX_REFUSALS and not error.is_busy
            )
            weighted = NoAnswerError(error.reason, is_permanent=is_permanent)
            self._refusals[:] = [] if error.is_busy else [*same_refusals, weighted]
        return weighted


class RefusedError(NoAnswerError):
    """A request that the endpoint refused by its status.

    Args:
        reason: The reason, with the text of the server.
        is_permanent: See `NoAnswerError`.
        is_busy: Whether the server has too much to do.
    """

    def __init__(self, reason: str, *, is_permanent: bool, is_busy: bool) -> None:
        super().__init__(reason, is_permanent=is_permanent)
        self.is_busy = is_busy


def _status_error(address: Address, key: Key, error: APIStatusError) -> Exception:
    """The error of a status, for the chat or for the whole run."""
    status, code = error.status_code, str(error.code or "")
    if (status in (401, 403, 404) and code not in _FILTERED) or status in _MOVED:
        return _endpoint_error(address, key, error)
    text = error_text(error.body, [key.secret])
    if any(words in text.lower() for words in _BLIND_WORDS):
        return ModelError(
            f"the model at {address.url} takes no images ({status}: {text})",
            "serve a vision-language model with its vision part: llama.cpp needs --mmproj FILE",
        )
    is_spent = code in _SPENT
    is_lasting = (400 <= status < 500 and status not in _PASSING) or status in _UNABLE
    return RefusedError(
        f"the endpoint answered {status}" + (f": {text}" if text else ""),
        is_permanent=(is_lasting or is_spent) and code not in _FILTERED,
        is_busy=(status in _BUSY and not is_spent) or code in _FILTERED,
    )


def _does_answer(client: OpenAI, address: Address) -> bool:
    """Whether the named model answers at all."""
    import openai

    if not address.name:
        return False
    try:
        client.with_options(max_retries=1).chat.completions.create(
            model=address.name, messages=[{"role": "user", "content": "Hello"}], max_tokens=1
        )
    except (openai.OpenAIError, UnwantedReplyError, *_BROKEN):
        return False
    return True


def _names(client: OpenAI, address: Address, key: Key) -> list[str]:
    """The models of an endpoint; none where it has no list."""
    import openai

    quick = client.with_options(timeout=CHECK_TIMEOUT_S, max_retries=1)
    try:
        return [str(model.id) for model in quick.models.list()]
    except openai.NotFoundError:
        return []
    except openai.InternalServerError as error:
        # `transformers serve` fails to list before it has fetched a model, and yet answers.
        if _does_answer(client, address):
            return []
        raise _endpoint_error(address, key, error) from error
    except openai.APIStatusError as error:
        raise _endpoint_error(address, key, error) from error
    except openai.APIConnectionError as error:
        raise ModelError(
            f"nothing answers at {address.url}", "start the server, or check the address"
        ) from error
    except (openai.OpenAIError, UnwantedReplyError, *_BROKEN) as error:
        raise ModelError(
            f"{address.url} does not speak OpenAI's protocol", "check the address; most end in /v1"
        ) from error


def _endpoint_error(address: Address, key: Key, error: APIStatusError) -> ModelError:
    """The error of an endpoint that cannot be used at all."""
    status, text = error.status_code, error_text(error.body, [key.secret])
    reason_text = f": {text}" if text else ""
    if status in (401, 403):
        return ModelError(
            f"{address.url} refused the key ({status}){reason_text}",
            f"put a key that it takes into the environment variable {key.variable}",
        )
    if status == 404:
        return ModelError(
            f"{address.url} has no model {address.name!r}{reason_text}",
            "check the address and the name",
        )
    if status in _MOVED:
        return ModelError(
            f"{address.url} sends requests on to another address ({status})",
            "name that address, if you trust it",
        )
    return ModelError(
        f"{address.url} answered {status}{reason_text}", "try again later, or look at its log"
    )
