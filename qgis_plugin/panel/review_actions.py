"""The actions of a review with their keys, for the list, its menu and the map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from geochg_qgis.formatting import as_tip, class_title
from geochg_qgis.i18n import tr
from geochg_qgis.layers.style import layer_colors

_LEAST_BUTTON_PX, _GAP_PX = 48, 4
_MOST_NUMBER_KEYS = 9
_ROWS = (
    ("accept", "reject", "label", "next"),
    ("undo", "redo", "draw", "cut", "merge"),
)


class _Action(NamedTuple):
    """Name, text with its mnemonic, key, and what it does in words."""

    name: str
    text: str
    key: str
    tip: str


# Mnemonics are letters that no menu of QGIS has.
def _actions() -> tuple[_Action, ...]:
    return (
        _Action("accept", tr("&Accept"), "A", tr("Accept the chosen changes and go on")),
        _Action("reject", tr("Rejec&t"), "R", tr("Reject the chosen changes and go on")),
        _Action("clear", tr("Reset"), "C", tr("Take the decision on the chosen changes back")),
        _Action("next", tr("&Next"), "N", tr("Go to the next change that is not decided")),
        _Action("undo", tr("&Undo"), "U", tr("Undo the last decision or edit")),
        _Action("redo", tr("Redo"), "Shift+U", tr("Redo what was undone last")),
        _Action("draw", tr("Draw"), "D", tr("Draw a change that the model missed")),
        _Action("cut", tr("Cut"), "T", tr("Cut the chosen change along a line that you draw")),
        _Action("merge", tr("Mer&ge"), "M", tr("Merge the chosen changes into one")),
    )


class ReviewActions:
    """The actions, which the list and the map take keys for.

    Args:
        slots: What each action does, by its name; `relabel` is given a class.
        parent: Widget that the menus belong to.

    Attributes:
        menu: All actions, for the list.
        classes: The classes, for relabelling.
        actions: Actions by name.
    """

    def __init__(self, slots: dict[str, Callable[..., object]], parent: QWidget) -> None:
        self.menu, self.classes = QMenu(parent), QMenu(tr("La&bel"), parent)
        self._parent = parent
        self.actions: dict[str, Any] = {}
        for action in _actions():
            self._add(self.menu.addAction(action.text), action, slots[action.name])
        self._relabel = slots["relabel"]
        self.set_layer(None)
        label = _Action("label", tr("La&bel"), "L", tr("Accept the changes as another class"))
        self._add(self.menu.addAction(tr("La&bel…")), label, self._show_classes)
        self._anchor: QWidget = parent

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Offers the classes of a result for relabelling."""
        self.classes.clear()
        for number, name in enumerate(layer_colors(layer), start=1):
            text = class_title(name).replace("&", "&&")
            # With the key 1 for 10 too, neither class would be chosen by it.
            is_key = number <= _MOST_NUMBER_KEYS
            entry = self.classes.addAction(f"&{number} {text}" if is_key else text)
            entry.setObjectName(f"GeochgLabel_{name}")
            entry.triggered.connect(lambda _, name=name: self._relabel(name))

    def buttons(self, parent: QWidget) -> tuple[dict[str, QPushButton], QVBoxLayout]:
        """Buttons of the actions by name, and the rows that they lie in."""
        buttons, rows = {}, QVBoxLayout()
        for names in _ROWS:
            row = QHBoxLayout()
            row.setSpacing(_GAP_PX)
            for name in names:
                buttons[name] = self._button(name, parent)
                row.addWidget(buttons[name])
            rows.addLayout(row)
        return buttons, rows

    def _button(self, name: str, parent: QWidget) -> QPushButton:
        """A button for an action, as narrow as the panel needs it."""
        action = self.actions[name]
        button = QPushButton(action.text(), parent)
        button.setObjectName(f"Geochg{name.capitalize()}Button")
        button.setAccessibleName(action.text().replace("&", ""))
        button.setToolTip(action.toolTip())
        button.setMinimumWidth(_LEAST_BUTTON_PX)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _: action.trigger())
        button.setEnabled(action.isEnabled())
        action.changed.connect(lambda: button.setEnabled(action.isEnabled()))
        if name == "label":
            self._anchor = button
        return button

    def add_to(self, widget: QWidget) -> None:
        """Lets a widget and those in it take the keys."""
        for action in self.actions.values():
            widget.addAction(action)

    def remove_from(self, widget: QWidget) -> None:
        """Takes the keys from a widget."""
        for action in self.actions.values():
            widget.removeAction(action)

    def set_enabled(self, enabled: dict[str, bool]) -> None:
        """Enables actions, by name."""
        for name, is_enabled in enabled.items():
            self.actions[name].setEnabled(is_enabled)

    def _add(self, entry: Any, action: _Action, slot: Callable[[], object]) -> None:  # noqa: ANN401
        entry.setObjectName(f"Geochg{action.name.capitalize()}")
        entry.setShortcut(action.key)
        entry.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        entry.setToolTip(as_tip(f"{action.tip} ({action.key})"))
        entry.setStatusTip(action.tip)
        entry.triggered.connect(lambda _: slot())
        self.actions[action.name] = entry

    def _show_classes(self) -> None:
        self.classes.popup(self._anchor.mapToGlobal(self._anchor.rect().topLeft()))
