"""A group of rows, each of a text and buttons, which is hidden as long as it has none."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtWidgets import QGroupBox, QPushButton, QVBoxLayout, QWidget

from geochg_qgis.formatting import as_tip
from geochg_qgis.panel.layouts import name_widget, plain_label, row_layout, set_focus_order


class RowGroupWidget(QGroupBox):
    """Shows rows, which are replaced all at once.

    Args:
        title: Title of the group.
        name: Object name.
        parent: Parent widget.
    """

    def __init__(self, title: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.setObjectName(name)
        self._rows: list[QWidget] = []
        self._buttons_made = 0
        self._layout = QVBoxLayout(self)
        self.setVisible(False)

    def show_rows(self, rows: Iterable[QWidget]) -> None:
        """Shows rows in place of the former ones; none hide the group."""
        for row in self._rows:
            self._layout.removeWidget(row)
            row.deleteLater()
        self._rows = list(rows)
        for row in self._rows:
            self._layout.addWidget(row)
        self.setVisible(bool(self._rows))
        page = self.parentWidget()
        if page is not None:
            set_focus_order(page)

    def row(self, text: str, tip: object, *buttons: QPushButton) -> QWidget:
        """A row of a text with its tip, and buttons behind it."""
        row = QWidget(self)
        label = plain_label(row, text)
        label.setToolTip(as_tip(tip))
        row_layout(label, *buttons, parent=row)
        return row

    def button(self, text: str, tip: str, label: str) -> QPushButton:
        """A button of a row; `label` says to screen readers which row it is of."""
        button = QPushButton(text, self)
        self._buttons_made += 1
        name = f"Geochg{self.objectName()}{self._buttons_made}"
        name_widget(button, name, f"{text}: {label}", tip)
        return button
