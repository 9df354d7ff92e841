"""Talks to an endpoint through OpenAI's own client, and sorts what can go wrong.

What an endpoint says when it refuses is not repeated: it may hold the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.endpoint.address import Address

if TYPE_CHECKING:
    from openai import OpenAI

CHECK_TIMEOUT_S = 10.0
"""How long an endpoint may take to say which models it has."""

Message = Mapping[str, Any]
"""One message of a chat, as the protocol writes it."""

_MOVED = range(300, 400)


class LostAnswerError(Exception):
    """No answer came, though another try may bring one; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """What opens an endpoint.

    Attributes:
        variable: The environment variable it comes from.
        secret: Empty for none.
    """

    variable: str
    secret: str = field(repr=False)


@dataclass(slots=True)
class Chat:
    """A chat model that answers.

    Attributes:
        client: OpenAI's; it retries what is temporary, ever more slowly.
        address: Of the model, with its name.
        key: Sent with each request.
        settings: Of each request, such as `max_tokens`.
        silent: Requests in a row, retries not counted, to which nothing came back.
    """

    client: OpenAI
    address: Address
    key: Key
    settings: Mapping[str, Any]
    silent: int = 0
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
            address: Its name may be empty where the endpoint has one model only.
            key: What opens it.
            settings: Of each request.
            timeout_s: How long an answer may take.
            retries: How often a request that failed is sent again.

        Raises:
            ModelError: If nothing answers there, the key is refused, or there is no such model.
        """
        from openai import DefaultHttpxClient, OpenAI

        if not key.secret.isascii():
            raise ModelError(
                f"the key in {key.variable} has letters that no key has", "copy it again"
            )
        client = OpenAI(
            base_url=address.url,
            api_key=key.secret or "none",
            timeout=timeout_s,
            max_retries=retries,
            # Pictures go to the address that was named, not to where that sends them on.
            http_client=DefaultHttpxClient(follow_redirects=False),
        )
        names = _names(client, address, key)
        name = address.name or (names[0] if len(names) == 1 else "")
        if not name or (names and name not in names):
            raise ModelError(
                f"{address.url} has no model {name!r}" if name else "which model is not said",
                f"write #NAME behind the address: {', '.join(names[:20]) or 'it names none'}",
            )
        return cls(client, Address(address.url, name), key, settings)

    def say(self, messages: list[Message]) -> str:
        """The answer to a chat.

        Raises:
            LostAnswerError: If none came, after all retries.
            ModelError: If none will ever come.
        """
        with self._sorting():
            said = self._request(messages).choices[0].message.content
        if not isinstance(said, str | None):
            raise LostAnswerError("the endpoint's answer makes no sense")
        return said or ""

    def stream(self, messages: list[Message]) -> Iterator[str]:
        """The answer to a chat, piece by piece; errors as `say`."""
        with self._sorting(), self._request(messages, stream=True) as parts:
            for part in parts:
                if part.choices and isinstance(part.choices[0].delta.content, str):
                    yield part.choices[0].delta.content

    def is_there(self) -> bool:
        """Whether the endpoint still says which models it has."""
        try:
            _names(self.client, self.address, self.key)
        except ModelError:
            return False
        return True

    def _request(self, messages: list[Message], **how: Any) -> Any:  # noqa: ANN401
        return self.client.chat.completions.create(
            model=self.address.name,
            messages=messages,  # type: ignore[arg-type]
            **self.settings,
            **how,
        )

    @contextmanager
    def _sorting(self) -> Iterator[None]:
        """Turns the client's errors into those of `say`, and notes whether anything came back."""
        import openai

        try:
            yield
        except openai.APIConnectionError as error:
            with self._lock:
                self.silent += 1
            late = isinstance(error, openai.APITimeoutError)
            raise LostAnswerError(
                "the endpoint did not answer in time"
                if late
                else "the connection to the endpoint broke"
            ) from error
        except openai.APIStatusError as error:
            self._heard()
            if error.status_code in (401, 403, 404) or error.status_code in _MOVED:
                raise _refused(self.address, self.key, error.status_code) from error
            raise LostAnswerError(f"the endpoint answered {error.status_code}") from error
        # Its body was no JSON, or not what the protocol says.
        except (openai.OpenAIError, ValueError, AttributeError, TypeError, LookupError) as error:
            self._heard()
            raise LostAnswerError("the endpoint's answer makes no sense") from error
        self._heard()

    def _heard(self) -> None:
        with self._lock:
            self.silent = 0


def _answers(client: OpenAI, address: Address) -> bool:
    """Whether the model that is named says anything at all."""
    import openai

    if not address.name:
        return False
    try:
        client.with_options(max_retries=1).chat.completions.create(
            model=address.name, messages=[{"role": "user", "content": "Hello"}], max_tokens=1
        )
    except openai.OpenAIError:
        return False
    return True


def _names(client: OpenAI, address: Address, key: Key) -> list[str]:
    """The models of an endpoint; none where it does not tell."""
    import openai

    quick = client.with_options(timeout=CHECK_TIMEOUT_S, max_retries=1)
    try:
        return [str(model.id) for model in quick.models.list()]
    except openai.NotFoundError:
        return []
    except openai.InternalServerError as error:
        # `transformers serve` fails to list before it has fetched a model, and yet answers.
        if _answers(client, address):
            return []
        raise _refused(address, key, error.status_code) from error
    except openai.APIStatusError as error:
        raise _refused(address, key, error.status_code) from error
    except openai.APIConnectionError as error:
        raise ModelError(
            f"nothing answers at {address.url}", "start the server, or check the address"
        ) from error
    except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{address.url} does not speak OpenAI's protocol", "check the address; most end in /v1"
        ) from error


def _refused(address: Address, key: Key, status: int) -> ModelError:
    if status in (401, 403):
        return ModelError(
            f"{address.url} refused the key ({status})",
            f"put a key that it takes into the environment variable {key.variable}",
        )
    if status == 404:
        return ModelError(
            f"{address.url} has no model {address.name!r}", "check the address and the name"
        )
    if status in _MOVED:
        return ModelError(
            f"{address.url} sends requests on to another address ({status})",
            "name that address, if you trust it",
        )
    return ModelError(f"{address.url} answered {status}", "try again later, or look at its log")
