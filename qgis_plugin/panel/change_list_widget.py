"""The widget with the list of changes: in step with the map, reviewed by keys or clicks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from qgis.core import QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QFormLayout, QLineEdit, QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeReader, ChangeRecord, changes_of
from geochg_qgis.layers.result_fields import ACCEPTED, REJECTED
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.change_count import count_text
from geochg_qgis.panel.change_detail_widget import ChangeDetailWidget
from geochg_qgis.panel.change_table_model import ChangeTableModel, state_texts
from geochg_qgis.panel.change_table_widget import ChangeTableWidget
from geochg_qgis.panel.confidence_slider_widget import ConfidenceSliderWidget
from geochg_qgis.panel.cutouts_widget import least_side
from geochg_qgis.panel.layouts import choice_box, column_layout, name_widget, row_layout
from geochg_qgis.panel.record_list_widget import RecordListWidget
from geochg_qgis.panel.review_actions import ReviewActions
from geochg_qgis.panel.shape_controller import ShapeController

_NEEDS_CHOICE = ("accept", "reject", "clear", "label", "cut", "merge")


class ChangeListWidget(RecordListWidget):
    """Shows the changes of one result.

    Args:
        iface: Interface of QGIS.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
    """

    def __init__(
        self,
        iface: QgisInterface,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(iface, show_error, parent, "GeochgSwipe")
        self.reader = ChangeReader(self)
        self.filter = QLineEdit(self)
        self.states = choice_box(self, state_texts())
        self.confidence = ConfidenceSliderWidget(show_error, self)
        self.model = ChangeTableModel(self)
        self.table = ChangeTableWidget(self.model, self)
        self.detail = ChangeDetailWidget(self)
        self.cutouts = self.detail.cutouts
        self.tables = QPushButton(tr("Tables…"), self)
        self.report = QPushButton(tr("Report"), self)
        self.shapes = ShapeController(iface, self.review, show_error, self)
        self.commands = ReviewActions(self._slots(), self)
        self._lay_out()
        self._name_widgets()
        self.filter.textChanged.connect(self.model.set_filter_text)
        self.states.currentIndexChanged.connect(
            lambda _: self.model.set_state(self.states.currentData())
        )
        self.confidence.moved.connect(self.model.set_least_confidence)
        self.begin()

    def decide(self, review: str | None) -> None:
        """Accepts or rejects the chosen changes and goes on, or (None) resets them."""
        changes = self.records_to_decide(goes_on=review is not None)
        self.review.decide(changes, review)

    def relabel(self, name: str) -> None:
        """Accepts the chosen changes as those of another class, and goes on."""
        self.review.relabel(self.records_to_decide(goes_on=True), name)

    def layers(self) -> list[QgsVectorLayer]:
        """The results of the project."""
        return results_in_project()

    def records_of(self, layer: QgsVectorLayer, features: Collection[int]) -> list[ChangeRecord]:
        """The changes with these ids, read at once."""
        return changes_of(layer, features)

    def set_users(self, layer: QgsVectorLayer | None) -> None:
        """Tells what works on the result which one it is."""
        for user in (self.shapes, self.model, self.commands):
            user.set_layer(layer)

    def show_record(self, record: Any | None) -> None:  # noqa: ANN401
        """Shows what is known of a change below the list."""
        if record is None:
            self.detail.clear()
        else:
            self.detail.show_change(record)

    def enabled_actions(self, *, has_choice: bool) -> dict[str, bool]:
        """What can be done with the chosen changes; the buttons of the result go along."""
        has_layer = self.layer is not None
        for button in (self.tables, self.report):
            button.setEnabled(has_layer)
        return {**dict.fromkeys(_NEEDS_CHOICE, has_choice), "draw": has_layer}

    def count_text(self, *, is_reading: bool) -> str:
        """How many changes are listed, hidden and undecided."""
        return count_text(self.layer, self.model, is_reading=is_reading)

    def context_side(self, image: QgsRasterLayer) -> float:
        """The least side of a cutout in units of an image's CRS."""
        return least_side(image)

    def follow_filter(self) -> None:
        """Shows the slider as the filter has it, and reads the changes anew."""
        self.confidence.show_filter(self.layer)
        self.read_records()

    def close_down(self) -> None:
        """Ends the swipe and stops reading and watching the result."""
        super().close_down()
        self.confidence.close_down()

    def _slots(self) -> dict[str, Callable[..., object]]:
        return {
            "accept": lambda: self.decide(ACCEPTED),
            "reject": lambda: self.decide(REJECTED),
            "clear": lambda: self.decide(None),
            "relabel": self.relabel,
            "next": self.go_to_next,
            "undo": self.review.undo,
            "redo": self.review.redo,
            "draw": self.shapes.draw,
            "cut": lambda: self.shapes.cut(self.selected_features()),
            "merge": lambda: self.shapes.merge(self.selected_features()),
        }

    def _lay_out(self) -> None:
        form = QFormLayout()
        for text, widget, row in (
            (tr("Result"), self.results, row_layout(self.results, self.swipe)),
            (tr("At least"), self.confidence.slider, self.confidence),
        ):
            form.addRow(self.set_label_of(text, widget), row)
        self.buttons, grid = self.commands.buttons(self)
        filters = row_layout(self.filter, self.states)
        counts = row_layout(self.count, self.tables, self.report)
        items = (form, filters, self.table, self.detail, counts, grid)
        column_layout(self, *items, tallest=self.table)
        above = (self.results, self.swipe, self.confidence.slider, self.filter, self.states)
        widgets = (*above, self.table, self.tables, self.report, *self.buttons.values())
        for former, widget in zip(widgets, widgets[1:]):
            QWidget.setTabOrder(former, widget)

    def _name_widgets(self) -> None:
        self.filter.setPlaceholderText(tr("Filter: class, change or words of the caption"))
        self.filter.setClearButtonEnabled(True)
        for widget, name, label, tip in (
            (self.results, "Result", tr("Result"), tr("The result whose changes are listed")),
            (self.filter, "Filter", tr("Filter"), tr("List only changes that have these words")),
            (self.states, "States", tr("Shown changes"), tr("List only changes of one state")),
            (self.table, "Table", tr("Changes"), tr("The changes; keys as in the menu")),
            (self.tables, "Tables", tr("Tables"), tr("Sums of the changes, also by zone")),
            (self.report, "Report", tr("Report"), tr("Makes a page of the result and opens it")),
            (self.count, "Count", tr("Number of changes"), tr("How many changes are listed")),
        ):
            name_widget(widget, f"GeochgChanges{name}", label, tip)
