"""The widget that lists the runs that wait for those before them."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.panel.row_group_widget import RowGroupWidget
from geochg_qgis.panel.run_plan import RunPlan


class WaitingRunsWidget(RowGroupWidget):
    """Shows a row for each run that waits; hidden where there is none.

    Signals:
        removed: The user wants a run no more; carries its `RunPlan`.

    Attributes:
        remove_buttons: Buttons of the rows, in their order.
    """

    removed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Waiting runs"), "WaitingRuns", parent)
        self.remove_buttons: list[QPushButton] = []

    def show_plans(self, plans: Sequence[RunPlan]) -> None:
        """Lists runs in the order in which they will begin."""
        self.remove_buttons = [self._remove_button(plan) for plan in plans]
        self.show_rows(
            self.row(plan.title, plan.output, button)
            for plan, button in zip(plans, self.remove_buttons)
        )

    def _remove_button(self, plan: RunPlan) -> QPushButton:
        button = self.button(
            tr("Remove"), tr("Takes this run out; nothing of it is done yet"), plan.output.name
        )
        button.clicked.connect(lambda: self.removed.emit(plan))
        return button
