"""The dialog that assesses a result by a sample that was judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from geochg_qgis.connection import Connection
from geochg_qgis.formatting import formatted_share, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_layers import readable_source, result_source, results_in_project
from geochg_qgis.layers.sample_layers import SampleOrigin
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import ASSESSMENT_KINDS, ASSESSMENT_SUFFIXES
from geochg_qgis.link_messages import worker_text
from geochg_qgis.panel.layouts import name_file_widget, name_widget, plain_label, set_focus_order
from geochg_qgis.panel.report_controller import free_page_path
from geochg_qgis.panel.request_dialog import ResultDialog

_SIZE_PX = 520, 320


class AssessDialog(ResultDialog):
    """Lets the worker assess a result, shows the overall accuracy, and opens the page.

    Args:
        connection: Connection to the worker.
        sample: Function that gives the sample that is judged; None for none.
        parent: Parent widget.

    Attributes:
        open_page: The button that opens what was written.
    """

    def __init__(
        self,
        connection: Connection,
        sample: Callable[[], QgsVectorLayer | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(connection, "GeochgAssess", tr("Assess"), tr("&Assess"), parent)
        self._sample = sample
        self._written = ""
        self.resize(*_SIZE_PX)
        self.sample_name = plain_label(self)
        self.output = QgsFileWidget(self)
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter(ASSESSMENT_KINDS)
        self.open_page = QPushButton(tr("&Open"), self)
        self.open_page.setEnabled(False)
        self.buttons.addButton(self.open_page, QDialogButtonBox.ButtonRole.ActionRole)
        form = QFormLayout()
        form.addRow(QLabel(tr("Sample"), self), self.sample_name)
        for text, widget, field in (
            (tr("Res&ult"), self.changes, self.changes),
            (tr("&Save in"), self.output.lineEdit(), self.output),
        ):
            label = QLabel(text, self)
            label.setBuddy(widget)
            form.addRow(label, field)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.status, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self.buttons)
        tip = tr("Estimates accuracies and areas, with their intervals")
        name_widget(self.go, "GeochgAssessGo", tr("Assess"), tip)
        tip = tr("Opens the assessment that was written")
        name_widget(self.open_page, "GeochgAssessOpen", tr("Open"), tip)
        tip = tr("The file of the assessment: .html, .md or .json")
        name_file_widget(self.output, "GeochgAssessOutput", tr("Save in"), tip)
        self.open_page.clicked.connect(lambda _: self.show_page())
        set_focus_order(self)

    def open_sample(self) -> None:
        """Opens the dialog for the sample that is judged now."""
        sample = self._sample()
        self.offer_results(None if sample is None else _result_of(sample))
        self.sample_name.setText("" if sample is None else sample.name())
        source = "" if sample is None else result_source(sample)
        path = free_page_path(source, "_assessment") if source else ""
        self.output.setFilePath(str(path))
        self._written = ""
        self.open_page.setEnabled(False)
        self.show()
        self.raise_()

    def ask(self) -> None:
        """Begins to assess."""
        try:
            parameters = self._parameters()
        except LinkError as error:
            self.show_error(error)
            return
        self.start("assess_sample", parameters, self._show)

    def show_page(self) -> None:
        """Opens what was written, with the program of its kind."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(self._written))

    def _parameters(self) -> dict[str, Any]:
        sample, result = self._sample(), self.result_layer()
        if sample is None:
            raise LinkError(tr("There is no sample"), tr("choose one"))
        if sample.isModified():
            raise LinkError(
                tr("Judgements of {} are not saved").format(sample.name()),
                tr("save the edits of the layer first"),
            )
        path = self.output.filePath().strip()
        if not path or not Path(path).is_absolute():
            raise LinkError(tr("There is no file for the assessment"), tr("choose one"))
        if Path(path).suffix.lower() not in ASSESSMENT_SUFFIXES:
            path += ASSESSMENT_SUFFIXES[0]
        return {
            "sample": readable_source(sample),
            "features": _source_then(sample, result),
            "output": path,
            "overwrite": False,
        }

    def _show(self, answer: Mapping[str, Any]) -> None:
        self._written = str(answer.get("assessment") or "")
        self.open_page.setEnabled(bool(self._written))
        binary = answer.get("changed_or_not") or {}
        texts = [
            tr("Overall accuracy: {}").format(_estimate_text(answer.get("overall"))),
            tr("Changed or not: {}").format(_estimate_text(binary.get("overall"))),
            tr("Saved as {}").format(self._written),
            *map(worker_text, answer.get("warnings", ())),
        ]
        self.status.setText("\n".join(f"{sentence(text)}." for text in texts))


def _estimate_text(estimate: object) -> str:
    """An estimate with its interval, such as `87 % (82 % to 92 %)`."""
    values = estimate if isinstance(estimate, Mapping) else {}
    value, low, high = (
        None if values.get(key) is None else float(values[key]) for key in ("value", "low", "high")
    )
    if low is None or high is None:
        return formatted_share(value)
    return tr("{0} ({1} to {2})").format(*map(formatted_share, (value, low, high)))


def _result_of(sample: QgsVectorLayer) -> QgsVectorLayer | None:
    """The result that a sample was drawn of, as far as file names tell."""
    origin = SampleOrigin.of_layer(sample)
    file = origin.source.partition("|")[0]
    results = results_in_project()
    for result in results:
        if file and result_source(result).partition("|")[0] == file:
            return result
    names = {Path(result_source(result).partition("|")[0]).name: result for result in results}
    return names.get(origin.layer)


def _source_then(sample: QgsVectorLayer, result: QgsVectorLayer) -> str:
    """The result as the worker takes it, with the filter that it had when the sample was drawn.

    The slider may have moved since, which is no other map.
    """
    origin, source = SampleOrigin.of_layer(sample), readable_source(result)
    is_same = origin.source.partition("|")[0] == source.partition("|")[0]
    return origin.source if origin.source and is_same else source
