"""The list that results and samples share: in step with the map, decided on by keys or clicks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from qgis.core import QgsGeometry, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QItemSelection, QPoint, Qt
from qgis.PyQt.QtGui import QHideEvent, QKeyEvent, QShowEvent
from qgis.PyQt.QtWidgets import QLabel, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import shapes_of
from geochg_qgis.layers.choice import mark_choice
from geochg_qgis.layers.image_identity import ImageMissing, source_pair
from geochg_qgis.layers.record_reader import FeatureRecord, RecordReader
from geochg_qgis.layers.result_watcher import ResultWatcher
from geochg_qgis.layers.review_edits import ReviewEdit
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.change_outlines import ChangeOutlines
from geochg_qgis.panel.cutouts_widget import CutoutsWidget
from geochg_qgis.panel.key_actions import KeyActions
from geochg_qgis.panel.layouts import choice_box, plain_label
from geochg_qgis.panel.record_table_model import RecordTableModel
from geochg_qgis.panel.record_table_widget import RecordTableWidget
from geochg_qgis.panel.review_controller import ReviewController
from geochg_qgis.panel.swipe_button_widget import SwipeButton

_MAX_REREAD = 500
"""Features that are read again at once; of more, all are read in slices."""

_MAX_SHAPES = 200
"""Features that are outlined, and that the map moves to."""


class RecordListWidget(QWidget):
    """Shows the features of one layer that a person decides on, one by one.

    A subclass makes its parts before it calls `begin`, and says by its hooks what they show.

    Args:
        iface: Interface of QGIS.
        show_error: Function that shows an error to the user.
        parent: Parent widget.
        swipe_name: Object name of the swipe's button.

    Attributes:
        results: The layers to choose from.
        model: The records that are listed.
        table: Their table.
        commands: The actions with their keys.
        cutouts: The chosen place before and after.
        reader: Reads all records of a layer.
    """

    model: RecordTableModel
    table: RecordTableWidget
    commands: KeyActions
    cutouts: CutoutsWidget
    reader: RecordReader

    def __init__(
        self,
        iface: QgisInterface,
        show_error: Callable[[LinkError], object],
        parent: QWidget | None,
        swipe_name: str,
    ) -> None:
        super().__init__(parent)
        self._iface, self._show_error = iface, show_error
        self._is_syncing = False
        self._next_feature: int | None = None
        self._pair: tuple[QgsRasterLayer, QgsRasterLayer] | None = None
        self._watcher = ResultWatcher(self)
        self.results, self.count = choice_box(self), plain_label(self)
        self.swipe = SwipeButton(iface, show_error, self, swipe_name)
        self.outlines = ChangeOutlines(iface.mapCanvas(), self)
        self.review = ReviewController(self)
        self._zoom_timer = single_shot_timer(self, 0, self.zoom)

    def layers(self) -> list[QgsVectorLayer]:
        """The layers of the project to choose from."""
        raise NotImplementedError

    def records_of(self, layer: QgsVectorLayer, features: Collection[int]) -> Sequence[Any]:
        """The records of some features, read at once, without those that are gone."""
        raise NotImplementedError

    def set_users(self, layer: QgsVectorLayer | None) -> None:
        """Tells all that work on the layer which one it is."""
        raise NotImplementedError

    def show_record(self, record: Any | None) -> None:  # noqa: ANN401
        """Shows what is known of the one chosen record, or nothing."""
        raise NotImplementedError

    def enabled_actions(self, *, has_choice: bool) -> dict[str, bool]:
        """Which actions can be used, beside those that all lists have."""
        raise NotImplementedError

    def count_text(self, *, is_reading: bool) -> str:
        """How many records are listed and decided."""
        raise NotImplementedError

    def context_side(self, image: QgsRasterLayer) -> float:
        """The least side of a cutout in units of an image's CRS."""
        raise NotImplementedError

    def begin(self) -> None:
        """Connects the parts, and offers the layers of the project."""
        project = QgsProject.instance()
        project.layersAdded.connect(self.refresh)
        project.layersRemoved.connect(self.refresh)
        self.results.currentIndexChanged.connect(self._choose_result)
        self._watcher.changed.connect(self.read_records)
        self._watcher.filtered.connect(self.follow_filter)
        self._watcher.selected.connect(self._select_in_table)
        self.reader.done.connect(self.model.set_records)
        self.reader.done.connect(lambda _: self.show_count())
        self.model.modelReset.connect(self._restore_selection)
        self.table.selectionModel().selectionChanged.connect(self._select_on_map)
        self.table.clicked.connect(lambda _: self._zoom_timer.start())
        self.table.activated.connect(lambda _: self._zoom_timer.start())
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        self.review.edited.connect(self._follow_edit)
        self.review.failed.connect(self._follow_failure)
        self.commands.add_to(self)
        self._set_result(None)
        self.refresh()

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The layer whose features are listed."""
        return self._watcher.layer

    @property
    def pair(self) -> tuple[QgsRasterLayer, QgsRasterLayer] | None:
        """The two images of the layer, the earlier first; None where one is missing."""
        return self._pair

    def show_layer(self, layer: QgsVectorLayer) -> None:
        """Lists the features of a layer."""
        self.refresh()
        self.results.setCurrentIndex(self.results.findData(layer.id()))

    def refresh(self, *_: object) -> None:
        """Offers the layers of the project."""
        chosen_result = self.results.currentData()
        self.results.blockSignals(True)
        self.results.clear()
        for layer in self.layers():
            self.results.addItem(layer.name(), layer.id())
        self.results.setCurrentIndex(max(0, self.results.findData(chosen_result)))
        self.results.blockSignals(False)
        self._choose_result()
        former_pair = self._pair
        self._find_pair()
        if self._pair != former_pair:
            self.show_choice()

    def go_to_next(self) -> None:
        """Chooses the next record that is not decided."""
        rows = self.table.selected_rows()
        feature = self.model.next_undecided(rows[-1] if rows else -1)
        if feature is None:
            self.show_count(self.all_decided_text())
        else:
            self.choose([feature])

    def all_decided_text(self) -> str:
        """What is said where nothing is left to decide."""
        return tr("All changes of the list are decided.")

    def choose(self, features: list[int]) -> None:
        """Chooses records in the list and on the map, and moves the map to them."""
        rows = sorted(row for row in map(self.model.row_of, features) if row >= 0)
        self.table.select_rows(rows)

    def selected_features(self) -> list[int]:
        """Ids of the features in the selected rows."""
        return [self.model.at(row).feature for row in self.table.selected_rows()]

    def zoom(self) -> None:
        """Moves the map to the chosen features, with what is around them, and flashes them."""
        features = self.selected_features()
        if len(features) > _MAX_SHAPES:
            return
        features = [record.feature for record in self._reread(features)]
        layer = self.layer
        shapes = self._shapes(features) if layer is not None else []
        if layer is None or not shapes:
            return
        is_alike = self._pair is not None and self._pair[1].crs() == layer.crs()
        side = 2 * self.context_side(self._pair[1]) if self._pair and is_alike else 0.0
        self.outlines.zoom(shapes, layer.crs(), side)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ends the swipe on Escape, also while the list has the focus."""
        if event.key() == Qt.Key.Key_Escape and self.swipe.isChecked():
            self.swipe.close_down()
        else:
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        """Lets the map take the keys, and outlines the chosen features."""
        super().showEvent(event)
        self.commands.add_to(self._iface.mapCanvas())
        self.show_choice()

    def hideEvent(self, event: QHideEvent) -> None:
        """Takes keys and outlines from the map."""
        super().hideEvent(event)
        self.commands.remove_from(self._iface.mapCanvas())
        self.outlines.clear()

    def close_down(self) -> None:
        """Ends the swipe and stops reading and watching the layer."""
        self.swipe.close_down()
        self.commands.remove_from(self._iface.mapCanvas())
        self._zoom_timer.stop()
        self._set_result(None)
        self.show_choice()
        self.reader.stop()

    def follow_filter(self) -> None:
        """Reads the records anew behind another filter of the layer."""
        self.read_records()

    def read_records(self) -> None:
        """Reads all records."""
        if self.review.is_busy:
            # Read when all parts of the edit are written.
            return
        self.reader.read(self.layer)
        self.show_count()

    def show_count(self, notice: str = "") -> None:
        """Shows how many records are listed, with a notice behind it."""
        text = self.count_text(is_reading=self.reader.is_reading)
        self.count.setText(" ".join(part for part in (text, notice) if part))

    def enable(self) -> None:
        """Enables the actions that can be used now."""
        has_layer, has_choice = self.layer is not None, self.table.selectionModel().hasSelection()
        stack = self.review.stack
        shared = {"next": has_layer, "undo": stack.can_undo, "redo": stack.can_redo}
        self.commands.set_enabled(
            {**shared, **self.enabled_actions(has_choice=has_layer and has_choice)}
        )

    def records_to_decide(self, *, goes_on: bool) -> list[FeatureRecord]:
        """The chosen records; notes which is next."""
        rows = self.table.selected_rows()
        records = [self.model.at(row) for row in rows]
        self._next_feature = None
        if goes_on and rows:
            passed = {record.feature for record in records}
            self._next_feature = self.model.next_undecided(rows[-1], passed)
        return records

    def show_choice(self) -> None:
        """Shows the chosen records: outlines on the map, and the one below the list."""
        self.enable()
        features = self.selected_features()
        if self.layer is None or not features:
            self.outlines.clear()
            self.show_record(None)
            self.cutouts.clear()
            if self.layer is not None:
                mark_choice(self.layer, ())
            return
        mark_choice(self.layer, features)
        shapes = self._shapes(features) if len(features) <= _MAX_SHAPES else []
        if self.isVisible():
            self.outlines.show_shapes(shapes, self.layer.crs())
        is_single = len(features) == 1
        self.show_record(self.model.at(self.model.row_of(features[0])) if is_single else None)
        if is_single and shapes and self._pair:
            side = self.context_side(self._pair[1])
            self.cutouts.show_change(shapes[0], self.layer.crs(), *self._pair, side)
        else:
            self.cutouts.clear()

    def set_label_of(self, text: str, widget: QWidget) -> QLabel:
        """A label whose mnemonic leads to a widget."""
        label = QLabel(text, self)
        label.setBuddy(widget)
        return label

    def _choose_result(self, *_: object) -> None:
        layer = QgsProject.instance().mapLayer(str(self.results.currentData() or ""))
        layer = layer if isinstance(layer, QgsVectorLayer) else None
        # Called when any layer comes or goes; only another one needs to be read.
        if layer is not self.layer or layer is None:
            self._set_result(layer)

    def _find_pair(self) -> None:
        """Finds the images of the layer, which takes too long for each feature."""
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
        self.review.set_layer(layer)
        self.set_users(layer)
        self.follow_filter()
        self.enable()

    def _select_on_map(self, _: QItemSelection, __: QItemSelection) -> None:
        features = self.selected_features()
        if self.layer is not None and not self._is_syncing:
            with self._hold_sync():
                self.layer.selectByIds(features)
            if len(features) <= _MAX_SHAPES:
                self._zoom_timer.start()
        self.show_choice()

    def _restore_selection(self) -> None:
        """Selects again after the model was reset, which clears the selection."""
        self._select_in_table()
        self.show_count()

    def _select_in_table(self) -> None:
        if self.layer is None or self._is_syncing:
            return
        rows = [self.model.row_of(feature) for feature in self.layer.selectedFeatureIds()]
        with self._hold_sync():
            self.table.select_rows(sorted(row for row in rows if row >= 0))
        self.show_choice()

    @contextmanager
    def _hold_sync(self) -> Iterator[None]:
        """Keeps the map from following the table back, and the table the map."""
        self._is_syncing = True
        try:
            yield
        finally:
            self._is_syncing = False

    def _shapes(self, features: list[int]) -> list[QgsGeometry]:
        return list(shapes_of(self.layer, features).values())

    def _open_menu(self, point: QPoint) -> None:
        self.commands.menu.popup(self.table.viewport().mapToGlobal(point))

    def _follow_edit(self, edit: ReviewEdit) -> None:
        """Shows what an edit made of the features, and goes on to the next."""
        features, next_feature = list(edit.after), self._next_feature
        self._next_feature = None
        if len(features) > _MAX_REREAD:
            self.read_records()
        else:
            self._reread(list({*edit.before, *features}))
        self.enable()
        if next_feature is not None:
            self.choose([next_feature])
        elif len(features) <= _MAX_SHAPES:
            self.choose([feature for feature in features if edit.after[feature] is not None])

    def _follow_failure(self, error: LinkError) -> None:
        self._next_feature = None
        self._show_error(error)
        self.read_records()

    def _reread(self, features: list[int]) -> Sequence[Any]:
        """Reads features again and updates the list, which drops those that are gone."""
        records = self.records_of(self.layer, features) if self.layer is not None else []
        self.model.update(features, records)
        self.show_count()
        return records
