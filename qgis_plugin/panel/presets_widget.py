"""The widget with presets: options of a run that are saved by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from qgis.PyQt.QtWidgets import QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.panel.layouts import choice_box, name_widget, row_layout
from geochg_qgis.settings import store_setting, stored_setting

_SETTING = "presets"


class PresetsWidget(QWidget):
    """Saves the options under a name, and sets them to those of a name.

    Args:
        read_options: Function that gives the options as they are.
        set_options: Function that is given the options of a preset.
        parent: Parent widget.
    """

    def __init__(
        self,
        read_options: Callable[[], dict[str, Any]],
        set_options: Callable[[Mapping[str, Any]], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._read_options, self._set_options = read_options, set_options
        self.names = choice_box(self, is_editable=True)
        self.names.lineEdit().setPlaceholderText(tr("Name of a preset"))
        self.save, self.remove = QPushButton(tr("Save"), self), QPushButton(tr("Remove"), self)
        for widget, name, label, tip in (
            (self.names, "Presets", tr("Presets"), tr("Sets the options to those of a preset")),
            (self.save, "SavePreset", tr("Save"), tr("Saves the options under this name")),
            (self.remove, "RemovePreset", tr("Remove"), tr("Removes the preset of this name")),
        ):
            name_widget(widget, f"Geochg{name}", label, tip)
        row_layout(self.names, self.save, self.remove, parent=self)
        self._list("")
        self.names.activated.connect(self._use)
        self.save.clicked.connect(self._save)
        self.remove.clicked.connect(self._remove)

    def _use(self, _: int) -> None:
        preset = stored_presets().get(self.names.currentText())
        if preset is not None:
            self._set_options(preset)
            self.names.lineEdit().setCursorPosition(0)

    def _save(self) -> None:
        name = self.names.currentText().strip()
        if name:
            store_setting(_SETTING, json.dumps({**stored_presets(), name: self._read_options()}))
            self._list(name)

    def _remove(self) -> None:
        presets = stored_presets()
        if presets.pop(self.names.currentText().strip(), None) is not None:
            store_setting(_SETTING, json.dumps(presets))
            self._list("")

    def _list(self, name: str) -> None:
        self.names.blockSignals(True)
        self.names.clear()
        self.names.addItems(sorted(stored_presets()))
        self.names.setEditText(name)
        # A long name is seen from its start.
        self.names.lineEdit().setCursorPosition(0)
        self.names.blockSignals(False)


def stored_presets() -> dict[str, dict[str, Any]]:
    """The options of the presets, by their names."""
    try:
        presets = json.loads(stored_setting(_SETTING, "{}"))
    except ValueError:
        return {}
    entries = presets.items() if isinstance(presets, dict) else ()
    return {str(name): values for name, values in entries if isinstance(values, dict)}
