"""The dialog that holds a layer of polygons against an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.layer_source import RasterAccess, layer_source
from geochg_qgis.layers.polygon_source import polygon_source, refuse_same_image
from geochg_qgis.layers.verdict_layers import VERDICT, open_verdict, verdict_summary
from geochg_qgis.layers.zone_source import file_text
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import result_path, with_suffix
from geochg_qgis.link_messages import worker_text
from geochg_qgis.panel.layouts import choice_box, name_file_widget, name_widget, set_focus_order
from geochg_qgis.panel.option_field import OptionField
from geochg_qgis.panel.options_widget import OptionsWidget
from geochg_qgis.panel.request_dialog import RequestDialog
from geochg_qgis.panel.run_plan import options_folder, user_folders
from geochg_qgis.run_options import check_options, model_text
from geochg_qgis.tasks import BackgroundTask

_NAME = "GeochgCheck"
_SIZE_PX = 500, 400
_LAYER = "layer"
_FIELDS = ("missing", "regularize", "min_area_m2", "most_shift_m")
_OF_PANEL = ("model", "model_options", "device", "allow_remote")
"""Options that the panel has fields for, and that are not about a pair."""


class CheckDialog(RequestDialog):
    """Lets the worker check a layer, and adds the layer of verdicts to the project.

    Args:
        connection: Connection to the worker.
        options: The panel's options, of which model and device hold here, too.
        parent: Parent widget.

    Signals:
        checked: A layer of verdicts is in the project; carries it, a line about it, and sentences
            on what its user should know.
    """

    checked = pyqtSignal(object, str, object)

    def __init__(
        self, connection: Connection, options: OptionsWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(connection, _NAME, tr("Check a layer"), tr("C&heck"), parent)
        self._options = options
        self.resize(*_SIZE_PX)
        filters = QgsMapLayerProxyModel.Filter
        self.polygons = self._layer_box(filters.PolygonLayer)
        self.image = self._layer_box(filters.RasterLayer)
        self.before = self._layer_box(filters.RasterLayer)
        self.before.setAllowEmptyLayer(True)
        self.class_name = choice_box(self, is_editable=True)
        self.model = QLabel(self)
        told_options = check_options(connection.hello)
        self.fields = [OptionField(o, self) for o in told_options if o.name in _FIELDS]
        self.output = QgsFileWidget(self)
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoPackage (*.gpkg)")
        self.output.setConfirmOverwrite(False)
        self._lay_out()
        self._name()
        self.polygons.layerChanged.connect(self._follow_layer)

    def open_for(self, image: QgsRasterLayer | None) -> None:
        """Opens the dialog, with an image chosen."""
        if self._task is None:
            if image is not None:
                self.image.setLayer(image)
            # QGIS would choose the first image: an earlier one is asked for, never guessed.
            self.before.setLayer(None)
            self._offer_classes()
            self._follow_layer()
            self.status.setText("")
        self.show()
        self.raise_()

    def ask(self) -> None:
        """Begins to check."""
        try:
            notices: list[str] = []
            file, make = self._request(notices)
        except LinkError as error:
            self.show_error(error)
            return

        def opened(answer: Mapping[str, Any]) -> dict[str, Any]:
            # On the task's thread, so that a slow disk does not block the window.
            layer = open_verdict(f"{file}|layername={VERDICT}", file.stem.replace("_", " "))
            layer.moveToThread(QgsApplication.instance().thread())
            return {_LAYER: layer}

        self.start("check", make, lambda answer: self._place(answer, notices), opened)

    def _request(
        self, notices: list[str]
    ) -> tuple[Path, Callable[[BackgroundTask], dict[str, Any]]]:
        """The file to write, and a maker of the worker's parameters; notices are added to."""
        layer = self._chosen(self.polygons, tr("There is no layer of polygons"))
        image = self._chosen(self.image, tr("There is no image"))
        before = self.before.currentLayer()
        refuse_same_image(image, before)
        polygons = polygon_source(layer)
        rasters = {"image": image, **({"before": before} if before is not None else {})}
        sources = {
            name: layer_source(raster, layer.extent(), layer.crs())
            for name, raster in rasters.items()
        }
        name = self.class_name.currentText().strip()
        if not name:
            raise LinkError(tr("No class is named"), tr("say what the polygons are"))
        panel = self._options.options()
        options = {key: panel[key] for key in _OF_PANEL if key in panel}
        for field in self.fields:
            if field.value() != field.option.default:
                options[field.option.name] = field.value()
        options["class_name"] = name
        file, folder = self._file(), options_folder()
        notices += [polygons.notice] if polygons.notice else []

        def make(task: BackgroundTask) -> dict[str, Any]:
            allow_remote = options.get("allow_remote") is True
            access = RasterAccess(
                self._connection, task, task.isCanceled, notices.append, allow_remote
            )
            return {
                "layer": polygons.worker_parameter(task.isCanceled),
                **{name: source.worker_parameter(access) for name, source in sources.items()},
                "output": str(file),
                "options": options,
                "folder": folder,
            }

        return file, make

    def _file(self) -> Path:
        path = self.output.filePath().strip()
        if not path or not Path(path).is_absolute():
            raise LinkError(tr("There is no file for the verdicts"), tr("choose one"))
        file = with_suffix(path, ".gpkg")
        if file.exists():
            raise LinkError(
                tr("{} is there already").format(file), tr("choose another name for the verdicts")
            )
        return file

    def _chosen(self, box: QgsMapLayerComboBox, message: str) -> QgsMapLayer:
        layer = box.currentLayer()
        if layer is None:
            raise LinkError(message, tr("add one to the project"))
        return layer

    def _place(self, answer: Mapping[str, Any], notices: list[str]) -> None:
        """Adds the layer on top of the others."""
        layer: QgsVectorLayer = answer[_LAYER]
        project = QgsProject.instance()
        project.addMapLayer(layer, False)
        project.layerTreeRoot().insertLayer(0, layer)
        self.status.setText("")
        self.accept()
        warnings = map(worker_text, answer["geochg"].get("warnings") or ())
        self.checked.emit(layer, verdict_summary(answer), [*notices, *warnings])

    def _follow_layer(self, *_: object) -> None:
        """Names a file beside the layer, else in the project's folder or the user's."""
        layer = self.polygons.currentLayer()
        self.go.setEnabled(layer is not None and self._task is None)
        if layer is None:
            return
        text = file_text(layer) if layer.isValid() else ""
        folders = [Path(text.partition("|")[0]).parent] if text else []
        path = result_path(layer.name(), [*folders, *user_folders()], f"_{VERDICT}")
        self.output.setFilePath(str(path or ""))

    def _offer_classes(self) -> None:
        """Offers the classes of the panel's model, and free text where it takes any words."""
        names, is_free = self._options.known_classes()
        text = self.class_name.currentText()
        self.class_name.clear()
        self.class_name.addItems(names)
        self.class_name.setEditable(is_free)
        if text in names or (is_free and text):
            self.class_name.setCurrentText(text)
        try:
            self.model.setText(model_text(self._options.options()))
        except LinkError as error:
            self.model.setText(error.message)

    def _layer_box(self, kind: Any) -> QgsMapLayerComboBox:  # noqa: ANN401 - named by version
        box = QgsMapLayerComboBox(self)
        box.setFilters(kind)
        return box

    def _lay_out(self) -> None:
        form = QFormLayout()
        for text, widget, field in (
            (tr("&Layer of polygons"), self.polygons, self.polygons),
            (tr("I&mage"), self.image, self.image),
            (tr("Clas&s"), self.class_name, self.class_name),
            (tr("&Before"), self.before, self.before),
            (tr("Model"), self.model, self.model),
        ):
            label = QLabel(text, self)
            label.setBuddy(widget)
            form.addRow(label, field)
        for option_field in self.fields:
            option_field.add_to(form)
        label = QLabel(tr("Sa&ve in"), self)
        label.setBuddy(self.output.lineEdit())
        form.addRow(label, self.output)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.status)
        layout.addStretch(1)
        layout.addWidget(self.bar)
        layout.addWidget(self.buttons)

    def _name(self) -> None:
        for widget, name, label, tip in (
            (self.polygons, "Polygons", tr("Layer of polygons"), tr("The layer to check")),
            (self.image, "Image", tr("Image"), tr("The image that it is held against")),
            (self.class_name, "Class", tr("Class"), tr("What the polygons are")),
            (
                self.before,
                "Before",
                tr("Image before"),
                tr("An earlier image: what was not seen there either is not called gone."),
            ),
            (self.model, "Model", tr("Model"), tr("The model that is chosen in the panel")),
            (self.go, "Go", tr("Check"), tr("Holds the layer against the image")),
        ):
            name_widget(widget, f"{_NAME}{name}", label, tip)
        tip = tr("The file of the verdicts; one that is there is left alone")
        name_file_widget(self.output, f"{_NAME}Output", tr("Save in"), tip)
        set_focus_order(self)
