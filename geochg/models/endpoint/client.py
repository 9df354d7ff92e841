"""OpenAI's client, bounded: it asks this machine directly, and no reply is endless."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from geochg.errors import ModelError
from geochg.models.endpoint.deadline import begin_request, bound_connections, deadline_s

if TYPE_CHECKING:
    from openai import OpenAI

MAX_REPLY_BYTES = 8_000_000
"""Longest answer that is read; one of 256 tokens has a few thousand bytes, and a few hundred
thousand with the probabilities of its tokens."""

MAX_LIST_BYTES = 16_000_000
"""Longest list of models that is read; some hosts have many."""


class UnwantedReplyError(Exception):
    """A reply that is not read to its end; the text says why."""


def open_client(url: str, secret: str, *, timeout_s: float, retries: int) -> OpenAI:
    """A client of the endpoint at an address.

    Proxies that the environment names are used for other machines only: they have no way to a
    loopback address, and images are not for them.

    Args:
        url: Root of the protocol.
        secret: The key; empty for none.
        timeout_s: Time limit of a whole answer.
        retries: How often a failed request is sent again.

    Raises:
        ModelError: If the environment names a proxy that cannot be used.
    """
    from openai import DefaultHttpxClient, OpenAI

    try:
        http_client = DefaultHttpxClient(
            # Images go to the address that was named, not to where that redirects them.
            follow_redirects=False,
            trust_env=not is_this_machine(url),
            # A compressed reply has no known length.
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [begin_request], "response": [_limit_reply]},
        )
    except ImportError as error:
        raise ModelError(
            "the environment names a SOCKS proxy (ALL_PROXY), for which a package is missing",
            "pip install socksio, or put the endpoint's host into NO_PROXY",
        ) from error
    # Some versions of the library raise neither for an address that makes no sense.
    except (ValueError, _http().InvalidURL) as error:
        raise ModelError(
            "the environment names a proxy whose address makes no sense",
            "correct HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, or unset them",
        ) from error
    bound_connections(http_client)
    return OpenAI(
        base_url=url,
        api_key=secret or "none",
        timeout=timeout_s,
        max_retries=retries,
        http_client=http_client,
    )


def is_this_machine(url: str) -> bool:
    """Whether an address is a loopback one."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified


def _http() -> Any:
    """The library that OpenAI's client stands on: httpx, or its successor."""
    from openai import DefaultHttpxClient

    base = DefaultHttpxClient.__mro__[1]
    return sys.modules[base.__module__.partition(".")[0]]


def _limit_reply(response: Any) -> None:
    """Limits time and length of the reply, and refuses one that is compressed."""
    if response.headers.get("content-encoding", "identity") not in ("", "identity"):
        raise UnwantedReplyError("the endpoint's reply is compressed, which was not asked for")
    http, full_stream = _http(), response.stream
    base = http.SyncByteStream
    max_bytes = MAX_LIST_BYTES if response.request.method == "GET" else MAX_REPLY_BYTES
    end_s = deadline_s()

    class _LimitedStream(base):  # type: ignore[misc, valid-type]
        def __iter__(self) -> Iterator[bytes]:
            count = 0
            for part in full_stream:
                count += len(part)
                if count > max_bytes:
                    raise UnwantedReplyError(
                        f"the endpoint's reply is longer than {max_bytes / 1e6:g} MB"
                    )
                if time.monotonic() > end_s:
                    raise http.ReadTimeout("the reply takes too long", request=response.request)
                yield part

        def close(self) -> None:
            full_stream.close()

    response.stream = _LimitedStream()
