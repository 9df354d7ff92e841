"""The widget with the chosen change: its cutouts, and what is known of it."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QWidget

from geochg_qgis.formatting import class_title, formatted_area, formatted_share
from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeRecord
from geochg_qgis.panel.change_table_model import cover_transition
from geochg_qgis.panel.cutouts_widget import CutoutsWidget
from geochg_qgis.panel.layouts import column_layout, name_widget, plain_label


class ChangeDetailWidget(QWidget):
    """Shows one change: before and after, class, ground, area, confidence and caption."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cutouts = CutoutsWidget(self)
        self.facts = plain_label(self, is_selectable=True)
        self.caption = plain_label(self, is_selectable=True)
        name_widget(
            self.facts, "GeochgFacts", tr("Facts of the change"), tr("The change that is chosen")
        )
        name_widget(
            self.caption, "GeochgCaption", tr("Caption"), tr("What the model says of the change")
        )
        column_layout(self, self.cutouts, self.facts, self.caption)

    def show_change(self, change: ChangeRecord) -> None:
        """Shows what is known of a change; its cutouts are shown by `cutouts`."""
        self.facts.setText(facts_of(change))
        self.facts.setVisible(True)
        self.caption.setText(change.caption)
        self.caption.setVisible(bool(change.caption))

    def clear(self) -> None:
        """Shows no change; its cutouts are cleared by themselves."""
        for label in (self.facts, self.caption):
            label.clear()
            label.setVisible(False)


def facts_of(change: ChangeRecord) -> str:
    """A line such as `Building appeared, low plants → building, 2.00 ha, 53 % sure`."""
    kind = f"{class_title(change.name)} {tr(change.change)}"
    parts = [
        kind[:1].upper() + kind[1:],
        cover_transition(change),
        formatted_area(change.area_m2),
        ""
        if change.confidence is None
        else tr("{} sure").format(formatted_share(change.confidence)),
    ]
    return ", ".join(part for part in parts if part)
