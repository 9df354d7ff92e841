"""The widget with the options of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QPushButton, QToolButton, QWidget

from geochg_qgis.band_mapping import swapped_bands
from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.layer_bands import band_names
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.bands_dialog import BandsDialog
from geochg_qgis.panel.classes_widget import ANY_WORDS, ClassesWidget
from geochg_qgis.panel.layouts import (
    choice_box,
    column_layout,
    name_widget,
    set_choices,
    set_focus_order,
)
from geochg_qgis.panel.model_widget import ModelWidget
from geochg_qgis.panel.option_field import CLASSES_OPTION, OptionField
from geochg_qgis.panel.pair_widget import PairWidget
from geochg_qgis.panel.presets_widget import PresetsWidget
from geochg_qgis.run_options import RunOption, run_options

_SHOWN_AT_ONCE = ("min_area_m2",)  # options that are not in the collapsible group
_BANDS = "bands"
_DESCRIBED = "info"  # the command whose options the description of a pair depends on


class OptionsWidget(QWidget):
    """Shows model, device and least area, and the other options in a collapsible group.

    The fields are made of what the worker tells of its options.

    Args:
        connection: Connection to the worker.
        pair: The widget of the pair whose bands can be chosen.
        parent: Parent widget.

    Signals:
        changed: An option changed that the description of the pair depends on.
        failed: A form cannot be opened; carries the `LinkError`.

    Attributes:
        fields: The fields by the names of their options.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(object)

    def __init__(
        self, connection: Connection, pair: PairWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._pair = pair
        self.model_choice = ModelWidget(connection, self)
        self.model = self.model_choice.names
        self.device = choice_box(self, is_editable=True)
        self.device.setToolTip(tr("Where the model runs; auto lets the model choose"))
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        self.heatmap = QCheckBox(tr("Also a la&yer of the probability of change"), self)
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
        for signal in (self.model_choice.changed, self.device.currentTextChanged):
            signal.connect(self._emit_changed)
        pair.swapped.connect(self._swap_bands)
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
            form.removeRow(field.row)
        self._options = options
        # A button without its field would lie on the panel, outside its layout.
        buttons = {option.name: self._bands_button() for option in options if option.name == _BANDS}
        self.fields = {
            option.name: OptionField(option, self, buttons.get(option.name)) for option in options
        }
        for name, field in self.fields.items():
            field.add_to(self._few if name in _SHOWN_AT_ONCE else self._more)
            if name in values:
                field.set_value(values[name])
            if _DESCRIBED in field.option.commands:
                field.changed.connect(self._emit_changed)
        self._offer_classes()
        set_focus_order(self)

    def set_models(self, models: Iterable[Mapping[str, Any]]) -> None:
        """Offers the models of the worker that are not broken."""
        model_list = list(models)
        self._capabilities = {
            str(model["name"]): model.get("capabilities") or {} for model in model_list
        }
        self._offer_classes()
        self.model_choice.set_models(model_list)

    def _offer_classes(self, *_: object) -> None:
        """Offers the classes of the chosen model."""
        field = self.fields.get(CLASSES_OPTION)
        if field is not None and isinstance(field.widget, ClassesWidget):
            name = self.model.currentText().partition(":")[0].strip()
            field.widget.offer(self._capabilities.get(name, {}))

    def known_classes(self) -> tuple[list[str], bool]:
        """The classes of the chosen model, and whether it takes any other words, too."""
        name = self.model.currentText().partition(":")[0].strip()
        capabilities = self._capabilities.get(name, {})
        names = [str(class_name) for class_name in capabilities.get("classes") or CLASSES]
        return names, not capabilities or bool(capabilities.get(ANY_WORDS))

    def set_devices(self, devices: Iterable[Mapping[str, Any]]) -> None:
        """Offers the devices of the worker's machine."""
        names = [(device["device"], device["name"]) for device in devices]
        set_choices(self.device, [("auto", ""), *names])

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
        adapter = self.model_choice.adapter
        model_options = {"model_options": {"adapter": adapter}} if adapter else {}
        return {"model": model, "device": device, **model_options, **chosen_values}

    def open_bands(self) -> BandsDialog | None:
        """Opens the form in which the bands of both images are chosen; None without two images."""
        try:
            layers = self._pair.both_layers()
        except LinkError as error:
            self.failed.emit(error)
            return None
        field = self.fields[_BANDS].widget
        images = [(layer.name(), band_names(layer)) for layer in layers]
        dialog = BandsDialog(images, field.text(), self.window())
        dialog.accepted.connect(lambda: self._set_bands(dialog.text()))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def _set_bands(self, text: str) -> None:
        field = self.fields[_BANDS].widget
        if text != field.text():
            field.setText(text)
            self._emit_changed()

    def _swap_bands(self) -> None:
        """Lets the bands go with their images."""
        if _BANDS in self.fields:
            self._set_bands(swapped_bands(self.fields[_BANDS].widget.text()))

    def _bands_button(self) -> QPushButton:
        button = QPushButton(tr("Choose…"), self)
        tip = tr("Chooses the bands of both images that show red, green, blue and near infrared")
        name_widget(button, "GeochgChooseBands", tr("Choose the bands"), tip)
        button.clicked.connect(lambda _: self.open_bands())
        return button

    def _values(self) -> dict[str, Any]:
        """The values of all fields, for a preset."""
        values = {name: field.value() for name, field in self.fields.items()}
        return {
            "model": self.model.currentText(),
            "adapter": self.model_choice.adapter,
            "device": self.device.currentText(),
            **values,
        }

    def _set_values(self, values: Mapping[str, Any]) -> None:
        """Sets the fields to a preset's values; those it does not have to their defaults."""
        self.model.setEditText(str(values.get("model", self.model.currentText())))
        self.model_choice.set_adapter(str(values.get("adapter", "")))
        self.device.setEditText(str(values.get("device", self.device.currentText())))
        for name, field in self.fields.items():
            field.set_value(values.get(name, field.option.default))

    def _emit_changed(self, *_: object) -> None:
        self.changed.emit()

    def _lay_out(self) -> None:
        self._few.addRow(tr("Model"), self.model_choice)
        self._few.addRow(tr("Dev&ice"), self.device)
        more_box = QgsCollapsibleGroupBox(tr("More options"), self)
        outputs = QFormLayout()
        outputs.addRow(tr("Preset"), self.presets)
        outputs.addRow(self.heatmap)
        outputs.addRow(tr("Save as"), self.output)
        for form in (self._more, outputs):
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        column_layout(more_box, self._more, outputs)
        fold = more_box.findChildren(
            QToolButton, options=Qt.FindChildOption.FindDirectChildrenOnly
        )[0]
        tip = tr("Shows or hides the other options")
        name_widget(fold, "GeochgMoreOptions", tr("More options"), tip)
        more_box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        more_box.setCollapsed(True)
        more_box.setSaveCollapsedState(False)
        column_layout(self, self._few, more_box)
