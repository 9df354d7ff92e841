"""Pending requests, as their callers see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event as Flag
from typing import Any

from geochg_qgis.link.errors import LinkError

Listener = Callable[[Mapping[str, Any]], None]


def ignore(_: object) -> None:
    """A listener that does nothing."""


class PendingReply:
    """The result or error that a request will have."""

    def __init__(self, number: int, method: str, on_event: Listener) -> None:
        self.number = number
        self.method = method
        self.on_event = on_event
        self._done = Flag()
        self._result: dict[str, Any] = {}
        self._error: LinkError | None = None

    def settle(self, result: object = None, error: LinkError | None = None) -> None:
        """Sets the result or error and ends all waiting; only the first call counts."""
        if not self._done.is_set():
            self._result = result if isinstance(result, dict) else {}
            self._error = error
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Waits for the result or error; returns whether there is one."""
        return self._done.wait(seconds)

    def result(self) -> dict[str, Any]:
        """The result; waits until there is one.

        Raises:
            LinkError: If the request failed.
        """
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result
