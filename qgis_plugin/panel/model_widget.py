"""The widget in which the model is chosen, by name or by its folder, with its adapter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import as_tip
from geochg_qgis.i18n import tr
from geochg_qgis.panel.layouts import (
    choice_box,
    column_layout,
    name_widget,
    plain_label,
    row_layout,
    set_choices,
)
from geochg_qgis.panel.model_dialog import ModelDialog
from geochg_qgis.settings import store_setting, stored_setting

_SETTING = "model_folders"
_MOST_FOLDERS = 8


class ModelWidget(QWidget):
    """Shows the models by name, those of folders that were taken last, and the adapter if any.

    Args:
        connection: Connection to the worker.
        parent: Parent widget.

    Signals:
        changed: Another model or adapter was chosen.
    """

    changed = pyqtSignal()

    def __init__(self, connection: Connection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._connection = connection
        self._models: list[tuple[str, str]] = [("builtin", "")]
        self._adapter = ""
        self.dialog: ModelDialog | None = None
        self.names = choice_box(self, is_editable=True)
        self.browse = QPushButton(tr("Browse…"), self)
        self.adapter_row, self.adapter_label = QWidget(self), plain_label(self)
        self.remove_adapter = QPushButton(tr("Remove"), self.adapter_row)
        row_layout(self.adapter_label, self.remove_adapter, parent=self.adapter_row)
        column_layout(self, row_layout(self.names, self.browse), self.adapter_row)
        names_tip = tr(
            "The change model; NAME or NAME:SOURCE, such as deltavlm:FOLDER or openai:URL#NAME"
        )
        browse_tip = tr("Chooses the folder of a model or an adapter, and shows what it can do")
        remove_tip = tr("Uses the model without this adapter")
        name_widget(self.names, "GeochgModel", tr("Model"), names_tip)
        name_widget(self.browse, "GeochgBrowseModel", tr("Choose a model folder"), browse_tip)
        name_widget(self.remove_adapter, "GeochgNoAdapter", tr("Remove the adapter"), remove_tip)
        self.setFocusProxy(self.names)
        self._list()
        self.names.setEditText("builtin")
        self.set_adapter("")
        self.names.currentTextChanged.connect(lambda _: self.changed.emit())
        self.browse.clicked.connect(self.open_dialog)
        self.remove_adapter.clicked.connect(lambda: self.set_adapter(""))

    @property
    def adapter(self) -> str:
        """Folder of the adapter; empty for none."""
        return self._adapter

    def set_adapter(self, adapter: str) -> None:
        """Puts an adapter on the model, or takes it off."""
        is_other, self._adapter = adapter != self._adapter, adapter
        self.adapter_label.setText(tr("with the adapter {}").format(adapter))
        self.adapter_label.setToolTip(as_tip(adapter))
        self.adapter_row.setVisible(bool(adapter))
        if is_other:
            self.changed.emit()

    def set_models(self, models: Iterable[Mapping[str, Any]]) -> None:
        """Offers the models of the worker that are not broken."""
        usable = (model for model in models if not model.get("broken"))
        self._models = [(str(model["name"]), str(model.get("summary", ""))) for model in usable]
        self._list()

    def take(self, folder: Mapping[str, Any]) -> None:
        """Chooses a model or adapter by what the worker tells of its folder (`model_folder`)."""
        model, options = str(folder.get("model") or ""), folder.get("options") or {}
        adapter = str(options.get("adapter") or "")
        if model and not adapter:
            others = [other for other in taken_models() if other != model]
            store_setting(_SETTING, json.dumps([model, *others][:_MOST_FOLDERS]))
            self._list()
        if model:
            self.names.setEditText(model)
        self.set_adapter(adapter)

    def open_dialog(self) -> ModelDialog:
        """Opens the dialog in which a folder is chosen."""
        if self.dialog is None:
            self.dialog = ModelDialog(self._connection, self.window())
            self.dialog.taken.connect(self.take)
        self.dialog.open()
        return self.dialog

    def _list(self) -> None:
        folders = [(model, tr("A model folder")) for model in taken_models()]
        set_choices(self.names, [*self._models, *folders])


def taken_models() -> list[str]:
    """The models of folders that were taken, the last first."""
    try:
        models = json.loads(stored_setting(_SETTING, "[]"))
    except ValueError:
        return []
    return [model for model in models if isinstance(model, str)] if isinstance(models, list) else []
