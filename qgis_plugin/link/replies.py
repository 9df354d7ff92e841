"""Requests under way, as those who asked see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event as Flag
from typing import Any

from geochg_qgis.link.errors import LinkError

Listen = Callable[[Mapping[str, Any]], None]


def ignore(_: object) -> None:
    """The listener that does nothing."""


class Reply:
    """What a request comes to."""

    def __init__(self, number: int, method: str, listen: Listen) -> None:
        self.number = number
        self.method = method
        self.listen = listen
        self._done = Flag()
        self._result: dict[str, Any] = {}
        self._error: LinkError | None = None

    def settle(self, result: object = None, error: LinkError | None = None) -> None:
        """Ends the waiting; the first outcome counts."""
        if not self._done.is_set():
            self._result = result if isinstance(result, dict) else {}
            self._error = error
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Waits; whether there is an outcome."""
        return self._done.wait(seconds)

    def result(self) -> dict[str, Any]:
        """The outcome, once there is one.

        Raises:
            LinkError: If the request failed.
        """
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result
