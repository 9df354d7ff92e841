"""The worker that the panel and the algorithms share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from qgis.core import Qgis, QgsMessageLog

from geochg_qgis.link.client import HELLO_S, Client
from geochg_qgis.link.errors import LinkError, SetupError
from geochg_qgis.link.interpreters import with_geochg
from geochg_qgis.settings import own_environment, remember, remembered

LOG = "geochg"
"""The tab of QGIS's log."""


def log(text: str, level: Qgis.MessageLevel = Qgis.MessageLevel.Info) -> None:
    """Writes a line to QGIS's log; any thread may."""
    QgsMessageLog.logMessage(text, LOG, level, notifyUser=False)


class Connection:
    """Starts the worker when it is first needed, and again after it died.

    Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: Client | None = None

    def client(self, is_cancelled: Callable[[], bool] = bool) -> Client:
        """A worker that answers. Blocks while it starts: not for the main thread.

        Raises:
            LinkError: If there is none.
        """
        with self._lock:
            if self._client is None or not self._client.is_alive:
                self._client = self._started(is_cancelled)
            return self._client

    @property
    def hello(self) -> dict[str, Any]:
        """What the worker said of itself; empty before it is there."""
        client = self._client
        return client.hello if client is not None and client.is_alive else {}

    @property
    def running(self) -> Client | None:
        """The worker, if there is one."""
        return self._client

    def use(self, python: Path) -> None:
        """Takes another interpreter from now on."""
        remember("python", str(python))
        self.close_soon()

    def close_soon(self) -> None:
        """Ends the worker without waiting for it."""
        client, self._client = self._client, None
        if client is not None:
            Thread(target=client.close, daemon=True).start()

    def close(self) -> None:
        """Ends the worker and waits until it is gone; for when QGIS or the plugin ends."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _started(self, is_cancelled: Callable[[], bool]) -> Client:
        chosen = remembered("python")
        candidates = [Path(chosen)] if chosen else list(with_geochg(own_environment()))
        failure: LinkError = SetupError(
            "no Python with geochg was found", "choose or install one on the set-up page"
        )
        for python in candidates:
            client = Client(python, on_log=log)
            try:
                hello = client.start(HELLO_S, is_cancelled)
            except LinkError as error:
                log(f"{python}: {error}\n{error.detail}", Qgis.MessageLevel.Warning)
                failure = error
                continue
            log(f"{python}: geochg {hello.get('geochg')} (process {hello.get('pid')})")
            return client
        raise failure
