"""Labels, choice boxes and layouts that the panel's widgets share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QDialogButtonBox,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPlainTextEdit,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.formatting import as_tip
from geochg_qgis.i18n import tr

_NARROW_PX = 80
_DIRECT = Qt.FindChildOption.FindDirectChildrenOnly


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


def name_file_widget(widget: QgsFileWidget, name: str, label: str, tip: str) -> None:
    """Names a widget for a path, its line and its button; a tip of the line's own stays."""
    name_widget(widget, name, label, tip)
    line = widget.lineEdit()
    name_widget(line, f"{name}Line", label, "")
    line.setToolTip(as_tip(tip))
    # The widget itself takes the tip away with each path.
    widget.fileChanged.connect(lambda path: line.setToolTip(as_tip(path or tip)))
    widget.setFocusProxy(line)
    for button in widget.findChildren(QToolButton, options=_DIRECT):
        name_widget(button, f"{name}Button", f"{label}: {tr('browse')}", tr("Opens a browser"))


def name_dialog_buttons(box: QDialogButtonBox, name: str, tips: Mapping[str, str]) -> None:
    """Names the standard buttons of a dialog, by kinds such as `Ok`."""
    # Not every theme of Qt underlines a letter of them.
    texts = {"Ok": tr("&OK"), "Cancel": tr("&Cancel"), "Close": tr("&Close")}
    for kind, tip in tips.items():
        button = box.button(getattr(QDialogButtonBox.StandardButton, kind))
        button.setText(texts[kind])
        name_widget(button, f"{name}{kind}", button.text().replace("&", ""), tip)


def set_choices(box: QComboBox, items: Iterable[tuple[object, object]]) -> None:
    """Replaces the names of an editable box and their tool tips; the text in it stays."""
    text = box.currentText()
    box.blockSignals(True)
    box.clear()
    for row, (name, tip) in enumerate(items):
        box.addItem(str(name))
        # Tool tip role by number: Qt 5 and Qt 6 put its name in different places.
        box.setItemData(row, as_tip(tip) if tip else "", 3)
    box.setEditText(text)
    box.blockSignals(False)


def set_focus_order(parent: QWidget) -> None:
    """Lets Tab go through the widgets of a parent as they are laid out: from top to bottom."""
    widgets = list(_focusable_widgets(parent))
    for first, second in zip(widgets, widgets[1:]):
        QWidget.setTabOrder(first, second)


def _focusable_widgets(parent: QWidget) -> Iterator[QWidget]:
    """The widgets that take the focus, in the order of their layouts."""
    widgets = list(_laid_out(parent.layout()))
    if isinstance(parent, QGroupBox):
        # The button that folds it up lies outside its layout.
        yield from parent.findChildren(QToolButton, options=_DIRECT)
    for widget in widgets:
        proxy = widget.focusProxy()
        if widget.focusPolicy() != Qt.FocusPolicy.NoFocus and proxy is None:
            yield widget
        is_whole = isinstance(widget, (QAbstractSpinBox, QComboBox, QAbstractItemView))
        if not is_whole and not isinstance(widget, QPlainTextEdit):
            yield from _focusable_widgets(widget)


def _laid_out(layout: QLayout | None) -> Iterator[QWidget]:
    """The widgets of a layout and of those within it, in their order."""
    for index in range(layout.count() if layout is not None else 0):
        item = layout.itemAt(index)
        if item.widget() is not None:
            yield item.widget()
        elif item.layout() is not None:
            yield from _laid_out(item.layout())


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
    if parent is not None:
        # The mnemonic of a label before the row.
        parent.setFocusProxy(first)
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
    # The widgets in it take the focus, and are scrolled to then.
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    page.setContentsMargins(6, 6, 6, 6)
    area.setWidget(page)
    return area


def separator() -> QFrame:
    """A horizontal line between widgets."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line
