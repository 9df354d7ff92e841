"""A field of the panel for one option of a run, made of what the worker tells of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from geochg_qgis.panel.classes_widget import ClassesWidget
from geochg_qgis.panel.layouts import choice_box, name_widget, row_layout
from geochg_qgis.run_options import RunOption

CLASSES_OPTION = "classes"
"""The option whose field offers what the model knows."""

_GREATEST = 10**9  # numbers above this do not fit into a field
_NARROW_PX = 80
_DECIMALS = {"m²": 0, "px": 0, "m": 2}
_SHARE_DECIMALS, _OTHER_DECIMALS = 2, 8


class OptionField:
    """A widget for an option, and its value.

    Args:
        option: The option.
        parent: The widget that it lies in.
        button: A button beside the field; None for none.

    Attributes:
        row: What lies in a form: the widget, or a row of it and the button.
        widget: A check box, choice box, spin box or line, by the kind of the option.
    """

    def __init__(
        self, option: RunOption, parent: QWidget, button: QPushButton | None = None
    ) -> None:
        self.option = option
        self.widget = self.row = _widget(option, parent)
        name_widget(self.widget, f"GeochgOption_{option.name}", option.label, option.help)
        if button is not None:
            self.row = QWidget(parent)
            row_layout(self.widget, button, parent=self.row)

    @property
    def changed(self) -> Any:  # noqa: ANN401 - a signal of Qt
        """The widget's signal that its value changed."""
        widget = self.widget
        if isinstance(widget, QCheckBox):
            return widget.toggled
        if isinstance(widget, QComboBox):
            return widget.currentIndexChanged
        return widget.editingFinished if isinstance(widget, QLineEdit) else widget.valueChanged

    def value(self) -> Any:  # noqa: ANN401
        """The value, as the worker takes it."""
        widget = self.widget
        if isinstance(widget, QCheckBox):
            return widget.isChecked()
        if isinstance(widget, QComboBox):
            return widget.currentData()
        if isinstance(widget, QLineEdit):
            return self.option.parsed(widget.text())
        stands_for_none = self.option.default is None and widget.value() == widget.minimum()
        return None if stands_for_none else widget.value()

    def set_value(self, value: Any) -> None:  # noqa: ANN401
        """Shows a value that `value` gave."""
        widget = self.widget
        if isinstance(widget, QCheckBox):
            widget.setChecked(bool(value))
        elif isinstance(widget, QComboBox):
            widget.setCurrentIndex(max(widget.findData(value), 0))
        elif isinstance(widget, QLineEdit):
            widget.setText(",".join(value) if isinstance(value, list) else str(value or ""))
        elif value is None:
            widget.setValue(widget.minimum())
        else:
            widget.setValue(value)

    def add_to(self, form: QFormLayout) -> None:
        """Adds a row to a form: a check box tells its label itself."""
        if isinstance(self.widget, QCheckBox):
            form.addRow(self.row)
        else:
            form.addRow(self.option.label, self.row)


def _widget(option: RunOption, parent: QWidget) -> QWidget:
    if option.kind == "boolean":
        box = QCheckBox(option.label, parent)
        box.setChecked(bool(option.default))
        return box
    if option.choices:
        return choice_box(parent, option.choices)
    if option.kind in ("integer", "number"):
        return _spin_box(option, parent)
    line = ClassesWidget(parent) if option.name == CLASSES_OPTION else QLineEdit(parent)
    line.setPlaceholderText(option.usual)
    if isinstance(option.default, str):
        line.setText(option.default)
    return line


def _spin_box(option: RunOption, parent: QWidget) -> QWidget:
    least = 0 if option.least is None else option.least
    greatest = _GREATEST if option.greatest is None else min(option.greatest, _GREATEST)
    is_whole = option.kind == "integer"
    # One of the two: another would lie on the panel, outside its layout.
    box: Any = QSpinBox(parent) if is_whole else QDoubleSpinBox(parent)
    if not is_whole:
        usual = _SHARE_DECIMALS if greatest <= 1 else _OTHER_DECIMALS
        box.setDecimals(_DECIMALS.get(option.unit, usual))
        box.setSingleStep(0.05 if greatest <= 1 else 1)
    # Where None is a value, one below the least stands for it.
    is_optional = option.default is None
    box.setRange(int(least) - 1 if is_optional else least, greatest)
    box.setSuffix(f" {option.unit}" if option.unit else "")
    if is_optional:
        box.setSpecialValueText(option.usual or "-")
    box.setValue(box.minimum() if is_optional else option.default)
    # The words that stand for None may be long: they are seen from their start.
    box.lineEdit().setCursorPosition(0)
    box.valueChanged.connect(partial(_show_start, box))
    box.setMinimumWidth(_NARROW_PX)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return box


def _show_start(box: Any, value: float) -> None:  # noqa: ANN401 - one of two kinds of spin boxes
    """Shows the words that stand for None from their start; where a user types, it stays."""
    if box.specialValueText() and value == box.minimum():
        box.lineEdit().setCursorPosition(0)
