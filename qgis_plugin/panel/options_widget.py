"""The widget with the options of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from geochg_qgis.formatting import as_tip
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.classes_widget import ClassesWidget
from geochg_qgis.panel.layouts import choice_box, column_layout
from geochg_qgis.panel.option_field import CLASSES_OPTION, OptionField
from geochg_qgis.panel.presets_widget import PresetsWidget
from geochg_qgis.run_options import RunOption, run_options

_SHOWN_AT_ONCE = ("min_area_m2",)  # options that are not in the collapsible group
_DESCRIBED = "info"  # the command whose options the description of a pair depends on


class OptionsWidget(QWidget):
    """Shows model, device and least area, and the other options in a collapsible group.

    The fields are made of what the worker tells of its options.

    Signals:
        changed: An option changed that the description of the pair depends on.

    Attributes:
        fields: The fields by the names of their options.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = choice_box(self, is_editable=True)
        self.model.addItem("builtin")
        self.model.setToolTip(
            tr("The change model; NAME or NAME:SOURCE, such as deltavlm:FOLDER or openai:URL#NAME")
        )
        self.device = choice_box(self, is_editable=True)
        self.device.setToolTip(tr("Where the model runs; auto lets the model choose"))
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        self.heatmap = QCheckBox(tr("Also a layer of the probability of change"), self)
        self.output = QgsFileWidget(self)
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoPackage (*.gpkg)")
        self.output.lineEdit().setPlaceholderText(tr("beside the raster, named for it"))
        self.presets = PresetsWidget(self._values, self._set_values, self)
        self.fields: dict[str, OptionField] = {}
        self._options: list[RunOption] = []
        self._capabilities: dict[str, Mapping[str, Any]] = {}
        self._few, self._more = QFormLayout(), QFormLayout()
        self._lay_out()
        self.set_options({})
        for signal in (self.model.currentTextChanged, self.device.currentTextChanged):
            signal.connect(self._emit_changed)
        self.model.currentTextChanged.connect(self._offer_classes)

    def set_options(self, hello: Mapping[str, Any]) -> None:
        """Makes the fields anew where the worker's options are others; values stay.

        Args:
            hello: What the worker said of itself; empty where none runs.
        """
        options = run_options(hello, "analyze")
        if options == self._options:
            return
        values = {name: field.value() for name, field in self.fields.items()}
        for field in self.fields.values():
            form = self._few if field.option.name in _SHOWN_AT_ONCE else self._more
            form.removeRow(field.widget)
        self._options = options
        self.fields = {option.name: OptionField(option, self) for option in options}
        for name, field in self.fields.items():
            field.add_to(self._few if name in _SHOWN_AT_ONCE else self._more)
            if name in values:
                field.set_value(values[name])
            if _DESCRIBED in field.option.commands:
                field.changed.connect(self._emit_changed)
        self._offer_classes()

    def set_models(self, models: Iterable[Mapping[str, Any]]) -> None:
        """Offers the models of the worker that are not broken."""
        model_list = list(models)
        self._capabilities = {
            str(model["name"]): model.get("capabilities") or {} for model in model_list
        }
        self._offer_classes()
        usable = (model for model in model_list if not model.get("broken"))
        _set_choices(self.model, [(model["name"], model.get("summary", "")) for model in usable])

    def _offer_classes(self, *_: object) -> None:
        """Offers the classes of the chosen model."""
        field = self.fields.get(CLASSES_OPTION)
        if field is not None and isinstance(field.widget, ClassesWidget):
            name = self.model.currentText().partition(":")[0].strip()
            field.widget.offer(self._capabilities.get(name, {}))

    def set_devices(self, devices: Iterable[Mapping[str, Any]]) -> None:
        """Offers the devices of the worker's machine."""
        names = [(device["device"], device["name"]) for device in devices]
        _set_choices(self.device, [("auto", ""), *names])

    def options(self) -> dict[str, Any]:
        """The options, as the worker takes them.

        Raises:
            LinkError: If no model is chosen.
        """
        model = self.model.currentText().strip()
        if not model:
            raise LinkError(tr("No model is chosen"), tr("choose one, such as builtin"))
        values = {name: field.value() for name, field in self.fields.items()}
        # Workers of other versions have other options: they are sent what was chosen only.
        chosen_values = {
            name: value
            for name, value in values.items()
            if value != self.fields[name].option.default
        }
        device = self.device.currentText().strip() or "auto"
        return {"model": model, "device": device, **chosen_values}

    def _values(self) -> dict[str, Any]:
        """The values of all fields, for a preset."""
        values = {name: field.value() for name, field in self.fields.items()}
        return {"model": self.model.currentText(), "device": self.device.currentText(), **values}

    def _set_values(self, values: Mapping[str, Any]) -> None:
        """Sets the fields to a preset's values; those it does not have to their defaults."""
        self.model.setEditText(str(values.get("model", self.model.currentText())))
        self.device.setEditText(str(values.get("device", self.device.currentText())))
        for name, field in self.fields.items():
            field.set_value(values.get(name, field.option.default))

    def _emit_changed(self, *_: object) -> None:
        self.changed.emit()

    def _lay_out(self) -> None:
        self._few.addRow(tr("Model"), self.model)
        self._few.addRow(tr("Device"), self.device)
        more_box = QgsCollapsibleGroupBox(tr("More options"), self)
        outputs = QFormLayout()
        outputs.addRow(tr("Preset"), self.presets)
        outputs.addRow(self.heatmap)
        outputs.addRow(tr("Save as"), self.output)
        for form in (self._more, outputs):
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        column_layout(more_box, self._more, outputs)
        more_box.setCollapsed(True)
        more_box.setSaveCollapsedState(False)
        column_layout(self, self._few, more_box)


def _set_choices(box: QComboBox, items: Iterable[tuple[object, object]]) -> None:
    """Replaces the names of a box and their tool tips; the text in it stays."""
    text = box.currentText()
    box.blockSignals(True)
    box.clear()
    for row, (name, tip) in enumerate(items):
        box.addItem(str(name))
        # Tool tip role by number: Qt 5 and Qt 6 put its name in different places.
        box.setItemData(row, as_tip(tip) if tip else "", 3)
    box.setEditText(text)
    box.blockSignals(False)
