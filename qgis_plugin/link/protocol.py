"""The worker's messages: docs/worker.md of geochg."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geochg_qgis.link.errors import Cancelled, LinkError, Refused

PROTOCOL_VERSION = 1
"""What this plugin speaks."""

NO_SUCH_METHOD = -32601
WRONG_PARAMETERS = -32602
OF_OLDER_WORKERS = (NO_SUCH_METHOD, WRONG_PARAMETERS)
"""What a worker answers that does not know a method yet, or one of its parameters."""

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
        raise LinkError.coded("no-message", shown=shown)
    return message


def whole_number(value: object) -> int:
    """An id of ours; -1, which none of ours is, for all else that JSON can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def error_of(told: object) -> LinkError:
    """The error of an answer: the worker's own words, which are English."""
    if not isinstance(told, dict):
        return LinkError.coded("worker-gave-no-reason")
    data = told.get("data")
    hint = str(data.get("hint", "")) if isinstance(data, dict) else ""
    said = {"message": str(told.get("message", "")), "hint": hint, "number": told.get("code")}
    kind = {CANCELLED: Cancelled, REFUSED: Refused}.get(whole_number(told.get("code")), LinkError)
    return kind.coded("worker-said" if hint else "worker-only-said", **said)


def check_hello(hello: Mapping[str, Any]) -> None:
    """Refuses a worker that speaks another version.

    Raises:
        LinkError: Then.
    """
    spoken = hello.get("protocol")
    if spoken == PROTOCOL_VERSION:
        return
    is_newer = isinstance(spoken, int) and spoken > PROTOCOL_VERSION
    raise LinkError.coded(
        "plugin-too-old" if is_newer else "geochg-speaks-another-version",
        geochg=hello.get("geochg", "?"),
        spoken=spoken,
        own=PROTOCOL_VERSION,
    )
