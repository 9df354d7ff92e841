"""The widget with the list of changes: in step with the map, reviewed by keys or clicks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QItemSelection, Qt
from qgis.PyQt.QtGui import QHideEvent, QKeyEvent, QShowEvent
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QLineEdit, QPushButton, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeReader, ChangeRecord, changes_of, shapes_of
from geochg_qgis.layers.choice import mark_choice
from geochg_qgis.layers.image_identity import ImageMissing, source_pair
from geochg_qgis.layers.result_fields import ACCEPTED, REJECTED
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.layers.result_watcher import ResultWatcher
from geochg_qgis.layers.review_edits import ReviewEdit
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.change_count import count_text
from geochg_qgis.panel.change_detail_widget import ChangeDetailWidget
from geochg_qgis.panel.change_outlines import ChangeOutlines
from geochg_qgis.panel.change_table_model import ChangeTableModel, state_texts
from geochg_qgis.panel.change_table_widget import ChangeTableWidget
from geochg_qgis.panel.confidence_slider_widget import ConfidenceSliderWidget
from geochg_qgis.panel.cutouts_widget import least_side
from geochg_qgis.panel.layouts import (
    choice_box,
    column_layout,
    name_widget,
    plain_label,
    row_layout,
)
from geochg_qgis.panel.review_actions import ReviewActions
from geochg_qgis.panel.review_controller import ReviewController
from geochg_qgis.panel.shape_controller import ShapeController
from geochg_qgis.panel.swipe_button_widget import SwipeButton

_MAX_REREAD = 500
"""Changes that are read again at once; of more, all are read in slices."""

_MAX_SHAPES = 200
"""Changes that are outlined, and that the map moves to."""

_NEEDS_CHOICE = ("accept", "reject", "clear", "label", "cut", "merge")


class ChangeListWidget(QWidget):
    """Shows the changes of one result.

    Args:
        iface: Interface of QGIS.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
    """

    def __init__(
        self,
        iface: QgisInterface,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._iface = iface
        self._show_error = show_error
        self._is_syncing = False
        self._next_feature: int | None = None
        self._pair: tuple[QgsRasterLayer, QgsRasterLayer] | None = None
        self._watcher, self._reader = ResultWatcher(self), ChangeReader(self)
        self.results = choice_box(self)
        self.swipe = SwipeButton(iface, show_error, self)
        self.filter = QLineEdit(self)
        self.states = choice_box(self, state_texts())
        self.confidence = ConfidenceSliderWidget(show_error, self)
        self.model = ChangeTableModel(self)
        self.table = ChangeTableWidget(self.model, self)
        self.detail = ChangeDetailWidget(self)
        self.count, self.tables = plain_label(self), QPushButton(tr("Tables…"), self)
        self.report = QPushButton(tr("Report"), self)
        self.outlines = ChangeOutlines(iface.mapCanvas(), self)
        self.review = ReviewController(self)
        self.shapes = ShapeController(iface, self.review, show_error, self)
        self.commands = ReviewActions(self._slots(), self)
        self._zoom_timer = single_shot_timer(self, 0, self.zoom)
        self._lay_out()
        self._name_widgets()
        self._connect()
        self._set_result(None)
        self.refresh()

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The result whose changes are listed."""
        return self._watcher.layer

    def show_layer(self, layer: QgsVectorLayer) -> None:
        """Lists the changes of a result."""
        self.refresh()
        self.results.setCurrentIndex(self.results.findData(layer.id()))

    def refresh(self, *_: object) -> None:
        """Offers the results of the project."""
        chosen_result = self.results.currentData()
        self.results.blockSignals(True)
        self.results.clear()
        for layer in results_in_project():
            self.results.addItem(layer.name(), layer.id())
        self.results.setCurrentIndex(max(0, self.results.findData(chosen_result)))
        self.results.blockSignals(False)
        self._choose_result()
        former_pair = self._pair
        self._find_pair()
        if self._pair != former_pair:
            self._show_choice(self.selected_features())

    def decide(self, review: str | None) -> None:
        """Accepts or rejects the chosen changes and goes on, or (None) resets them."""
        changes = self._changes_to_decide(goes_on=review is not None)
        self.review.decide(changes, review)

    def relabel(self, name: str) -> None:
        """Accepts the chosen changes as those of another class, and goes on."""
        self.review.relabel(self._changes_to_decide(goes_on=True), name)

    def go_to_next(self) -> None:
        """Chooses the next change that is not decided."""
        rows = self.table.selected_rows()
        feature = self.model.next_undecided(rows[-1] if rows else -1)
        if feature is None:
            self._show_count(tr("All changes of the list are decided."))
        else:
            self.choose([feature])

    def choose(self, features: list[int]) -> None:
        """Chooses changes in the list and on the map, and moves the map to them."""
        rows = sorted(row for row in map(self.model.row_of, features) if row >= 0)
        self.table.select_rows(rows)

    def selected_features(self) -> list[int]:
        """Ids of the features in the selected rows."""
        return [self.model.at(row).feature for row in self.table.selected_rows()]

    def zoom(self) -> None:
        """Moves the map to the chosen changes, with what is around them, and flashes them."""
        features = self.selected_features()
        if len(features) > _MAX_SHAPES:
            return
        features = [change.feature for change in self._reread(features)]
        if self.layer is None or not (shapes := [*shapes_of(self.layer, features).values()]):
            return
        side = 2 * least_side(self._pair[1], self.layer.crs()) if self._pair else 0.0
        self.outlines.zoom(shapes, self.layer.crs(), side)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ends the swipe on Escape, also while the list has the focus."""
        if event.key() == Qt.Key.Key_Escape and self.swipe.isChecked():
            self.swipe.close_down()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        """Lets the map take the keys, and outlines the chosen changes."""
        super().showEvent(event)
        self.commands.add_to(self._iface.mapCanvas())
        self._show_choice(self.selected_features())

    def hideEvent(self, event: QHideEvent) -> None:
        """Takes keys and outlines from the map."""
        super().hideEvent(event)
        self.commands.remove_from(self._iface.mapCanvas())
        self.outlines.clear()

    def close_down(self) -> None:
        """Ends the swipe and stops reading and watching the result."""
        self.swipe.close_down()
        self.commands.remove_from(self._iface.mapCanvas())
        self._zoom_timer.stop()
        self._set_result(None)
        self._show_choice(self.selected_features())
        self._reader.stop()
        self.confidence.close_down()

    def _slots(self) -> dict[str, Callable[..., object]]:
        return {
            "accept": lambda: self.decide(ACCEPTED),
            "reject": lambda: self.decide(REJECTED),
            "clear": lambda: self.decide(None),
            "relabel": self.relabel,
            "next": self.go_to_next,
            "undo": self.review.undo,
            "redo": self.review.redo,
            "draw": self.shapes.draw,
            "cut": lambda: self.shapes.cut(self.selected_features()),
            "merge": lambda: self.shapes.merge(self.selected_features()),
        }

    def _connect(self) -> None:
        project = QgsProject.instance()
        project.layersAdded.connect(self.refresh)
        project.layersRemoved.connect(self.refresh)
        self.results.currentIndexChanged.connect(self._choose_result)
        self._watcher.changed.connect(self._read_changes)
        self._watcher.filtered.connect(self._show_filter)
        self._watcher.selected.connect(self._select_in_table)
        self._reader.done.connect(self.model.set_changes)
        self._reader.done.connect(lambda _: self._show_count())
        self.filter.textChanged.connect(self.model.set_filter_text)
        self.states.currentIndexChanged.connect(
            lambda _: self.model.set_state(self.states.currentData())
        )
        self.confidence.moved.connect(self.model.set_least_confidence)
        self.model.modelReset.connect(self._restore_selection)
        self.table.selectionModel().selectionChanged.connect(self._select_on_map)
        self.table.clicked.connect(lambda _: self._zoom_timer.start())
        self.table.activated.connect(lambda _: self._zoom_timer.start())
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(
            lambda point: self.commands.menu.popup(self.table.viewport().mapToGlobal(point))
        )
        self.review.edited.connect(self._follow_edit)
        self.review.failed.connect(self._follow_failure)
        self.commands.add_to(self)

    def _lay_out(self) -> None:
        form = QFormLayout()
        for text, widget, row in (
            (tr("Result"), self.results, row_layout(self.results, self.swipe)),
            (tr("At least"), self.confidence.slider, self.confidence),
        ):
            label = QLabel(text, self)
            label.setBuddy(widget)
            form.addRow(label, row)
        self.buttons, grid = self.commands.buttons(self)
        filters = row_layout(self.filter, self.states)
        counts = row_layout(self.count, self.tables, self.report)
        items = (form, filters, self.table, self.detail, counts, grid)
        column_layout(self, *items, tallest=self.table)
        above = (self.results, self.swipe, self.confidence.slider, self.filter, self.states)
        widgets = (*above, self.table, self.tables, self.report, *self.buttons.values())
        for former, widget in zip(widgets, widgets[1:]):
            QWidget.setTabOrder(former, widget)

    def _name_widgets(self) -> None:
        self.filter.setPlaceholderText(tr("Filter: class, change or words of the caption"))
        self.filter.setClearButtonEnabled(True)
        for widget, name, label, tip in (
            (self.results, "Result", tr("Result"), tr("The result whose changes are listed")),
            (self.filter, "Filter", tr("Filter"), tr("List only changes that have these words")),
            (self.states, "States", tr("Shown changes"), tr("List only changes of one state")),
            (self.table, "Table", tr("Changes"), tr("The changes; keys as in the menu")),
            (self.tables, "Tables", tr("Tables"), tr("Sums of the changes, also by zone")),
            (self.report, "Report", tr("Report"), tr("Makes a page of the result and opens it")),
            (self.count, "Count", tr("Number of changes"), tr("How many changes are listed")),
        ):
            name_widget(widget, f"GeochgChanges{name}", label, tip)

    def _choose_result(self, *_: object) -> None:
        layer = QgsProject.instance().mapLayer(str(self.results.currentData() or ""))
        layer = layer if isinstance(layer, QgsVectorLayer) else None
        # Called when any layer comes or goes; only another result needs to be read.
        if layer is not self.layer or layer is None:
            self._set_result(layer)

    def _find_pair(self) -> None:
        """Finds the images of the result, which takes too long for each change."""
        self._pair = None
        if self.layer is not None:
            with suppress(ImageMissing):
                self._pair = source_pair(self.layer)

    def _set_result(self, layer: QgsVectorLayer | None) -> None:
        if self.layer is not None:
            mark_choice(self.layer, ())
            self.review.close()
        self._watcher.watch(layer)
        self.swipe.set_result(layer)
        self._find_pair()
        for user in (self.review, self.shapes, self.model, self.commands):
            user.set_layer(layer)
        self._show_filter()
        self._enable()

    def _show_filter(self) -> None:
        self.confidence.show_filter(self.layer)
        self._read_changes()

    def _read_changes(self) -> None:
        if self.review.is_busy:
            # Read when all parts of the edit are written.
            return
        self._reader.read(self.layer)
        self._show_count()

    def _show_count(self, notice: str = "") -> None:
        text = count_text(self.layer, self.model, is_reading=self._reader.is_reading)
        self.count.setText(" ".join(part for part in (text, notice) if part))

    def _select_on_map(self, _: QItemSelection, __: QItemSelection) -> None:
        features = self.selected_features()
        if self.layer is not None and not self._is_syncing:
            with self._hold_sync():
                self.layer.selectByIds(features)
            if len(features) <= _MAX_SHAPES:
                self._zoom_timer.start()
        self._show_choice(features)

    def _restore_selection(self) -> None:
        """Selects again after the model was reset, which clears the selection."""
        self._select_in_table()
        self._show_count()

    def _select_in_table(self) -> None:
        if self.layer is None or self._is_syncing:
            return
        rows = [self.model.row_of(feature) for feature in self.layer.selectedFeatureIds()]
        with self._hold_sync():
            self.table.select_rows(sorted(row for row in rows if row >= 0))
        self._show_choice(self.selected_features())

    @contextmanager
    def _hold_sync(self) -> Iterator[None]:
        """Keeps the map from following the table back, and the table the map."""
        self._is_syncing = True
        try:
            yield
        finally:
            self._is_syncing = False

    def _show_choice(self, features: list[int]) -> None:
        """Shows the chosen changes: outlines on the map, and the one below the list."""
        self._enable()
        if self.layer is None or not features:
            self.outlines.clear()
            self.detail.clear()
            if self.layer is not None:
                mark_choice(self.layer, ())
            return
        mark_choice(self.layer, features)
        is_few = len(features) <= _MAX_SHAPES
        shapes = [*shapes_of(self.layer, features).values()] if is_few else []
        if self.isVisible():
            self.outlines.show_shapes(shapes, self.layer.crs())
        if len(features) == 1:
            change = self.model.at(self.model.row_of(features[0]))
            self.detail.show_change(change)
            if shapes and self._pair:
                self.detail.cutouts.show_change(shapes[0], self.layer.crs(), *self._pair)
            else:
                self.detail.cutouts.clear()
        else:
            self.detail.clear()

    def _enable(self) -> None:
        has_layer, has_choice = self.layer is not None, self.table.selectionModel().hasSelection()
        enabled = dict.fromkeys(_NEEDS_CHOICE, has_layer and has_choice)
        enabled |= {"next": has_layer, "draw": has_layer}
        enabled |= {"undo": self.review.stack.can_undo, "redo": self.review.stack.can_redo}
        self.commands.set_enabled(enabled)
        for button in (self.tables, self.report):
            button.setEnabled(has_layer)

    def _changes_to_decide(self, *, goes_on: bool) -> list[ChangeRecord]:
        """The chosen changes; notes which is next."""
        rows = self.table.selected_rows()
        changes = [self.model.at(row) for row in rows]
        self._next_feature = None
        if goes_on and rows:
            passed = {change.feature for change in changes}
            self._next_feature = self.model.next_undecided(rows[-1], passed)
        return changes

    def _follow_edit(self, edit: ReviewEdit) -> None:
        """Shows what an edit made of the changes, and goes on to the next."""
        features, next_feature = list(edit.after), self._next_feature
        self._next_feature = None
        if len(features) > _MAX_REREAD:
            self._read_changes()
        else:
            self._reread(list({*edit.before, *features}))
        self._enable()
        if next_feature is not None:
            self.choose([next_feature])
        elif len(features) <= _MAX_SHAPES:
            self.choose([feature for feature in features if edit.after[feature] is not None])

    def _follow_failure(self, error: LinkError) -> None:
        self._next_feature = None
        self._show_error(error)
        self._read_changes()

    def _reread(self, features: list[int]) -> list[ChangeRecord]:
        """Reads changes again and updates the list, which drops those that are gone."""
        changes = changes_of(self.layer, features) if self.layer is not None else []
        self.model.update(features, changes)
        self._show_count()
        return changes
