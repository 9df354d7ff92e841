"""The actions of judging a sample with their keys, for the list, its menu and the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qgis.PyQt.QtWidgets import QMenu, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.panel.key_actions import (
    MOST_NUMBER_KEYS,
    KeyAction,
    KeyActions,
    fill_class_menu,
    shared_actions,
)

_ROWS = (
    ("unchanged", "appeared", "disappeared", "altered"),
    ("undo", "redo", "clear", "next"),
)


# Mnemonics are letters that no menu of QGIS has.
def _actions() -> tuple[KeyAction, ...]:
    shared = shared_actions(tr("Go to the next unit that is not judged"))
    return (
        KeyAction("unchanged", tr("Unchan&ged"), "0", tr("Nothing changed here; go on")),
        KeyAction("appeared", tr("Appeared"), "A", tr("The class appeared here; go on")),
        KeyAction("disappeared", tr("Disappeared"), "D", tr("The class disappeared here; go on")),
        KeyAction("altered", tr("Al&tered"), "T", tr("The class was altered here; go on")),
        KeyAction("clear", tr("Reset"), "C", tr("Take the judgement of the chosen units back")),
        *shared.values(),
        KeyAction("wider", tr("Show more around"), "-", tr("Show more of what is around a unit")),
        KeyAction("closer", tr("Show less around"), "+", tr("Show less of what is around a unit")),
    )


class JudgeActions(KeyActions):
    """The actions, which the list and the map take keys for.

    Args:
        slots: What each action does, by its name; `choose_class` is given the place of a class in
            the list of classes, and `judge` a class and a direction.
        parent: Widget that the menus belong to.

    Attributes:
        classes: The classes, for a direction that is given before one.
    """

    def __init__(self, slots: dict[str, Callable[..., object]], parent: QWidget) -> None:
        self.classes = QMenu(parent)
        super().__init__(_actions(), _ROWS, slots, parent, prefix="GeochgJudge")
        self._names: list[str] = []
        self._judge = slots["judge"]
        choose = slots["choose_class"]
        for number in range(1, MOST_NUMBER_KEYS + 1):
            text = tr("Class {}").format(number)
            action = KeyAction(
                f"class{number}", text, str(number), tr("Choose that class of the list")
            )
            self.add(action, lambda number=number: choose(number))
            # The list of classes names them.
            self.menu.removeAction(self.actions[action.name])

    def set_classes(self, names: Sequence[str]) -> None:
        """Sets the classes that are offered."""
        self._names = list(names)

    def ask_for_class(self, change: str) -> None:
        """Shows the classes; the chosen one is what changed."""
        fill_class_menu(
            self.classes, self._names, lambda name: self._judge(name, change), "GeochgJudgeAs"
        )
        self.pop_up(self.classes, change)
