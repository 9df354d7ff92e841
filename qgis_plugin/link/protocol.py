"""The messages of the worker's protocol (docs/worker.md of geochg)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geochg_qgis.link.errors import Cancelled, LinkError, Refused

PROTOCOL_VERSION = 1
"""Version of the protocol that this plugin speaks."""

NO_SUCH_METHOD = -32601
WRONG_PARAMETERS = -32602
OLDER_WORKER_CODES = (NO_SUCH_METHOD, WRONG_PARAMETERS)
"""Error codes of a worker that does not know a method yet, or one of its parameters."""

REFUSED = -32002
CANCELLED = -32800


def request_line(number: int, method: str, parameters: Mapping[str, Any]) -> bytes:
    """The line of a request."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(parameters)}
    return json.dumps(message).encode("ascii") + b"\n"


def message_of(line: bytes) -> dict[str, Any]:
    """The message in a line.

    Raises:
        LinkError: If the line is no message of the worker's.
    """
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        shown_line = line[:80].decode("utf-8", "replace").strip()
        raise LinkError.from_code("no-message", shown=shown_line)
    return message


def whole_number(value: object) -> int:
    """A whole number; -1, which is no request's id, for all else that JSON can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def error_of(answer: object) -> LinkError:
    """The error in an answer, with the worker's message and hint, which are English."""
    if not isinstance(answer, dict):
        return LinkError.from_code("worker-gave-no-reason")
    code, data = answer.get("code"), answer.get("data")
    hint = str(data.get("hint", "")) if isinstance(data, dict) else ""
    values = {"message": str(answer.get("message", "")), "hint": hint, "number": code}
    error = {CANCELLED: Cancelled, REFUSED: Refused}.get(whole_number(code), LinkError)
    if code == NO_SUCH_METHOD:
        return error.from_code("worker-too-old", **values)
    return error.from_code("worker-error" if hint else "worker-error-without-hint", **values)


def check_hello(hello: Mapping[str, Any]) -> None:
    """Checks that a worker speaks this version of the protocol.

    Raises:
        LinkError: If it speaks another version.
    """
    spoken_version = hello.get("protocol")
    if spoken_version == PROTOCOL_VERSION:
        return
    is_newer = isinstance(spoken_version, int) and spoken_version > PROTOCOL_VERSION
    raise LinkError.from_code(
        "plugin-too-old" if is_newer else "geochg-speaks-another-version",
        geochg=hello.get("geochg", "?"),
        spoken=spoken_version,
        own=PROTOCOL_VERSION,
    )
