"""The set-up page: a Python that has geochg, or one made for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection, greeted
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.installing import SIZE_MB, InstallOptions, first_able, install, size_mb
from geochg_qgis.link.pythons import able_to_make_environments
from geochg_qgis.panel.messages import Messages
from geochg_qgis.settings import own_environment, remember, remembered, this_system
from geochg_qgis.tasks import BackgroundTask, start_quietly
from geochg_qgis.words import tr

_SIZE_EVERY_MS = 3000


class SetupDialog(QDialog):
    """Checks an interpreter, or makes an environment and installs geochg into it.

    Signals:
        ready: An interpreter with geochg is in use; what its worker said.
    """

    ready = pyqtSignal(object)

    def __init__(
        self, connection: Connection, messages: Messages, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._connection, self._messages = connection, messages
        self._task: BackgroundTask | None = None
        self._target: Path | None = None
        self.setWindowTitle(tr("Set up geochg"))
        self.resize(640, 620)
        self.python = _file(self, tr("found by itself"))
        self.check_button = QPushButton(tr("Check and use"), self)
        self.base = _file(self, "")
        self.folder = _file(self, "")
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.package = QLineEdit("geochg", self)
        self.package.setToolTip(tr("A name, a wheel, a folder with geochg, or an address for pip"))
        self.proxy = QLineEdit(self)
        self.proxy.setPlaceholderText("http://host:port")
        self.wheels = _file(self, tr("none: from the network"))
        self.wheels.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.without_gpu = QCheckBox(tr("Without CUDA (smaller; for machines without NVIDIA)"))
        self.install_button = QPushButton(tr("Install"), self)
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.bar = QProgressBar(self)
        self.status = QLabel(self)
        self.status.setWordWrap(True)
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.output = QPlainTextEdit(self)
        self.output.setReadOnly(True)
        self.output.setMaximumBlockCount(5000)
        self._sizing = QTimer(self)
        self._sizing.setInterval(_SIZE_EVERY_MS)
        self._lay_out()
        self._connect()
        self._fill()
        self._set_busy(False)

    def check(self) -> None:
        """Starts the chosen interpreter's worker, says what it is, and takes it into use."""
        chosen = self.python.filePath().strip()

        def work(task: BackgroundTask) -> Mapping[str, Any]:
            client = greeted(chosen, task.isCanceled)
            client.close()
            return {**client.hello, "python_path": str(client.python)}

        self._say(tr("checking"))
        self._start(BackgroundTask(tr("geochg: check"), work), self._checked)

    def install(self) -> None:
        """Makes the environment and installs."""
        wheels = self.wheels.filePath().strip()
        options = InstallOptions(
            python=Path(self.base.filePath().strip()),
            folder=Path(self.folder.filePath().strip()),
            package=self.package.text().strip() or "geochg",
            proxy=self.proxy.text().strip(),
            wheels=Path(wheels) if wheels else None,
            without_gpu=self.without_gpu.isChecked(),
        )
        self.output.clear()

        def work(task: BackgroundTask) -> Mapping[str, Any]:
            def tell(line: str) -> None:
                task.tell({"line": line})

            if not self._connection.releases(options.folder):
                raise LinkError(
                    tr("Something is under way in {}").format(options.folder),
                    tr("wait until it is done, or cancel it, then install"),
                )
            python = install(options, tell, task.isCanceled, this_system())
            return {"python_path": str(python)}

        task = BackgroundTask(tr("geochg: install"), work)
        task.told.connect(lambda event: self.output.appendPlainText(str(event["line"])))
        self._target = options.folder
        self._say(tr("installing, about {} MB").format(SIZE_MB))
        self._start(task, lambda result: self._installed(options, result))
        self._sizing.start()

    def cancel(self) -> None:
        """Stops what is under way."""
        if self._task is not None:
            self._task.cancel()
            self._say(tr("stopping"))

    def _start(self, task: BackgroundTask, then: Any) -> None:  # noqa: ANN401
        task.answered.connect(self._end)
        task.answered.connect(then)
        task.failed.connect(self._fail)
        self._task = start_quietly(task)
        self._set_busy(True)

    def _end(self, _: object = None) -> None:
        self._task = None
        self._sizing.stop()
        self._set_busy(False)

    def _fail(self, error: LinkError) -> None:
        self._end()
        self._say(f"{error.message}. {error.hint}")
        if error.detail and error.detail not in self.output.toPlainText():
            self.output.appendPlainText(error.detail)

    def _checked(self, hello: Mapping[str, Any]) -> None:
        python = Path(str(hello["python_path"]))
        is_idle = self._connection.is_idle
        self._connection.use(python)
        self.python.setFilePath(str(python))
        models = [str(model["name"]) for model in hello.get("models", ())]
        text = tr("geochg {0} works, with Python {1} and the models {2}").format(
            hello.get("geochg"), hello.get("python"), ", ".join(models)
        )
        if not is_idle:
            text += ". " + tr("What is under way ends with the worker it began with.")
        self._say(text)
        self.ready.emit(hello)

    def _installed(self, options: InstallOptions, result: Mapping[str, Any]) -> None:
        remember("environment", str(options.folder))
        self.python.setFilePath(str(result["python_path"]))
        self.check()

    def _measure(self) -> None:
        """Says how far the installation is, by what lies on the disk."""
        folder = self._target
        if folder is None:
            return
        task = BackgroundTask(tr("geochg: size"), lambda _: {"mb": size_mb(folder)})
        task.answered.connect(self._sized)
        start_quietly(task)

    def _sized(self, result: Mapping[str, Any]) -> None:
        if self._task is not None:
            self.bar.setRange(0, SIZE_MB)
            self.bar.setValue(min(SIZE_MB, round(result["mb"])))
            self._say(tr("installing, {0:.0f} of about {1} MB").format(result["mb"], SIZE_MB))

    def _say(self, text: str) -> None:
        self.status.setText(text)

    def _set_busy(self, is_busy: bool) -> None:
        for button in (self.check_button, self.install_button):
            button.setEnabled(not is_busy)
        self.cancel_button.setEnabled(is_busy)
        self.bar.setVisible(is_busy)
        self.bar.setRange(0, 0)

    def _fill(self) -> None:
        self.python.setFilePath(remembered("python"))
        # Not here: this looks into many folders, and starts what may be a Python.
        task = BackgroundTask(
            "", lambda _: {"python": first_able(able_to_make_environments(this_system()))}
        )
        task.answered.connect(self._offer)
        start_quietly(task)
        self.folder.setFilePath(str(own_environment()))

    def _offer(self, found: Mapping[str, Any]) -> None:
        if found["python"] is not None and not self.base.filePath():
            self.base.setFilePath(str(found["python"]))

    def _connect(self) -> None:
        self.check_button.clicked.connect(self.check)
        self.install_button.clicked.connect(self.install)
        self.cancel_button.clicked.connect(self.cancel)
        self._sizing.timeout.connect(self._measure)
        self.finished.connect(lambda _: self.cancel())

    def _lay_out(self) -> None:
        use = QGroupBox(tr("Use a Python that has geochg"), self)
        row = QHBoxLayout(use)
        row.addWidget(self.python, 1)
        row.addWidget(self.check_button)
        make = QGroupBox(tr("Or install geochg into an environment of its own"), self)
        form = QFormLayout(make)
        form.addRow(_plain(tr("About {} MB, and more with CUDA.").format(SIZE_MB)))
        form.addRow(tr("Made by"), self.base)
        form.addRow(tr("Folder"), self.folder)
        form.addRow(tr("Package"), self.package)
        form.addRow(tr("Proxy"), self.proxy)
        form.addRow(tr("Folder of wheels"), self.wheels)
        form.addRow(self.without_gpu)
        buttons = QHBoxLayout()
        buttons.addWidget(self.install_button)
        buttons.addWidget(self.cancel_button)
        form.addRow(buttons)
        ends = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, parent=self)
        logs = ends.addButton(tr("Open the log"), QDialogButtonBox.ButtonRole.ActionRole)
        logs.clicked.connect(self._messages.open_log)
        ends.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(
            _plain(tr("geochg runs in a Python of its own; QGIS's Python is never touched."))
        )
        for widget in (use, make, self.bar, self.status):
            layout.addWidget(widget)
        layout.addWidget(self.output, 1)
        layout.addWidget(ends)


def _file(parent: QWidget, hint: str) -> QgsFileWidget:
    widget = QgsFileWidget(parent)
    widget.lineEdit().setPlaceholderText(hint)
    return widget


def _plain(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
