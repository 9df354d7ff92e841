"""The connection to the worker, which the panel and the algorithms share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from qgis.core import Qgis, QgsMessageLog

from geochg_qgis.formatting import as_log_markup
from geochg_qgis.i18n import tr
from geochg_qgis.link.client import HELLO_S, WorkerClient
from geochg_qgis.link.errors import Cancelled, LinkError, SetupError
from geochg_qgis.link.interpreters import check_not_qgis
from geochg_qgis.link.protocol import OLDER_WORKER_CODES
from geochg_qgis.link.python_search import pythons_with_geochg
from geochg_qgis.link_messages import translated_error
from geochg_qgis.settings import own_environment, store_setting, stored_setting, this_system

LOG = "geochg"
"""Name of the tab in QGIS's log."""


def log(text: str, level: Qgis.MessageLevel = Qgis.MessageLevel.Info) -> None:
    """Writes a text to QGIS's log, which reads it as markup; for any thread."""
    QgsMessageLog.logMessage(as_log_markup(text), LOG, level, notifyUser=False)


def start_worker(python_path: str, is_cancelled: Callable[[], bool] = bool) -> WorkerClient:
    """Starts a worker and waits until it answers: not for the main thread.

    Args:
        python_path: Path of the interpreter; when empty, those that may have geochg are tried.
        is_cancelled: Function that is polled while waiting.

    Raises:
        LinkError: If no worker starts.
    """
    system = this_system()
    candidates = (
        [Path(python_path)] if python_path else pythons_with_geochg(own_environment(), system)
    )
    failure: LinkError = SetupError(
        tr("No Python with geochg was found"), tr("choose or install one on the set-up page")
    )
    for python in candidates:
        client = WorkerClient(python, on_log=log)
        try:
            check_not_qgis(python, system)
            hello = client.start(HELLO_S, is_cancelled)
        except LinkError as error:
            failure = translated_error(error)
            log(f"{python}: {failure}\n{failure.detail}", Qgis.MessageLevel.Warning)
            if isinstance(error, Cancelled):
                break
            continue
        log(f"{python}: geochg {hello.get('geochg')} (process {hello.get('pid')})")
        return client
    raise failure


class Connection:
    """Starts the worker when it is first needed, and again after it ended.

    Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: WorkerClient | None = None
        self._python_path = ""
        self._retired: list[WorkerClient] = []
        self._known_rasters: dict[tuple[str, bool], bool] = {}

    def client(self, is_cancelled: Callable[[], bool] = bool) -> WorkerClient:
        """A worker that answers. Blocks while one starts: not for the main thread.

        Raises:
            LinkError: If no worker starts.
        """
        with self._lock:
            path = stored_setting("python")
            if self._client is None or not self._client.is_alive or path != self._python_path:
                self._retire()
                self._client, self._python_path = start_worker(path, is_cancelled), path
            return self._client

    def opens(
        self, name: str, is_cancelled: Callable[[], bool] = bool, *, allow_remote: bool = False
    ) -> bool:
        """Whether the worker opens a raster. Blocks: not for the main thread.

        Args:
            name: GDAL's name of the raster.
            is_cancelled: Function that is polled while waiting.
            allow_remote: Whether a file on this machine may name rasters elsewhere.

        Raises:
            LinkError: If no worker starts, or the request failed.
        """
        # Requested again after a no: the file may have been half copied.
        if self._known_rasters.get((name, allow_remote)):
            return True
        parameters = {"rasters": [name], **({"allow_remote": True} if allow_remote else {})}
        is_opened = self._ask_whether_it_opens(parameters, is_cancelled)
        self._known_rasters[name, allow_remote] = is_opened
        return is_opened

    def is_known_not_to_open(self, name: str) -> bool:
        """Whether the worker answered that it does not open a raster."""
        return self._known_rasters.get((name, False)) is False

    @property
    def hello(self) -> dict[str, Any]:
        """The worker's description of itself; empty before it has started."""
        client = self._client
        return client.hello if client is not None and client.is_alive else {}

    @property
    def current_client(self) -> WorkerClient | None:
        """The worker, if one was started."""
        return self._client

    @property
    def is_idle(self) -> bool:
        """Whether no request is pending, or there is no worker."""
        client = self._client
        return client is None or client.is_gone or client.is_idle

    def use_python(self, python: Path) -> None:
        """Uses another interpreter for all requests from now on.

        The former worker answers its pending requests, then exits.
        """
        store_setting("python", str(python))

    def release_folder(self, folder: Path) -> bool:
        """Ends the workers whose interpreter lies in a folder, unless one has pending requests.

        Blocks: not for the main thread.

        Returns:
            Whether none is left.
        """
        with self._lock:
            clients = [
                client
                for client in (self._client, *self._retired)
                if client is not None and not client.is_gone and folder in client.python.parents
            ]
            if not all(client.is_idle for client in clients):
                return False
            for client in clients:
                client.close()
        return True

    def close(self) -> None:
        """Ends all workers and waits until they have exited; for when QGIS or the plugin ends."""
        current, self._client = self._client, None
        for client in (current, *self._retired):
            if client is not None:
                client.close()
        self._retired.clear()

    def _retire(self) -> None:
        client, self._client = self._client, None
        self._known_rasters.clear()
        self._retired = [former for former in self._retired if not former.is_gone]
        if client is not None:
            self._retired.append(client)
            client.retire()

    def _ask_whether_it_opens(
        self, parameters: dict[str, Any], is_cancelled: Callable[[], bool]
    ) -> bool:
        client = self.client(is_cancelled)
        try:
            answer = client.ask("opens", parameters, is_cancelled=is_cancelled)
        except LinkError as error:
            if error.values.get("number") in OLDER_WORKER_CODES:
                return True  # an older geochg, whose run fails where it does not open the raster
            raise
        return bool(answer["opens"][0])
