"""The widget with the options of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from geochg_qgis.formatting import as_tip
from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.layouts import choice_box, column_layout


class OptionsWidget(QWidget):
    """Shows model, device and least area, and the other options in a collapsible group.

    Signals:
        changed: An option changed that the description of the pair depends on.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = choice_box(self, is_editable=True)
        self.model.addItem("builtin")
        self.model.setToolTip(
            tr("The change model; NAME or NAME:SOURCE, such as deltavlm:FOLDER or openai:URL#NAME")
        )
        # The lowest value stands for what suits the resolution.
        self.min_area = _number(self, -1, 1e9, 0, " m²")
        self.min_area.setSpecialValueText(tr("by pixel size"))
        self.min_area.setValue(-1)
        self.min_area.setToolTip(tr("Leave out smaller changes"))
        self.device = choice_box(self, is_editable=True)
        self.device.setToolTip(tr("Where the model runs; auto lets the model choose"))
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        self.min_confidence = _number(self, 0, 1, 2, "")
        self.min_confidence.setSingleStep(0.05)
        self.sensitivity = choice_box(
            self, (("normal", tr("Normal")), ("low", tr("Low")), ("high", tr("High")))
        )
        self.sensitivity.setToolTip(
            tr("How easily ground counts as changed, for models that outline")
        )
        self.tile_size = _whole(self, 32, 4096, 256)
        self.overlap = _whole(self, 0, 2048, 32)
        self.align = choice_box(
            self,
            (
                ("auto", tr("Correct it when it is clear")),
                ("report", tr("Only report it")),
                ("off", tr("Do not measure it")),
            ),
        )
        self.match = QCheckBox(tr("Match the values of the dates"), self)
        self.dates_as_given = QCheckBox(tr("Take the dates in the order given"), self)
        self.dates_as_given.setToolTip(
            tr("Also when the files say that the image before is the newer one")
        )
        self.outline = QCheckBox(tr("Outlines where the model gives them"), self)
        self.outline.setChecked(True)
        self.bands = QLineEdit(self)
        self.bands.setPlaceholderText("red=1,green=2,blue=3,nir=4")
        self.classes = QLineEdit(self)
        self.classes.setPlaceholderText(tr("all, or such as building,road"))
        self.heatmap = QCheckBox(tr("Also a layer of the probability of change"), self)
        self.output = QgsFileWidget(self)
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoPackage (*.gpkg)")
        self.output.lineEdit().setPlaceholderText(tr("beside the raster, named for it"))
        self._lay_out()
        for signal in (
            self.model.currentTextChanged,
            self.device.currentTextChanged,
            self.tile_size.valueChanged,
            self.overlap.valueChanged,
            self.align.currentIndexChanged,
            self.dates_as_given.toggled,
            self.bands.editingFinished,
        ):
            signal.connect(lambda *_: self.changed.emit())

    def set_models(self, models: Iterable[Mapping[str, Any]]) -> None:
        """Offers the models of the worker that are not broken."""
        usable = (model for model in models if not model.get("broken"))
        _set_choices(self.model, [(model["name"], model.get("summary", "")) for model in usable])

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
        return {
            "model": model,
            "device": self.device.currentText().strip() or "auto",
            "min_area_m2": self.min_area.value() if self.min_area.value() >= 0 else None,
            "sensitivity": self.sensitivity.currentData(),
            "min_confidence": self.min_confidence.value(),
            "tile_size_px": self.tile_size.value(),
            "overlap_px": self.overlap.value(),
            "align": self.align.currentData(),
            "match": self.match.isChecked(),
            "dates_as_given": self.dates_as_given.isChecked(),
            "geometry": "outline" if self.outline.isChecked() else "cells",
            "bands": _comma_separated(self.bands.text()),
            "classes": _comma_separated(self.classes.text()),
        }

    def _lay_out(self) -> None:
        few = QFormLayout()
        few.addRow(tr("Model"), self.model)
        few.addRow(tr("Device"), self.device)
        few.addRow(tr("Least area"), self.min_area)
        more = QgsCollapsibleGroupBox(tr("More options"), self)
        form = QFormLayout(more)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(tr("Least confidence"), self.min_confidence)
        form.addRow(tr("Sensitivity"), self.sensitivity)
        form.addRow(tr("Classes"), self.classes)
        form.addRow(tr("Bands"), self.bands)
        form.addRow(tr("Tile size"), self.tile_size)
        form.addRow(tr("Overlap"), self.overlap)
        form.addRow(tr("Shift"), self.align)
        form.addRow(self.match)
        form.addRow(self.dates_as_given)
        form.addRow(self.outline)
        form.addRow(self.heatmap)
        form.addRow(tr("Save as"), self.output)
        more.setCollapsed(True)
        more.setSaveCollapsedState(False)
        column_layout(self, few, more)


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


def _number(parent: QWidget, low: float, high: float, decimals: int, unit: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox(parent)
    box.setRange(low, high)
    box.setDecimals(decimals)
    box.setSuffix(unit)
    return box


def _whole(parent: QWidget, low: int, high: int, value: int) -> QSpinBox:
    box = QSpinBox(parent)
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(" px")
    return box


def _comma_separated(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
