"""The set-up dialog: use a Python that has geochg, or install it into an environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QTimer, pyqtSignal
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

from geochg_qgis.connection import Connection, start_worker
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.installation import (
    SIZE_MB,
    InstallOptions,
    first_usable_python,
    install,
    size_mb,
)
from geochg_qgis.link.installed_versions import check_versions
from geochg_qgis.link.python_search import pythons_for_environments
from geochg_qgis.link.release import Release
from geochg_qgis.panel.layouts import (
    name_dialog_buttons,
    name_file_widget,
    name_widget,
    plain_label,
    set_focus_order,
)
from geochg_qgis.panel.message_controller import MessageController
from geochg_qgis.settings import own_environment, store_setting, stored_setting, this_system
from geochg_qgis.tasks import BackgroundTask, start_unlisted

_SIZE_INTERVAL_MS = 3000


class SetupDialog(QDialog):
    """Checks an interpreter, or makes an environment and installs geochg into it.

    Signals:
        ready: An interpreter is in use; carries its worker's description of itself.
    """

    ready = pyqtSignal(object)

    def __init__(
        self, connection: Connection, messages: MessageController, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._connection, self._messages = connection, messages
        self._task: BackgroundTask | None = None
        self._target: Path | None = None
        self.setWindowTitle(tr("Set up geochg"))
        self.setObjectName("GeochgSetUp")
        self.resize(640, 620)
        self.python = _file_widget(self, tr("found automatically"))
        self.check_button = QPushButton(tr("Check and &use"), self)
        self.base = _file_widget(self, "")
        self.folder = _file_widget(self, "")
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.package = QLineEdit(self)
        self.package.setPlaceholderText(_own_release(Release.of_plugin()))
        self.larger_models = QCheckBox(
            tr("Lar&ger models too (2 GB or more, versions are not locked)")
        )
        self.proxy = QLineEdit(self)
        self.proxy.setPlaceholderText("http://host:port")
        self.wheels = _file_widget(self, tr("none: from the network"))
        self.wheels.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.without_gpu = QCheckBox(tr("Withou&t CUDA (smaller; for machines without NVIDIA)"))
        self.install_button = QPushButton(tr("&Install"), self)
        self.cancel_button = QPushButton(tr("C&ancel"), self)
        self.bar = QProgressBar(self)
        self.status = plain_label(self)
        self.output = QPlainTextEdit(self)
        self.output.setReadOnly(True)
        self.output.setMaximumBlockCount(5000)
        self._size_timer = QTimer(self)
        self._size_timer.setInterval(_SIZE_INTERVAL_MS)
        self._lay_out()
        self._name_widgets()
        set_focus_order(self)
        self._connect()
        self._fill()
        self._set_busy(False)

    def check(self) -> None:
        """Starts the chosen interpreter's worker, shows its versions, and uses it from now on."""
        path = self.python.filePath().strip()

        def check_worker(task: BackgroundTask) -> Mapping[str, Any]:
            if path:
                check_versions(Path(path), this_system())
            client = start_worker(path, task.isCanceled)
            client.close()
            return {**client.hello, "python_path": str(client.python)}

        self._show_status(tr("checking"))
        self._start(BackgroundTask(tr("geochg: check"), check_worker), self._use_python)

    def install(self) -> None:
        """Makes the environment and installs geochg into it."""
        wheels = self.wheels.filePath().strip()
        options = InstallOptions(
            python=Path(self.base.filePath().strip()),
            folder=Path(self.folder.filePath().strip()),
            package=self.package.text().strip(),
            larger_models=self.larger_models.isChecked(),
            proxy=self.proxy.text().strip(),
            wheels=Path(wheels) if wheels else None,
            without_gpu=self.without_gpu.isChecked(),
        )
        self.output.clear()

        def install_geochg(task: BackgroundTask) -> Mapping[str, Any]:
            def send_line(line: str) -> None:
                task.send_event({"line": line})

            if not self._connection.release_folder(options.folder):
                raise LinkError(
                    tr("Requests are still under way in {}").format(options.folder),
                    tr("wait until they are done, or cancel them, then install"),
                )
            python = install(options, send_line, task.isCanceled, this_system())
            return {"python_path": str(python)}

        task = BackgroundTask(tr("geochg: install"), install_geochg)
        task.event_sent.connect(lambda event: self.output.appendPlainText(str(event["line"])))
        self._target = options.folder
        self._show_status(tr("installing, about {} MB").format(SIZE_MB))
        self._start(task, lambda result: self._use_environment(options, result))
        self._size_timer.start()

    def cancel(self) -> None:
        """Cancels the check or installation."""
        if self._task is not None:
            self._task.cancel()
            self._show_status(tr("stopping"))

    def _start(self, task: BackgroundTask, on_success: Any) -> None:  # noqa: ANN401
        task.answered.connect(self._end)
        task.answered.connect(on_success)
        task.failed.connect(self._fail)
        self._task = start_unlisted(task)
        self._set_busy(True)

    def _end(self, _: object = None) -> None:
        self._task = None
        self._size_timer.stop()
        self._set_busy(False)

    def _fail(self, error: LinkError) -> None:
        self._end()
        self._show_status(f"{error.message}. {error.hint}")
        if error.detail and error.detail not in self.output.toPlainText():
            self.output.appendPlainText(error.detail)

    def _use_python(self, hello: Mapping[str, Any]) -> None:
        python = Path(str(hello["python_path"]))
        is_idle = self._connection.is_idle
        self._connection.use_python(python)
        self.python.setFilePath(str(python))
        models = [str(model["name"]) for model in hello.get("models", ())]
        text = tr("geochg {0} works, with Python {1} and the models {2}").format(
            hello.get("geochg"), hello.get("python"), ", ".join(models)
        )
        if not is_idle:
            text += ". " + tr("Requests under way are finished by the former worker.")
        self._show_status(text)
        self.ready.emit(hello)

    def _use_environment(self, options: InstallOptions, result: Mapping[str, Any]) -> None:
        store_setting("environment", str(options.folder))
        self.python.setFilePath(str(result["python_path"]))
        self.check()

    def _measure(self) -> None:
        """Shows the progress of the installation, by the size of the folder."""
        folder = self._target
        if folder is None:
            return
        task = BackgroundTask(tr("geochg: size"), lambda _: {"mb": size_mb(folder)})
        task.answered.connect(self._show_size)
        start_unlisted(task)

    def _show_size(self, result: Mapping[str, Any]) -> None:
        if self._task is not None:
            self.bar.setRange(0, SIZE_MB)
            self.bar.setValue(min(SIZE_MB, round(result["mb"])))
            self._show_status(
                tr("installing, {0:.0f} of about {1} MB").format(result["mb"], SIZE_MB)
            )

    def _show_status(self, text: str) -> None:
        self.status.setText(text)

    def _set_busy(self, is_busy: bool) -> None:
        for button in (self.check_button, self.install_button):
            button.setEnabled(not is_busy)
        self.cancel_button.setEnabled(is_busy)
        self.bar.setVisible(is_busy)
        self.bar.setRange(0, 0)

    def _fill(self) -> None:
        self.python.setFilePath(stored_setting("python"))
        # In a task: this searches many folders, and starts what may be a Python.
        task = BackgroundTask(
            "", lambda _: {"python": first_usable_python(pythons_for_environments(this_system()))}
        )
        task.answered.connect(self._offer_python)
        start_unlisted(task)
        self.folder.setFilePath(str(own_environment()))

    def _offer_python(self, result: Mapping[str, Any]) -> None:
        if result["python"] is not None and not self.base.filePath():
            self.base.setFilePath(str(result["python"]))

    def _connect(self) -> None:
        self.check_button.clicked.connect(self.check)
        self.install_button.clicked.connect(self.install)
        self.cancel_button.clicked.connect(self.cancel)
        self._size_timer.timeout.connect(self._measure)
        for signal in (self.package.textChanged, self.larger_models.toggled):
            signal.connect(self._offer_options)
        self._offer_options()
        self.finished.connect(lambda _: self.cancel())

    def _offer_options(self, _: object = None) -> None:
        """Larger models come with the plugin's own geochg; what has no torch has no CUDA."""
        is_own = not self.package.text().strip()
        self.larger_models.setEnabled(is_own)
        self.without_gpu.setEnabled(not is_own or self.larger_models.isChecked())

    def _name_widgets(self) -> None:
        for files, name, label, tip in (
            (self.python, "Python", tr("Python that has geochg"), tr("Empty: one is looked for")),
            (self.base, "Base", tr("Made with"), tr("The Python that makes the environment")),
            (self.folder, "Folder", tr("Folder"), tr("The folder of the environment")),
            (self.wheels, "Wheels", tr("Folder of wheels"), tr("Installs without a network")),
        ):
            name_file_widget(files, f"GeochgSetUp{name}", label, tip)
        package_tip = tr(
            "Empty: the geochg of this plugin, with versions that are locked by checksums. Else a "
            "wheel, a folder with geochg, or an address for pip, with what pip finds for it."
        )
        torch_tip = tr("Adds torch and what vision-language models need")
        for widget, name, label, tip in (
            (self.check_button, "Check", tr("Check and use"), tr("Uses this Python if it works")),
            (self.package, "Package", tr("Package"), package_tip),
            (self.proxy, "Proxy", tr("Proxy"), tr("The proxy that pip goes through")),
            (self.larger_models, "Larger", tr("Larger models too"), torch_tip),
            (self.without_gpu, "NoCuda", tr("Without CUDA"), tr("Installs torch for CPUs")),
            (self.install_button, "Install", tr("Install"), tr("Makes the environment")),
            (self.cancel_button, "Cancel", tr("Cancel"), tr("Ends what is under way")),
            (self.output, "Output", tr("Output of pip"), tr("What pip says, in full")),
        ):
            name_widget(widget, f"GeochgSetUp{name}", label, tip)

    def _lay_out(self) -> None:
        use_group = QGroupBox(tr("Use a Python that has geochg"), self)
        row = QHBoxLayout(use_group)
        caption = QLabel(tr("&Python"), self)
        caption.setBuddy(self.python)
        row.addWidget(caption)
        row.addWidget(self.python, 1)
        row.addWidget(self.check_button)
        install_group = QGroupBox(tr("Or install geochg into an environment of its own"), self)
        form = QFormLayout(install_group)
        size = tr("About {} MB. geochg and what it needs are fetched and checked by checksums.")
        form.addRow(plain_label(self, size.format(SIZE_MB)))
        form.addRow(tr("Made &with"), self.base)
        form.addRow(tr("F&older"), self.folder)
        form.addRow(tr("Pac&kage"), self.package)
        form.addRow(tr("Pro&xy"), self.proxy)
        form.addRow(tr("Folder of whee&ls"), self.wheels)
        form.addRow(self.larger_models)
        form.addRow(self.without_gpu)
        buttons = QHBoxLayout()
        buttons.addWidget(self.install_button)
        buttons.addWidget(self.cancel_button)
        form.addRow(buttons)
        dialog_buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, parent=self)
        name_dialog_buttons(dialog_buttons, "GeochgSetUp", {"Close": tr("Closes the window")})
        log_button = dialog_buttons.addButton(
            tr("Op&en the log"), QDialogButtonBox.ButtonRole.ActionRole
        )
        log_tip = tr("Shows what the worker wrote")
        name_widget(log_button, "GeochgOpenLog", tr("Open the log"), log_tip)
        log_button.clicked.connect(self._messages.open_log)
        dialog_buttons.rejected.connect(self.reject)
        text = tr("geochg runs in a Python of its own; QGIS's Python is never touched.")
        layout = QVBoxLayout(self)
        for widget in (plain_label(self, text), use_group, install_group, self.bar, self.status):
            layout.addWidget(widget)
        layout.addWidget(self.output, 1)
        layout.addWidget(dialog_buttons)


def _own_release(release: Release | None) -> str:
    if release is None:
        return tr("a wheel or a folder with geochg")
    if release.is_fetched:
        return tr("geochg {0}, from {1}").format(release.version, release.address)
    return tr("geochg {}, which came with this plugin").format(release.version)


def _file_widget(parent: QWidget, hint: str) -> QgsFileWidget:
    widget = QgsFileWidget(parent)
    widget.lineEdit().setPlaceholderText(hint)
    return widget
