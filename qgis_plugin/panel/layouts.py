"""Labels, choice boxes and layouts that the panel's widgets share."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.formatting import as_tip

_NARROW_PX = 80


def plain_label(parent: QWidget, text: str = "", *, is_selectable: bool = False) -> QLabel:
    """A wrapping label that shows text as it is: that of files and models may look like markup."""
    label = QLabel(text, parent)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if is_selectable:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def name_widget(widget: QWidget, name: str, label: str, tip: str) -> None:
    """Gives a widget its object name, its name for screen readers, and its tool tip."""
    widget.setObjectName(name)
    widget.setAccessibleName(label)
    widget.setToolTip(as_tip(tip))


def choice_box(
    parent: QWidget, items: Iterable[tuple[str, str]] = (), *, is_editable: bool = False
) -> QComboBox:
    """A box of values and their texts, which may become narrower than the longest text."""
    box = QComboBox(parent)
    box.setEditable(is_editable)
    box.setMinimumWidth(_NARROW_PX)
    for value, text in items:
        box.addItem(text, value)
    return box


def row_layout(first: QWidget, *others: QWidget, parent: QWidget | None = None) -> QHBoxLayout:
    """A row without margins, whose first widget takes the remaining width."""
    layout = QHBoxLayout(parent) if parent is not None else QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(first, 1)
    for widget in others:
        layout.addWidget(widget)
    return layout


def column_layout(
    parent: QWidget, *items: QWidget | QLayout, tallest: QWidget | None = None
) -> QVBoxLayout:
    """A column without margins, of widgets and layouts; `tallest` takes the remaining height."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    for item in items:
        if isinstance(item, QLayout):
            layout.addLayout(item)
        else:
            layout.addWidget(item, 1 if item is tallest else 0)
    return layout


def scroll_area(page: QWidget) -> QScrollArea:
    """A scroll area with a page, for small screens."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    page.setContentsMargins(6, 6, 6, 6)
    area.setWidget(page)
    return area


def separator() -> QFrame:
    """A horizontal line between widgets."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
