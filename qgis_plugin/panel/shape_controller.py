"""The controller that draws, cuts and merges changes on the map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from qgis.core import QgsGeometry, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QWidget

from geochg_qgis.formatting import class_title
from geochg_qgis.i18n import tr
from geochg_qgis.layers.editable_results import check_editable
from geochg_qgis.layers.result_fields import CHANGES
from geochg_qgis.layers.review_edits import ReviewEdit
from geochg_qgis.layers.shape_edits import addition, cut, merger
from geochg_qgis.layers.style import layer_colors
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.layouts import choice_box, name_dialog_buttons, name_widget
from geochg_qgis.panel.review_controller import ReviewController
from geochg_qgis.panel.shape_tool import ShapeTool


class ShapeController(QObject):
    """Lets the user draw on the map, and hands what comes of it to the review.

    Args:
        iface: Interface of QGIS.
        review: Controller that makes the edits.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
    """

    def __init__(
        self,
        iface: QgisInterface,
        review: ReviewController,
        show_error: Callable[[LinkError], object],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._review, self._show_error = iface.mapCanvas(), review, show_error
        self._layer: QgsVectorLayer | None = None
        self._feature_to_cut: int | None = None
        self.tool = ShapeTool(self._canvas)
        self.tool.finished.connect(self._use_shape)
        self.dialog = NewChangeDialog(parent)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Sets the result that is drawn in."""
        self.tool.end()
        self.dialog.reject()
        self.dialog.offer(layer_colors(layer))
        self._layer = layer

    def draw(self) -> None:
        """Lets the user draw a change that the model missed, and then choose its class."""
        self._feature_to_cut = None
        if self._takes_shapes():
            self.tool.begin(is_polygon=True)

    def cut(self, features: Sequence[int]) -> None:
        """Lets the user draw the line that cuts the one chosen change."""
        if len(features) != 1:
            self._show_error(
                LinkError(tr("Not one change is chosen"), tr("choose the change to cut"))
            )
            return
        (self._feature_to_cut,) = features
        if self._takes_shapes():
            self.tool.begin(is_polygon=False)

    def merge(self, features: Sequence[int]) -> None:
        """Merges the chosen changes."""
        self._make(lambda layer: merger(layer, features))

    def _takes_shapes(self) -> bool:
        """Whether the result can be drawn in, which is told before the user draws."""
        if self._layer is None:
            return False
        try:
            check_editable(self._layer, has_shapes=True)
        except LinkError as error:
            self._show_error(error)
            return False
        return True

    def _use_shape(self, shape: QgsGeometry) -> None:
        crs = self._canvas.mapSettings().destinationCrs()
        feature = self._feature_to_cut
        if feature is not None:
            self._make(lambda layer: cut(layer, feature, shape, crs))
            return

        def add(name: str, change: str) -> None:
            kinds = {(name, change)}
            self._make(lambda layer: addition(layer, shape, crs, name, change), kinds)

        self.dialog.ask(add)

    def _make(
        self, edit_of: Callable[[QgsVectorLayer], ReviewEdit], kinds: Iterable[tuple[str, str]] = ()
    ) -> None:
        if self._layer is None:
            return
        try:
            self._review.make(edit_of(self._layer), kinds)
        except LinkError as error:
            self._show_error(error)


class NewChangeDialog(QDialog):
    """Asks for the class and direction of a change that was drawn."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._use: Callable[[str, str], object] | None = None
        self.setWindowTitle(tr("A missed change"))
        self.setObjectName("GeochgNewChange")
        self.classes = choice_box(self)
        self.offer(layer_colors(None))
        self.changes = choice_box(self, [(change, tr(change)) for change in CHANGES])
        name_widget(self.classes, "GeochgNewClass", tr("Class"), tr("Class of the new change"))
        name_widget(self.changes, "GeochgNewKind", tr("Change"), tr("What happened to it"))
        buttons = QDialogButtonBox(parent=self)
        for kind in ("Ok", "Cancel"):
            buttons.addButton(getattr(QDialogButtonBox.StandardButton, kind))
        tips = {"Ok": tr("Adds the change"), "Cancel": tr("Adds nothing")}
        name_dialog_buttons(buttons, "GeochgNewChange", tips)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow(tr("Cl&ass"), self.classes)
        form.addRow(tr("C&hange"), self.changes)
        form.addRow(buttons)
        self.accepted.connect(self._answer)

    def offer(self, names: Iterable[str]) -> None:
        """Offers classes."""
        self.classes.clear()
        for name in names:
            self.classes.addItem(class_title(name), name)

    def ask(self, use: Callable[[str, str], object]) -> None:
        """Opens the dialog; `use` is given the class and direction. It keeps the last choices."""
        self._use = use
        self.open()
        self.classes.setFocus()

    def _answer(self) -> None:
        if self._use is not None:
            self._use(self.classes.currentData(), self.changes.currentData())
