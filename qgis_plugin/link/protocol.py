"""The worker's messages: docs/worker.md of geochg."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geochg_qgis.link.errors import Cancelled, LinkError, Refused

PROTOCOL_VERSION = 1
"""What this plugin speaks."""

REFUSED = -32002
CANCELLED = -32800


def request_line(number: int, method: str, parameters: Mapping[str, Any]) -> bytes:
    """A request as a line."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(parameters)}
    return json.dumps(message).encode("ascii") + b"\n"


def message_of(line: bytes) -> dict[str, Any]:
    """A line as a message.

    Raises:
        LinkError: If it is none of the worker's.
    """
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        shown = line[:80].decode("utf-8", "replace").strip()
        raise LinkError(
            f"the worker wrote something that is no message: {shown!r}",
            "check the installation: another program may answer in its place",
        )
    return message


def whole_number(value: object) -> int:
    """An id of ours; -1, which none of ours is, for all else that JSON can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def error_of(told: object) -> LinkError:
    """The error of an answer."""
    if not isinstance(told, dict):
        return LinkError("the worker failed without saying why", "see the log")
    message, data = str(told.get("message", "")), told.get("data")
    hint = str(data.get("hint", "")) if isinstance(data, dict) else ""
    if told.get("code") == CANCELLED:
        return Cancelled(message, hint)
    if told.get("code") == REFUSED:
        return Refused(message, hint)
    return LinkError(message, hint)


def check_hello(hello: Mapping[str, Any]) -> None:
    """Refuses a worker that speaks another version.

    Raises:
        LinkError: Then.
    """
    spoken = hello.get("protocol")
    if spoken == PROTOCOL_VERSION:
        return
    newer = isinstance(spoken, int) and spoken > PROTOCOL_VERSION
    raise LinkError(
        f"geochg {hello.get('geochg', 'of unknown version')} speaks version {spoken!r} of the "
        f"worker's protocol, this plugin version {PROTOCOL_VERSION}",
        "update the plugin" if newer else "update geochg on the set-up page",
    )
