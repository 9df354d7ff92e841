"""The widget in which the units of a sample are judged, blind, by keys or clicks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer, QgsUnitTypes, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtGui import QHideEvent, QShowEvent
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QPushButton, QWidget

from geochg_qgis.formatting import class_title, formatted_number
from geochg_qgis.i18n import tr
from geochg_qgis.layers.blind_map import BlindMap
from geochg_qgis.layers.image_identity import source_pair
from geochg_qgis.layers.sample_fields import REFERENCE_CHANGE, REFERENCE_CLASS, UNCHANGED
from geochg_qgis.layers.sample_layers import (
    check_sample_fields,
    classes_to_judge,
    samples_in_project,
)
from geochg_qgis.layers.units import UnitReader, UnitRecord, units_of
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import single_shot_timer
from geochg_qgis.panel.cutouts_widget import CutoutsWidget, least_side
from geochg_qgis.panel.judge_actions import JudgeActions
from geochg_qgis.panel.key_actions import MOST_NUMBER_KEYS
from geochg_qgis.panel.layouts import (
    choice_box,
    column_layout,
    name_widget,
    plain_label,
    row_layout,
)
from geochg_qgis.panel.record_list_widget import RecordListWidget
from geochg_qgis.panel.unit_table_model import UnitTableModel, judgement_text, unit_state_texts
from geochg_qgis.panel.unit_table_widget import UnitTableWidget

_CONTEXT_M, _LEAST_CONTEXT_M, _MOST_CONTEXT_M = 40.0, 5.0, 100_000.0
"""Side of a cutout in metres, where that is more than its least side in pixels, and its bounds."""

_STEP = 1.5
_LEAST_FRAME_PX = 15
_DEGREE_M = 111_320.0
_NEEDS_CHOICE = ("unchanged", "appeared", "disappeared", "altered", "clear")


class SampleListWidget(RecordListWidget):
    """Shows the units of one sample, and nothing of what the map says of them.

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
        super().__init__(iface, show_error, parent, "GeochgSampleSwipe")
        self.blind_map = BlindMap()
        self._scale = 1.0
        # A layer that is added is in the layer tree a moment later.
        self._hide_later = single_shot_timer(self, 0, self._hide_results)
        self.reader = UnitReader(self)
        self.draw = QPushButton(tr("Draw a sample…"), self)
        self.blind = QCheckBox(tr("Hide results on the map"), self)
        self.blind.setChecked(True)
        self.images = QPushButton(tr("Find the images…"), self)
        self.classes = choice_box(self)
        self.states = choice_box(self, unit_state_texts())
        self.model = UnitTableModel(self)
        self.table = UnitTableWidget(self.model, self)
        self.cutouts = CutoutsWidget(self, "GeochgSampleCutouts", _LEAST_FRAME_PX)
        self.facts = plain_label(self)
        self.assess = QPushButton(tr("&Assess…"), self)
        self.commands = JudgeActions(self._slots(), self)
        self._lay_out()
        self._name_widgets()
        self.states.currentIndexChanged.connect(
            lambda _: self.model.set_state(self.states.currentData())
        )
        self.blind.toggled.connect(self._hide_results)
        self.images.clicked.connect(lambda _: self.find_images())
        self.begin()

    def judge(self, name: str, change: str) -> None:
        """Judges the chosen units, and goes on.

        Args:
            name: The class that changed; not for `unchanged`.
            change: What happened to it.
        """
        self._write({REFERENCE_CLASS: name or None, REFERENCE_CHANGE: change}, goes_on=True)
        self.choose_class(0)

    def judge_direction(self, change: str) -> None:
        """Judges the chosen units by the chosen class; asks for one where none is chosen."""
        name = str(self.classes.currentData() or "")
        if name:
            self.judge(name, change)
        else:
            self.commands.ask_for_class(change)

    def reset(self) -> None:
        """Takes the judgement of the chosen units back."""
        self._write({REFERENCE_CLASS: None, REFERENCE_CHANGE: None}, goes_on=False)

    def choose_class(self, place: int) -> None:
        """Chooses a class by its place in the list; 0 for none."""
        if 0 <= place < self.classes.count():
            self.classes.setCurrentIndex(place)

    def scale_context(self, factor: float) -> None:
        """Shows more or less of what is around a unit, here and on the map."""
        scale = self._scale * factor
        if _LEAST_CONTEXT_M <= _CONTEXT_M * scale <= _MOST_CONTEXT_M:
            self._scale = scale
            self.show_choice()
            self.zoom()

    def find_images(self) -> None:
        """Tells which image of the sample is missing, and lets the user find it."""
        if self.layer is not None:
            try:
                source_pair(self.layer)
            except LinkError as error:
                self._show_error(error)

    def refresh(self, *_: object) -> None:
        """Offers the samples of the project, and hides results that were added."""
        super().refresh()
        self._hide_later.start()

    def layers(self) -> list[QgsVectorLayer]:
        """The samples of the project."""
        return samples_in_project()

    def records_of(self, layer: QgsVectorLayer, features: Collection[int]) -> list[UnitRecord]:
        """The units with these ids, read at once."""
        return units_of(layer, features)

    def set_users(self, layer: QgsVectorLayer | None) -> None:
        """Offers the classes of a sample, and empties the list."""
        self.model.set_layer(layer)
        names = classes_to_judge(layer)
        self.commands.set_classes(names)
        self.classes.clear()
        self.classes.addItem(tr("Class, by its number"), "")
        for number, name in enumerate(names, start=1):
            text = class_title(name)
            self.classes.addItem(f"{number} {text}" if number <= MOST_NUMBER_KEYS else text, name)
        self._hide_results()

    def show_record(self, record: Any | None) -> None:  # noqa: ANN401
        """Shows what is known of the chosen unit: its number, the judgement and the note."""
        parts = []
        if record is not None:
            parts = [tr("Unit {}").format(record.number), judgement_text(record), record.note]
        self.facts.setText(", ".join(part for part in parts if part))

    def enabled_actions(self, *, has_choice: bool) -> dict[str, bool]:
        """What can be done with the chosen units; the buttons of the sample go along."""
        has_layer = self.layer is not None
        self.assess.setEnabled(has_layer)
        self.images.setVisible(has_layer and self.pair is None)
        return {
            **dict.fromkeys(_NEEDS_CHOICE, has_choice),
            **dict.fromkeys(("wider", "closer"), has_layer),
        }

    def count_text(self, *, is_reading: bool) -> str:
        """How many units are judged, such as `37 of 200 judged`."""
        if self.layer is None:
            return tr("No sample yet: draw one, or add one to the project.")
        if is_reading:
            return tr("Reading the units")
        numbers = map(formatted_number, (self.model.judged_count, self.model.total))
        text = tr("{0} of {1} judged").format(*numbers)
        if self.layer.subsetString():
            hidden_text = tr("the layer is also filtered by {}").format(self.layer.subsetString())
            text = f"{text}, {hidden_text}"
        return text

    def all_decided_text(self) -> str:
        """What is said where nothing is left to judge."""
        return tr("All units of the list are judged.")

    def context_side(self, image: QgsRasterLayer) -> float:
        """The least side of a cutout in units of an image's CRS."""
        return self._scale * max(least_side(image), _in_units(_CONTEXT_M, image.crs()))

    def showEvent(self, event: QShowEvent) -> None:
        """Hides on the map what would not be blind."""
        super().showEvent(event)
        self._hide_results()

    def hideEvent(self, event: QHideEvent) -> None:
        """Shows it again."""
        super().hideEvent(event)
        self.blind_map.show()

    def close_down(self) -> None:
        """Ends the swipe, stops reading and watching the sample, and shows what was hidden."""
        super().close_down()
        self._hide_later.stop()
        self.blind_map.show()

    def _write(self, values: dict[str, str | None], *, goes_on: bool) -> None:
        if self.layer is None:
            return
        try:
            check_sample_fields(self.layer)
        except LinkError as error:
            self._show_error(error)
            return
        self.review.set_values(self.records_to_decide(goes_on=goes_on), values)

    def _hide_results(self, *_: object) -> None:
        is_wanted = self.blind.isChecked() and self.layer is not None
        if is_wanted and self.isVisible():
            self.blind_map.hide()
        else:
            self.blind_map.show()

    def _slots(self) -> dict[str, Callable[..., object]]:
        return {
            "unchanged": lambda: self.judge("", UNCHANGED),
            **{
                change: lambda change=change: self.judge_direction(change)
                for change in ("appeared", "disappeared", "altered")
            },
            "judge": self.judge,
            "choose_class": self.choose_class,
            "clear": self.reset,
            "next": self.go_to_next,
            "undo": self.review.undo,
            "redo": self.review.redo,
            "wider": lambda: self.scale_context(_STEP),
            "closer": lambda: self.scale_context(1 / _STEP),
        }

    def _lay_out(self) -> None:
        form = QFormLayout()
        sample_row = row_layout(self.results, self.swipe)
        form.addRow(self.set_label_of(tr("Sample"), self.results), sample_row)
        # In rows of their own: in other languages they are longer, and the panel may be narrow.
        dialogs = row_layout(self.draw, self.assess)
        counts = row_layout(self.count, self.states)
        class_form = QFormLayout()
        class_form.addRow(self.set_label_of(tr("Class"), self.classes), self.classes)
        self.buttons, grid = self.commands.buttons(self)
        above_table = (form, dialogs, self.blind, self.images, counts)
        items = (*above_table, self.table, self.cutouts, self.facts, class_form, grid)
        column_layout(self, *items, tallest=self.table)
        above = (self.results, self.swipe, self.draw, self.assess, self.blind, self.images)
        below = (self.states, self.table, self.classes, *self.buttons.values())
        widgets = (*above, *below)
        for former, widget in zip(widgets, widgets[1:]):
            QWidget.setTabOrder(former, widget)

    def _name_widgets(self) -> None:
        for widget, name, label, tip in (
            (self.results, "Sample", tr("Sample"), tr("The sample whose units are judged")),
            (self.draw, "Draw", tr("Draw a sample"), tr("Draws a random sample of a result")),
            (
                self.blind,
                "Blind",
                tr("Hide results on the map"),
                tr("Hides what the map says while you judge, and shows it again behind that"),
            ),
            (
                self.images,
                "Images",
                tr("Find the images"),
                tr("An image of the sample is not in the project"),
            ),
            (self.states, "States", tr("Shown units"), tr("List only units of one state")),
            (self.table, "Table", tr("Units"), tr("The units; keys as in the menu")),
            (
                self.classes,
                "Classes",
                tr("Class"),
                tr("The class that changed; a number chooses it, then a key tells the direction"),
            ),
            (self.assess, "Assess", tr("Assess"), tr("Tells how right the map is")),
            (self.count, "Count", tr("Number of units"), tr("How many units are judged")),
            (self.facts, "Facts", tr("Facts of the unit"), tr("The unit that is chosen")),
        ):
            name_widget(widget, f"GeochgSample{name}", label, tip)


def _in_units(metres: float, crs: QgsCoordinateReferenceSystem) -> float:
    """A length in units of a CRS, as far as that can be told without a place."""
    if crs.isGeographic():
        return metres / _DEGREE_M
    factor = QgsUnitTypes.fromUnitToUnitFactor(
        QgsUnitTypes.DistanceUnit.DistanceMeters, crs.mapUnits()
    )
    return metres * float(factor)
