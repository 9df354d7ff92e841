"""The widget for the model in the dialogs of Processing: a list, in which any text can be typed."""

from __future__ import annotations

from processing.gui.wrappers import DIALOG_MODELER, WidgetWrapper
from qgis.core import QgsProcessingOutputString, QgsProcessingParameterString
from qgis.PyQt.QtWidgets import QComboBox

from geochg_qgis.run_options import known_models


class ModelChoiceWrapper(WidgetWrapper):
    """Offers the models by name; in the model designer also texts of the model."""

    def createWidget(self) -> QComboBox:
        """The list; called by the base class."""
        box = QComboBox()
        box.setEditable(True)
        for name in known_models():
            box.addItem(name, name)
        if self.dialogType == DIALOG_MODELER:
            kinds = [QgsProcessingParameterString], [QgsProcessingOutputString]
            for source in self.dialog.getAvailableValuesOfType(*kinds):
                box.addItem(self.dialog.resolveValueDescription(source), source)
        box.currentTextChanged.connect(lambda _: self.widgetValueHasChanged.emit(self))
        return box

    def setValue(self, value: object) -> None:
        """Shows a value."""
        self.setComboValue(value)

    def value(self) -> object:
        """The name of a model, or a source of the model designer."""
        return self.comboValue()
