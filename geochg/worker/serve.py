"""The worker's life: reads messages until there are no more."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping

from geochg.files.pipes import LONGEST_LINE_BYTES, Outbox, Pipes, claim_pipes, lines_of
from geochg.safety.untrusted_text import cleaned
from geochg.worker.calls import Calls, Method
from geochg.worker.messages import (
    INTERNAL,
    NO_SUCH_METHOD,
    NOT_A_REQUEST,
    WRONG_PARAMETERS,
    MessageError,
    Request,
    answer_line,
    error_line,
    request_of,
)
from geochg.worker.methods import methods

GRACE_S = 3.0
"""Time that what is under way has to stop, and its answers to be read, when stdin has ended."""

LAST_WORD_S = 0.5
"""Part of the grace period that is left for the answers alone."""

_OF_REQUESTS = (NO_SUCH_METHOD, WRONG_PARAMETERS)
"""Codes of errors in messages that are requests otherwise."""


def serve_process() -> None:
    """Serves whoever started this process, over its stdin and stdout; then ends it.

    A request that does not stop in time, and an answer that nobody reads, are left where they
    are: journals survive that.
    """
    if not serve(claim_pipes()):
        os._exit(0)


def serve(pipes: Pipes) -> bool:
    """Answers messages until the inbox ends, then cancels what is under way.

    Returns:
        Whether everything under way has ended and every answer is written.
    """
    # Its modules import each other in a circle: two requests that import them at once, each on its
    # thread, would find one of them half made.
    import odc.geo.geobox  # noqa: F401

    calls: Calls
    outbox = Outbox(pipes.outbox, on_gone=lambda: calls.cancel_all())
    calls = Calls(outbox.send)
    known_methods = methods()
    try:
        for line in lines_of(pipes.inbox):
            answer = _handle_line(line, known_methods, calls)
            # Who fills the outbox without reading a line of it is not there any more. Nothing is
            # said of it: stderr may be as full.
            if answer is not None and not outbox.send_at_once(answer):
                break
    # A read that fails, or Ctrl-C in a terminal: nobody will ask any more.
    except (OSError, KeyboardInterrupt):
        pass
    calls.cancel_all()
    deadline = time.monotonic() + GRACE_S
    return calls.wait_for_end(deadline - LAST_WORD_S) and outbox.wait_until_empty(deadline)


def _handle_line(
    line: bytes | None, known_methods: Mapping[str, Method], calls: Calls
) -> bytes | None:
    """The line that answers a message at once; None when it is answered later, or never."""
    try:
        if line is None:
            raise MessageError(
                NOT_A_REQUEST,
                f"the message is longer than {LONGEST_LINE_BYTES} bytes",
                "put what is large into a file and name it",
            )
        request = request_of(line)
        if request.method == "cancel":
            return _cancel_call(request, calls)
        if request.method not in known_methods:
            names = ", ".join(sorted([*known_methods, "cancel"]))
            raise MessageError(
                NO_SUCH_METHOD,
                f"there is no method {request.method[:60]!r}",
                f"methods: {names}",
                request=request.id,
            )
        calls.start(known_methods[request.method], request)
    except MessageError as error:
        # Well-formed and without an id: its sender wants no answer, not even this one.
        is_notification = error.request is None and error.code in _OF_REQUESTS
        return None if is_notification else error_line(error)
    # The worker outlives whatever a message does to it.
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {cleaned(error)}"
        return error_line(MessageError(INTERNAL, reason, "report this"))
    return None


def _cancel_call(request: Request, calls: Calls) -> bytes | None:
    wanted_id = request.parameters.get("id")
    if isinstance(wanted_id, bool) or not isinstance(wanted_id, str | int):
        raise MessageError(
            WRONG_PARAMETERS,
            "what is to be cancelled is not named",
            'give the "id" of the request',
            request=request.id,
        )
    running = calls.cancel(wanted_id)
    return None if request.id is None else answer_line(request.id, {"cancelled": running})
