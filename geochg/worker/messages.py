"""Messages of the worker: lines read into requests, and answers put into lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from geochg.errors import CancelledRunError, GeochgError
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned

NOT_JSON = -32700
NOT_A_REQUEST = -32600
NO_SUCH_METHOD = -32601
WRONG_PARAMETERS = -32602
INTERNAL = -32603
FAILED = -32001
REFUSED = -32002
CANCELLED = -32800
"""As other protocols over JSON-RPC number it."""

RequestId = str | int


class MessageError(Exception):
    """A message that cannot be taken, or a request that failed.

    Args:
        code: As JSON-RPC numbers errors; see above.
        message: What is wrong, one line.
        hint: What to do about it, one line.
        request: Id of the request that it answers; None when that is not known.
        kind: The class of the `GeochgError`, where one is behind it.
    """

    def __init__(
        self,
        code: int,
        message: str,
        hint: str = "",
        *,
        request: RequestId | None = None,
        kind: str = "",
    ) -> None:
        self.code = code
        self.message = cleaned(message, LONGEST_TEXT)
        self.hint = cleaned(hint, LONGEST_TEXT)
        super().__init__(self.message)
        self.request = request
        self.kind = kind

    @classmethod
    def of(cls, error: GeochgError) -> MessageError:
        """What a geochg error is called here."""
        code = {2: REFUSED, CancelledRunError.exit_code: CANCELLED}.get(error.exit_code, FAILED)
        return cls(code, error.message, error.hint, kind=type(error).__name__)


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        method: Its name.
        parameters: By name.
        id: Id that the answer carries; None when no answer is wanted.
    """

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: RequestId | None = None


def request_of(line: bytes) -> Request:
    """Reads a line.

    Raises:
        MessageError: If it is no request.
    """
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    # RecursionError: nested deeper than anyone means to.
    except (ValueError, RecursionError) as error:
        reason = cleaned(error, 200)
        raise MessageError(
            NOT_JSON, f"that is no JSON: {reason}", "write one JSON object a line, in UTF-8"
        ) from error
    return _checked_request(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _checked_request(value: object) -> Request:
    if not isinstance(value, dict):
        raise MessageError(
            NOT_A_REQUEST,
            "a message must be an object",
            "write requests one by one, each on a line of its own",
        )
    request = value.get("id")
    # JSON's true is Python's 1.
    if request is not None and (isinstance(request, bool) or not isinstance(request, str | int)):
        raise MessageError(NOT_A_REQUEST, "an id must be a text or a whole number", "change it")
    if value.get("jsonrpc") != "2.0":
        raise MessageError(
            NOT_A_REQUEST, "this is not JSON-RPC 2.0", 'add "jsonrpc": "2.0"', request=request
        )
    method, parameters = value.get("method"), value.get("params", {})
    if not isinstance(method, str):
        raise MessageError(
            NOT_A_REQUEST, "the message names no method", 'add "method"', request=request
        )
    if not isinstance(parameters, dict):
        raise MessageError(
            WRONG_PARAMETERS, "parameters go by name", '"params" is an object', request=request
        )
    return Request(method, parameters, request)


def answer_line(request: RequestId, result: Mapping[str, Any]) -> bytes:
    """An answer as a line."""
    return _line({"id": request, "result": dict(result)})


def error_line(error: MessageError) -> bytes:
    """An error as a line; `data` holds the hint."""
    data = {"hint": error.hint} | ({"kind": error.kind} if error.kind else {})
    facts = {"code": error.code, "message": error.message, "data": data}
    return _line({"id": error.request, "error": facts})


def event_line(request: RequestId, event: Mapping[str, Any]) -> bytes:
    """Something to know of a request under way, as a line."""
    return _line({"method": "event", "params": {"id": request, **event}})


def _line(message: Mapping[str, Any]) -> bytes:
    """Plain ASCII, so that no encoding of a pipe and no lone surrogate of a path can spoil it."""
    return json.dumps({"jsonrpc": "2.0", **message}, allow_nan=False).encode("ascii") + b"\n"
