"""Actions with keys that a list, its menu, its buttons and the map share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from geochg_qgis.formatting import as_tip, class_title
from geochg_qgis.i18n import tr

_LEAST_BUTTON_PX, _GAP_PX = 48, 4
MOST_NUMBER_KEYS = 9


class KeyAction(NamedTuple):
    """Name, text with its mnemonic, key, and what it does in words."""

    name: str
    text: str
    key: str
    tip: str


class KeyActions:
    """Actions of a list, for which it and the map take keys.

    Args:
        actions: The actions, in the order of the menu.
        rows: Names of the actions that have buttons, row by row.
        slots: What each action does, by its name.
        parent: Widget that the menu belongs to.
        prefix: What the names of widgets and actions begin with.

    Attributes:
        menu: All actions, for the list.
        actions: Actions by name.
    """

    def __init__(
        self,
        actions: Iterable[KeyAction],
        rows: Sequence[Sequence[str]],
        slots: dict[str, Callable[..., object]],
        parent: QWidget,
        prefix: str = "Geochg",
    ) -> None:
        self.menu = QMenu(parent)
        self.actions: dict[str, Any] = {}
        self._parent, self._rows, self._prefix = parent, rows, prefix
        self._buttons: dict[str, QPushButton] = {}
        for action in actions:
            self.add(action, slots[action.name])

    def add(self, action: KeyAction, slot: Callable[[], object]) -> None:
        """Adds an action to the menu."""
        entry: Any = self.menu.addAction(action.text)
        entry.setObjectName(f"{self._prefix}{action.name.capitalize()}")
        entry.setShortcut(action.key)
        entry.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        entry.setToolTip(as_tip(f"{action.tip} ({action.key})"))
        entry.setStatusTip(action.tip)
        entry.triggered.connect(lambda _: slot())
        self.actions[action.name] = entry

    def buttons(self, parent: QWidget) -> tuple[dict[str, QPushButton], QVBoxLayout]:
        """Buttons of the actions by name, and the rows that they lie in."""
        rows = QVBoxLayout()
        for names in self._rows:
            row = QHBoxLayout()
            row.setSpacing(_GAP_PX)
            for name in names:
                self._buttons[name] = self._button(name, parent)
                row.addWidget(self._buttons[name])
            rows.addLayout(row)
        return self._buttons, rows

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

    def pop_up(self, menu: QMenu, name: str) -> None:
        """Shows a menu at the button of an action."""
        anchor = self._buttons.get(name, self._parent)
        menu.popup(anchor.mapToGlobal(anchor.rect().topLeft()))

    def _button(self, name: str, parent: QWidget) -> QPushButton:
        """A button for an action, as narrow as the panel needs it."""
        action = self.actions[name]
        button = QPushButton(action.text(), parent)
        button.setObjectName(f"{self._prefix}{name.capitalize()}Button")
        button.setAccessibleName(action.text().replace("&", ""))
        button.setToolTip(action.toolTip())
        button.setMinimumWidth(_LEAST_BUTTON_PX)
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda _: action.trigger())
        button.setEnabled(action.isEnabled())
        action.changed.connect(lambda: button.setEnabled(action.isEnabled()))
        return button


def shared_actions(next_tip: str) -> dict[str, KeyAction]:
    """The actions by name that every list of decisions has.

    Args:
        next_tip: What `next` does, in words.
    """
    return {
        "next": KeyAction("next", tr("&Next"), "N", next_tip),
        "undo": KeyAction("undo", tr("&Undo"), "U", tr("Undo the last decision or edit")),
        "redo": KeyAction("redo", tr("Redo"), "Shift+U", tr("Redo what was undone last")),
    }


def fill_class_menu(
    menu: QMenu, names: Iterable[str], choose: Callable[[str], object], prefix: str
) -> None:
    """Fills a menu with classes, the first of which have their number as key.

    Args:
        menu: The menu, which is emptied.
        names: The classes.
        choose: Function that is given the chosen class.
        prefix: What the names of the entries begin with.
    """
    menu.clear()
    for number, name in enumerate(names, start=1):
        text = class_title(name).replace("&", "&&")
        # With the key 1 for 10 too, neither class would be chosen by it.
        entry = menu.addAction(f"&{number} {text}" if number <= MOST_NUMBER_KEYS else text)
        entry.setObjectName(f"{prefix}_{name}")
        entry.triggered.connect(lambda _, name=name: choose(name))
