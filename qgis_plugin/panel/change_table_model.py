"""The Qt model of a result's changes, which sorts and filters them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QModelIndex, Qt

from geochg_qgis.formatting import as_tip, class_title, formatted_area, formatted_share
from geochg_qgis.i18n import tr
from geochg_qgis.layers.changes import ChangeRecord
from geochg_qgis.layers.result_fields import ACCEPTED, REJECTED
from geochg_qgis.layers.style import color_among, layer_colors
from geochg_qgis.panel.record_table_model import (
    ACCESSIBLE,
    ALIGNMENT,
    DECORATION,
    DISPLAY,
    RIGHT,
    TIP,
    RecordTableModel,
)

CLASS, AREA, CONFIDENCE, CAPTION, STATE, COVER = range(6)

SHOWN, UNDECIDED, HIDDEN = "shown", "undecided", "hidden"
"""What the list may show beside `accepted` and `rejected`: all that the slider leaves, those not
decided, and those that the slider hides."""

_MARKS = {ACCEPTED: "✓", REJECTED: "✗"}
_SORT_KEYS: dict[int, Callable[[ChangeRecord], Any]] = {
    CLASS: lambda change: (class_title(change.name).lower(), tr(change.change).lower()),
    AREA: lambda change: change.area_m2,
    CONFIDENCE: lambda change: -1.0 if change.confidence is None else change.confidence,
    CAPTION: lambda change: change.caption.lower(),
    STATE: lambda change: change.review,
    COVER: lambda change: cover_transition(change).lower(),
}


class ChangeTableModel(RecordTableModel):
    """One row a change."""

    def __init__(self, parent: Any = None) -> None:  # noqa: ANN401
        super().__init__(_SORT_KEYS, (AREA, True), parent)
        self._colors = layer_colors(None)
        self._filter_text, self._state, self._least = "", SHOWN, 0.0
        self._texts: dict[int, str] = {}
        self._counted: tuple[int, int] | None = None

    @property
    def hidden_count(self) -> int:
        """Number of changes that the slider hides."""
        return self._counts()[0]

    @property
    def undecided_count(self) -> int:
        """Number of changes that the slider leaves and no one has decided on."""
        return self._counts()[1]

    @property
    def has_covers(self) -> bool:
        """Whether any change has a land cover."""
        return any(change.before or change.after for change in self.records)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Takes the colours of a result, whose changes come later."""
        self._colors = layer_colors(layer)
        self.set_records([])

    def set_filter_text(self, text: str) -> None:
        """Shows the changes that have a text in class, direction, land covers or caption."""
        self._filter_text = text.strip().lower()
        self.arrange()

    def set_state(self, state: str) -> None:
        """Shows the changes of a state: `SHOWN`, `UNDECIDED`, `HIDDEN`, accepted or rejected."""
        self._state = state
        self.arrange()

    def set_least_confidence(self, percent: int) -> None:
        """Counts changes below a confidence as hidden."""
        least = round(percent / 100, 2)
        if least != self._least:
            self._least, self._counted = least, None
            self.arrange()

    def forget(self, features: Collection[int]) -> None:
        """Forgets the searched texts and the counts."""
        self._counted = None
        for feature in features or list(self._texts):
            self._texts.pop(feature, None)

    def titles(self) -> tuple[tuple[str, str], ...]:
        """Title and description of each column."""
        return _titles()

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Text, colour, tool tip or alignment of a cell."""
        change, column = self.at(index.row()), index.column()
        if role == DISPLAY:
            return _cell_text(column, change)
        if role == TIP:
            return as_tip(change.caption)
        if role == DECORATION and column == CLASS:
            return color_among(self._colors, change.name)
        if role == ALIGNMENT and column in (AREA, CONFIDENCE):
            return RIGHT
        if role == ACCESSIBLE and column == STATE:
            return tr((change.review or UNDECIDED).capitalize())
        return None

    def is_shown(self, record: ChangeRecord) -> bool:
        """Whether slider, state and words show a change."""
        if self._is_below(record) != (self._state == HIDDEN):
            return False
        review = record.review or UNDECIDED
        if self._state not in (SHOWN, HIDDEN) and self._state != review:
            return False
        return not self._filter_text or self._filter_text in self._searched_text(record)

    def _counts(self) -> tuple[int, int]:
        """Numbers of the hidden and of the undecided changes, counted once after each edit."""
        if self._counted is None:
            listed_changes = [change for change in self.records if not self._is_below(change)]
            undecided_count = sum(not change.review for change in listed_changes)
            self._counted = self.total - len(listed_changes), undecided_count
        return self._counted

    def _is_below(self, change: ChangeRecord) -> bool:
        """Whether the slider hides a change; not where its confidence was not measured."""
        return change.confidence is not None and change.confidence < self._least

    def _searched_text(self, change: ChangeRecord) -> str:
        text = self._texts.get(change.feature)
        if text is None:
            names = f"{class_title(change.name)} {tr(change.change)} {cover_transition(change)}"
            text = self._texts[change.feature] = f"{names}\n{change.caption}".lower()
        return text


def state_texts() -> list[tuple[str, str]]:
    """The states that the list may show, with their names for the user."""
    return [
        (SHOWN, tr("All")),
        (UNDECIDED, tr("Undecided")),
        (ACCEPTED, tr("Accepted")),
        (REJECTED, tr("Rejected")),
        (HIDDEN, tr("Below the slider")),
    ]


def cover_transition(change: ChangeRecord) -> str:
    """The land covers, such as `low plants → building`; "?" for one that is not known."""
    if not change.before and not change.after:
        return ""
    return " → ".join(
        class_title(cover) if cover else "?" for cover in (change.before, change.after)
    )


def _titles() -> tuple[tuple[str, str], ...]:
    """Title and description of each column."""
    return (
        (tr("Class"), tr("Class of the change, and what happened to it")),
        (tr("Area"), tr("Area on the ground")),
        (tr("Sure"), tr("Confidence of the model")),
        (tr("Caption"), tr("What the model says of the change")),
        ("✓", tr("Decision: ✓ accepted, ✗ rejected")),
        (tr("Ground"), tr("Land cover before and after")),
    )


def _cell_text(column: int, change: ChangeRecord) -> str:
    if column == CLASS:
        return f"{class_title(change.name)}\n{tr(change.change)}"
    if column == AREA:
        return formatted_area(change.area_m2)
    if column == CONFIDENCE:
        return formatted_share(change.confidence)
    if column == CAPTION:
        return change.caption
    if column == COVER:
        return cover_transition(change).replace(" → ", "\n→ ")
    return _MARKS.get(change.review, "")
