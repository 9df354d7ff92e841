"""The dialog that draws a sample of a result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.heatmaps import heatmap_of
from geochg_qgis.layers.image_identity import AFTER, BEFORE, ImageIdentity, source_layer
from geochg_qgis.layers.layer_source import gdal_name
from geochg_qgis.layers.result_groups import group_of_pair
from geochg_qgis.layers.result_layers import readable_source
from geochg_qgis.layers.sample_layers import open_sample
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import result_path, with_suffix
from geochg_qgis.panel.layouts import name_file_widget, name_widget, set_focus_order
from geochg_qgis.panel.option_field import OptionField
from geochg_qgis.panel.request_dialog import ResultDialog
from geochg_qgis.panel.run_plan import user_folders
from geochg_qgis.run_options import sample_options

_SIZE_PX = 480, 420
_LAYER = "layer"


class SampleDialog(ResultDialog):
    """Lets the worker draw a sample, and adds it to the project.

    Args:
        connection: Connection to the worker.
        parent: Parent widget.

    Signals:
        drawn: A sample is in the project; carries its layer and sentences on what its user should
            know.
    """

    drawn = pyqtSignal(object, object)

    def __init__(self, connection: Connection, parent: QWidget | None = None) -> None:
        title = tr("Draw a sample")
        super().__init__(connection, "GeochgDrawSample", title, tr("&Draw"), parent)
        self.resize(*_SIZE_PX)
        self.heatmap = QgsMapLayerComboBox(self)
        self.heatmap.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.heatmap.setAllowEmptyLayer(True)
        self.output = QgsFileWidget(self)
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoPackage (*.gpkg)")
        self.output.setConfirmOverwrite(False)
        self.fields = [OptionField(option, self) for option in sample_options(connection.hello)]
        form = QFormLayout()
        form.addRow(self._label(tr("Res&ult"), self.changes), self.changes)
        for field in self.fields:
            field.add_to(form)
        form.addRow(self._label(tr("&Heatmap"), self.heatmap), self.heatmap)
        form.addRow(self._label(tr("&Save in"), self.output.lineEdit()), self.output)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.status)
        layout.addStretch(1)
        layout.addWidget(self.bar)
        layout.addWidget(self.buttons)
        tip = tr("The heatmap of the run, which tells what clouds and failed tiles hid")
        name_widget(self.heatmap, "GeochgDrawSampleHeatmap", tr("Heatmap"), tip)
        name_widget(self.go, "GeochgDrawSampleGo", tr("Draw"), tr("Draws the sample"))
        tip = tr("The file of the sample; one that is there is left alone")
        name_file_widget(self.output, "GeochgDrawSampleOutput", tr("Save in"), tip)
        set_focus_order(self)
        self.changes.currentIndexChanged.connect(self._follow_result)

    def open_for(self, result: QgsVectorLayer | None) -> None:
        """Opens the dialog for a result."""
        self.offer_results(result)
        self._follow_result()
        self.show()
        self.raise_()

    def ask(self) -> None:
        """Begins to draw."""
        try:
            parameters, images = self._parameters(), self._images()
        except LinkError as error:
            self.show_error(error)
            return

        def opened(answer: Mapping[str, Any]) -> dict[str, Any]:
            # On the task's thread, so that a slow disk does not block the window.
            path, source = str(answer["sample"]), parameters["features"]
            return {_LAYER: open_sample(path, source, *images)}

        self.start("draw_sample", parameters, self._place, opened)

    def _parameters(self) -> dict[str, Any]:
        result = self.result_layer()
        path = self.output.filePath().strip()
        if not path or not Path(path).is_absolute():
            raise LinkError(tr("There is no file for the sample"), tr("choose one"))
        file = with_suffix(path, ".gpkg")
        if file.exists():
            raise LinkError(
                tr("{} is there already").format(file), tr("choose another name for the sample")
            )
        options = {field.option.name: field.value() for field in self.fields}
        heatmap = self.heatmap.currentLayer()
        images = {"heatmap": heatmap}
        for name, role in (("before", BEFORE), ("after", AFTER)):
            images[name] = source_layer(result, role)
        for name, layer in images.items():
            if isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal":
                options[name] = gdal_name(layer)
        return {"features": readable_source(result), "output": str(file), "sampling": options}

    def _images(self) -> tuple[ImageIdentity | None, ImageIdentity | None]:
        """The images of the result, as it knows them."""
        result = self.result_layer()
        return tuple(  # type: ignore[return-value]
            ImageIdentity.from_text(result.customProperty(role)) for role in (BEFORE, AFTER)
        )

    def _place(self, answer: Mapping[str, Any]) -> None:
        """Adds the sample to the group of its pair."""
        layer = answer[_LAYER]
        project = QgsProject.instance()
        project.addMapLayer(layer, False)
        images = [source_layer(layer, role) for role in (BEFORE, AFTER)]
        ids = [image.id() for image in images if image is not None]
        if len(ids) == len(images):
            group_of_pair(ids[0], ids[1], layer.name()).insertLayer(0, layer)
        else:
            project.layerTreeRoot().insertLayer(0, layer)
        self.status.setText("")
        self.accept()
        self.drawn.emit(layer, [str(text) for text in answer.get("warnings", ())])

    def _follow_result(self, *_: object) -> None:
        """Names a file beside the result, and its heatmap where that is in the project."""
        try:
            file = Path(readable_source(self.result_layer()).partition("|")[0])
        except LinkError:
            return
        folders = [file.parent, *user_folders()]
        self.output.setFilePath(str(result_path(file.stem, folders, "_sample") or ""))
        self.heatmap.setLayer(heatmap_of(file))

    def _label(self, text: str, widget: QWidget) -> QLabel:
        label = QLabel(text, self)
        label.setBuddy(widget)
        return label
