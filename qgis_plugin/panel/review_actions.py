"""The actions of a review with their keys, for the list, its menu and the map."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtWidgets import QMenu, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.style import layer_colors
from geochg_qgis.panel.key_actions import KeyAction, KeyActions, fill_class_menu, shared_actions

_ROWS = (
    ("accept", "reject", "label", "next"),
    ("undo", "redo", "draw", "cut", "merge"),
)


# Mnemonics are letters that no menu of QGIS has.
def _actions() -> tuple[KeyAction, ...]:
    shared = shared_actions(tr("Go to the next change that is not decided"))
    return (
        KeyAction("accept", tr("&Accept"), "A", tr("Accept the chosen changes and go on")),
        KeyAction("reject", tr("Rejec&t"), "R", tr("Reject the chosen changes and go on")),
        KeyAction("clear", tr("Reset"), "C", tr("Take the decision on the chosen changes back")),
        *shared.values(),
        KeyAction("draw", tr("Draw"), "D", tr("Draw a change that the model missed")),
        KeyAction("cut", tr("Cut"), "T", tr("Cut the chosen change along a line that you draw")),
        KeyAction("merge", tr("Mer&ge"), "M", tr("Merge the chosen changes into one")),
        KeyAction("label", tr("La&bel…"), "L", tr("Accept the changes as another class")),
    )


class ReviewActions(KeyActions):
    """The actions, which the list and the map take keys for.

    Args:
        slots: What each action does, by its name; `relabel` is given a class.
        parent: Widget that the menus belong to.

    Attributes:
        classes: The classes, for relabelling.
    """

    def __init__(self, slots: dict[str, Callable[..., object]], parent: QWidget) -> None:
        self.classes = QMenu(tr("La&bel"), parent)
        self._relabel = slots["relabel"]
        show_classes = {"label": lambda: self.pop_up(self.classes, "label")}
        super().__init__(_actions(), _ROWS, {**slots, **show_classes}, parent)
        self.set_layer(None)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Offers the classes of a result for relabelling."""
        fill_class_menu(self.classes, layer_colors(layer), self._relabel, "GeochgLabel")
