"""The dialog in which the folder of a model or an adapter is chosen, with what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import sentence
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.model_facts import folder_facts, folder_problem
from geochg_qgis.panel.layouts import (
    name_dialog_buttons,
    name_file_widget,
    name_widget,
    plain_label,
    set_focus_order,
)
from geochg_qgis.tasks import BackgroundTask, start_unlisted

_LOOK_MS = 300  # time after the last change of the path until the folder is looked at
_SIZE_PX = 560, 300


class ModelDialog(QDialog):
    """Asks the worker what a folder holds, and lets it be taken when it can be used.

    Args:
        connection: Connection to the worker.
        parent: Parent widget.

    Signals:
        taken: A folder was taken; carries what the worker tells of it.
    """

    taken = pyqtSignal(object)

    def __init__(self, connection: Connection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._task: BackgroundTask | None = None
        self._folder: Mapping[str, Any] = {}
        self.setObjectName("GeochgModel")
        self.setWindowTitle(tr("Choose a model folder"))
        self.resize(*_SIZE_PX)
        self.folder = QgsFileWidget(self)
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setDialogTitle(tr("Choose a model folder"))
        self.facts, self.status = QWidget(self), plain_label(self, is_selectable=True)
        buttons = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(buttons.Ok | buttons.Cancel, parent=self)
        self.use = self.buttons.button(buttons.Ok)
        self.use.setText(tr("&Use it"))
        self._look_later = single_shot_timer(self, _LOOK_MS, self.look)
        self._lay_out()
        self._name()
        self.folder.fileChanged.connect(self._forget)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.finished.connect(lambda _: self._stop_looking())
        self._show({}, tr("Choose the folder of a DeltaVLM, a vision-language model, a CLIP or an "
                          "adapter."))  # fmt: skip

    def look(self) -> None:
        """Asks the worker about the folder."""
        self._stop_looking()
        path = self.folder.filePath().strip()
        if not path:
            return
        self.status.setText(tr("Looking at the folder"))
        task = BackgroundTask(tr("geochg: look"), lambda task: self._ask_worker(task, path))
        task.answered.connect(lambda folder: self._show_folder(task, folder))
        task.failed.connect(lambda error: self._show_error(task, error))
        self._task = start_unlisted(task)

    def _ask_worker(self, task: BackgroundTask, path: str) -> Mapping[str, Any]:
        """What the worker tells of a folder; called on the task's thread."""
        client = self._connection.client(task.isCanceled)
        return client.ask("model_folder", {"path": path}, is_cancelled=task.isCanceled)

    def accept(self) -> None:
        """Takes the folder."""
        if self.use.isEnabled():
            self.taken.emit(self._folder)
            super().accept()

    def fact_texts(self) -> dict[str, str]:
        """What is shown of the folder, by labels."""
        roles, form = QFormLayout.ItemRole, self._facts_form
        return {
            form.itemAt(row, roles.LabelRole).widget().text(): form.itemAt(row, roles.FieldRole)
            .widget()
            .text()
            for row in range(form.rowCount())
        }

    def _forget(self, _: str) -> None:
        """Another folder is written: what is shown is of the former one."""
        self._show({}, "")
        self._look_later.start()

    def _stop_looking(self) -> None:
        self._look_later.stop()
        task, self._task = self._task, None
        if task is not None:
            task.abandon()

    def _show_folder(self, task: BackgroundTask, folder: Mapping[str, Any]) -> None:
        if task is self._task:
            self._show(folder, folder_problem(folder) or tr("It can be used."))

    def _show_error(self, task: BackgroundTask, error: LinkError) -> None:
        if task is not self._task:
            return
        self._show({}, f"{error.message}. {sentence(error.hint)}" if error.hint else error.message)

    def _show(self, folder: Mapping[str, Any], text: str) -> None:
        self._folder = folder
        form = self._facts_form
        while form.rowCount():
            form.removeRow(0)
        for label, fact in folder_facts(folder) if folder else ():
            form.addRow(label, plain_label(self.facts, fact, is_selectable=True))
        self.status.setText(text)
        self.use.setEnabled(bool(folder) and not folder_problem(folder))

    def _lay_out(self) -> None:
        row, caption = QHBoxLayout(), QLabel(tr("&Folder"), self)
        caption.setBuddy(self.folder.lineEdit())
        row.addWidget(caption)
        row.addWidget(self.folder, 1)
        self._facts_form = QFormLayout(self.facts)
        self._facts_form.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.facts)
        layout.addWidget(self.status)
        layout.addStretch(1)
        layout.addWidget(self.buttons)

    def _name(self) -> None:
        tip = tr("The folder of a model or an adapter; nothing is loaded to look at it")
        name_file_widget(self.folder, "GeochgModelFolder", tr("Folder"), tip)
        use_tip = tr("Runs and questions use this model from now on")
        name_widget(self.use, "GeochgUseModel", tr("Use it"), use_tip)
        cancel_tips = {"Cancel": tr("Leaves the model as it was")}
        name_dialog_buttons(self.buttons, "GeochgModel", cancel_tips)
        set_focus_order(self)
