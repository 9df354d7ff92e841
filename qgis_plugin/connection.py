"""The worker that the panel and the algorithms share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from qgis.core import Qgis, QgsMessageLog

from geochg_qgis.link.client import HELLO_S, Client
from geochg_qgis.link.errors import Cancelled, LinkError, SetupError
from geochg_qgis.link.interpreters import refuse_qgis
from geochg_qgis.link.protocol import OF_OLDER_WORKERS
from geochg_qgis.link.pythons import with_geochg
from geochg_qgis.link_words import worded
from geochg_qgis.panel.markup import as_log_markup
from geochg_qgis.settings import own_environment, remember, remembered, this_system
from geochg_qgis.words import tr

LOG = "geochg"
"""The tab of QGIS's log."""


def log(text: str, level: Qgis.MessageLevel = Qgis.MessageLevel.Info) -> None:
    """Writes a line to QGIS's log, which reads it as markup; any thread may."""
    QgsMessageLog.logMessage(as_log_markup(text), LOG, level, notifyUser=False)


def greeted(chosen: str, is_cancelled: Callable[[], bool] = bool) -> Client:
    """A worker that has said what it is. Blocks while it starts: not for the main thread.

    Args:
        chosen: The interpreter to start; those that may hold geochg when empty.
        is_cancelled: Asked while waiting.

    Raises:
        LinkError: If there is none.
    """
    system = this_system()
    candidates = [Path(chosen)] if chosen else with_geochg(own_environment(), system)
    failure: LinkError = SetupError(
        tr("No Python with geochg was found"), tr("choose or install one on the set-up page")
    )
    for python in candidates:
        client = Client(python, on_log=log)
        try:
            refuse_qgis(python, system)
            hello = client.start(HELLO_S, is_cancelled)
        except LinkError as error:
            failure = worded(error)
            log(f"{python}: {failure}\n{failure.detail}", Qgis.MessageLevel.Warning)
            if isinstance(error, Cancelled):
                break
            continue
        log(f"{python}: geochg {hello.get('geochg')} (process {hello.get('pid')})")
        return client
    raise failure


class Connection:
    """Starts the worker when it is first needed, and again after it died.

    Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: Client | None = None
        self._chosen = ""
        self._retired: list[Client] = []
        self._opened: dict[tuple[str, bool], bool] = {}

    def client(self, is_cancelled: Callable[[], bool] = bool) -> Client:
        """A worker that answers. Blocks while it starts: not for the main thread.

        Raises:
            LinkError: If there is none.
        """
        with self._lock:
            chosen = remembered("python")
            if self._client is None or not self._client.is_alive or chosen != self._chosen:
                self._retire()
                self._client, self._chosen = greeted(chosen, is_cancelled), chosen
            return self._client

    def opens(
        self, name: str, is_cancelled: Callable[[], bool] = bool, *, allow_remote: bool = False
    ) -> bool:
        """Whether the worker opens a raster. Blocks: not for the main thread.

        Args:
            name: GDAL's.
            is_cancelled: Asked while waiting.
            allow_remote: Whether a file on this machine may name rasters elsewhere.

        Raises:
            LinkError: If there is no worker, or it failed.
        """
        # Asked again where it said no: a file may have been half copied.
        if self._opened.get((name, allow_remote)):
            return True
        asked = {"rasters": [name], **({"allow_remote": True} if allow_remote else {})}
        is_opened = self._asked_whether_it_opens(asked, is_cancelled)
        self._opened[name, allow_remote] = is_opened
        return is_opened

    def is_known_not_to_open(self, name: str) -> bool:
        """Whether the worker said that it does not open a raster."""
        return self._opened.get((name, False)) is False

    @property
    def hello(self) -> dict[str, Any]:
        """What the worker said of itself; empty before it is there."""
        client = self._client
        return client.hello if client is not None and client.is_alive else {}

    @property
    def running(self) -> Client | None:
        """The worker, if there is one."""
        return self._client

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked of the worker, or there is none."""
        client = self._client
        return client is None or client.is_gone or client.is_idle

    def use(self, python: Path) -> None:
        """Takes another interpreter for what is asked from now on.

        What is under way ends with the worker it began with, which leaves then.
        """
        remember("python", str(python))

    def releases(self, folder: Path) -> bool:
        """Ends the workers whose interpreter lies in a folder, unless one has something to do.

        Blocks: not for the main thread.

        Returns:
            Whether none is left.
        """
        with self._lock:
            there = [
                each
                for each in (self._client, *self._retired)
                if each is not None and not each.is_gone and folder in each.python.parents
            ]
            if not all(each.is_idle for each in there):
                return False
            for each in there:
                each.close()
        return True

    def close(self) -> None:
        """Ends the workers and waits until they are gone; for when QGIS or the plugin ends."""
        client, self._client = self._client, None
        for each in (client, *self._retired):
            if each is not None:
                each.close()
        self._retired.clear()

    def _retire(self) -> None:
        client, self._client = self._client, None
        self._opened.clear()
        self._retired = [each for each in self._retired if not each.is_gone]
        if client is not None:
            self._retired.append(client)
            client.retire()

    def _asked_whether_it_opens(
        self, asked: dict[str, Any], is_cancelled: Callable[[], bool]
    ) -> bool:
        client = self.client(is_cancelled)
        try:
            told = client.ask("opens", asked, is_cancelled=is_cancelled)
        except LinkError as error:
            if error.values.get("number") in OF_OLDER_WORKERS:
                return True  # an older geochg: it says so itself when it cannot
            raise
        return bool(told["opens"][0])
