"""Talks to an endpoint through OpenAI's own client, and sorts what can go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geochg.errors import ModelError
from geochg.models.endpoint.address import Address

if TYPE_CHECKING:
    from openai import OpenAI

Message = Mapping[str, Any]
"""One message of a chat, as the protocol writes it."""


class LostAnswerError(Exception):
    """No answer came, though another try may bring one; the text says why."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat model that answers.

    Attributes:
        client: OpenAI's; it retries what is temporary, ever more slowly.
        address: Of the model, with its name.
        settings: Of each request, such as `max_tokens`.
    """

    client: OpenAI
    address: Address
    settings: Mapping[str, Any]

    @classmethod
    def open(
        cls,
        address: Address,
        key: str,
        settings: Mapping[str, Any],
        *,
        timeout_s: float,
        retries: int,
    ) -> Chat:
        """Asks an endpoint for its models.

        Args:
            address: Its name may be empty where the endpoint has one model only.
            key: Sent with each request; empty for none.
            settings: Of each request.
            timeout_s: How long an answer may take.
            retries: How often a request that failed is sent again.

        Raises:
            ModelError: If nothing answers there, the key is refused, or there is no such model.
        """
        from openai import OpenAI

        client = OpenAI(
            base_url=address.url, api_key=key or "none", timeout=timeout_s, max_retries=retries
        )
        names = _names(client, address)
        name = address.name or (names[0] if len(names) == 1 else "")
        if not name or (names and name not in names):
            raise ModelError(
                f"{address.url} has no model {name!r}" if name else "which model is not said",
                f"write #NAME behind the address: {', '.join(names[:20]) or 'it names none'}",
            )
        return cls(client, Address(address.url, name), settings)

    def say(self, messages: list[Message]) -> str:
        """The answer to a chat.

        Raises:
            LostAnswerError: If none came, after all retries.
            ModelError: If none will ever come.
        """
        import openai

        try:
            said: Any = self.client.chat.completions.create(
                model=self.address.name,
                messages=messages,  # type: ignore[arg-type]
                **self.settings,
            )
        except (
            openai.AuthenticationError,
            openai.PermissionDeniedError,
            openai.NotFoundError,
        ) as error:
            raise _refused(self.address, error) from error
        except openai.APITimeoutError as error:
            raise LostAnswerError("the endpoint did not answer in time") from error
        except openai.APIConnectionError as error:
            raise LostAnswerError("the connection to the endpoint broke") from error
        except openai.APIStatusError as error:
            raise LostAnswerError(f"the endpoint answered {_told(error)}") from error
        # Its body was no JSON, or not what the protocol says.
        except (openai.OpenAIError, ValueError) as error:
            raise LostAnswerError("the endpoint's answer makes no sense") from error
        choices = getattr(said, "choices", None)
        if not choices:
            raise LostAnswerError("the endpoint's answer makes no sense")
        return choices[0].message.content or ""


def _names(client: OpenAI, address: Address) -> list[str]:
    """The models of an endpoint; none where it does not tell."""
    import openai

    try:
        return [str(model.id) for model in client.models.list()]
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise _refused(address, error) from error
    except openai.NotFoundError:
        return []
    except openai.APIConnectionError as error:
        raise ModelError(
            f"nothing answers at {address.url}", "start the server, or check the address"
        ) from error
    except openai.APIStatusError as error:
        raise ModelError(
            f"{address.url} answered {_told(error)}", "try again later, or look at its log"
        ) from error
    except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{address.url} does not speak OpenAI's protocol", "check the address; most end in /v1"
        ) from error


def _refused(address: Address, error: Any) -> ModelError:  # noqa: ANN401
    if error.status_code == 404:
        return ModelError(
            f"{address.url} has no model {address.name!r}", "check the address and the name"
        )
    return ModelError(
        f"{address.url} refused the key ({error.status_code})",
        "put a key that it takes into the environment variable OPENAI_API_KEY",
    )


def _told(error: Any) -> str:  # noqa: ANN401
    """The status and the first line of what the endpoint said, without markup."""
    body = error.body if isinstance(error.body, dict) else {}
    said = str(body.get("message") or "").splitlines()
    return f"{error.status_code}: {said[0][:200]}" if said else str(error.status_code)
