"""The controller of a review or of judging: decides, undoes and redoes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.layers.changes import ChangeRecord
from geochg_qgis.layers.record_reader import FeatureRecord
from geochg_qgis.layers.result_fields import ACCEPTED, REVIEW, REVIEW_CLASS
from geochg_qgis.layers.review_edits import (
    EditStack,
    FeatureState,
    ReviewEdit,
    apply_edit,
)
from geochg_qgis.layers.style import add_to_legend
from geochg_qgis.link.errors import LinkError
from geochg_qgis.main_thread import MainThreadQueue

_PART = 250
"""Features that are written between two rounds of the window's events."""


class ReviewController(QObject):
    """Makes the edits of a review, large ones in parts, and keeps those of each result.

    Args:
        parent: Parent object.

    Signals:
        edited: An edit was made; carries the `ReviewEdit`, with the ids as they are now.
        failed: An edit failed; carries the `LinkError`.
    """

    edited = pyqtSignal(object)
    failed = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer: QgsVectorLayer | None = None
        self._is_kept_open = False
        self._stacks: dict[str, EditStack] = {}
        self._queue = MainThreadQueue(self)

    @property
    def is_busy(self) -> bool:
        """Whether an edit is being made in parts; others are refused until it is made."""
        return self._queue.is_busy

    @property
    def stack(self) -> EditStack:
        """The edits of the result."""
        key = self._layer.id() if self._layer is not None else ""
        return self._stacks.setdefault(key, EditStack())

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Sets the result that is reviewed; `close` comes before, unless its layer is gone."""
        self._queue.stop()
        self._layer = layer
        # Kept open for writing: opened for each decision, a GeoPackage is switched to another
        # journal and back, which waits for all who read it, the map's drawing among them.
        self._is_kept_open = layer is not None and layer.dataProvider().enterUpdateMode()

    def close(self) -> None:
        """Closes the file of the result for writing."""
        if self._layer is not None and self._is_kept_open:
            self._layer.dataProvider().leaveUpdateMode()
        self._layer = None

    def decide(self, changes: Sequence[FeatureRecord], review: str | None) -> None:
        """Accepts, rejects, or (None) resets changes."""
        values: dict[str, str | None] = {REVIEW: review}
        if review is None:
            values[REVIEW_CLASS] = None
        self.set_values(changes, values)

    def relabel(self, changes: Sequence[ChangeRecord], name: str) -> None:
        """Accepts changes as those of another class, which the legend then has."""
        kinds = {(name, change.change) for change in changes}
        self.set_values(changes, {REVIEW: ACCEPTED, REVIEW_CLASS: name}, kinds)

    def set_values(
        self,
        records: Sequence[FeatureRecord],
        values: Mapping[str, str | None],
        kinds: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Writes a decision, which can be undone.

        Args:
            records: What is decided on.
            values: Fields of the decision with their new values; others stay.
            kinds: Classes with directions that the legend has once it is written.
        """
        if not records:
            return
        # One state for all that are alike, of which there may be thousands.
        states = {
            decision: FeatureState(dict(decision))
            for decision in {record.decision for record in records}
        }
        new_states = {
            decision: FeatureState({**state.values, **values}) for decision, state in states.items()
        }
        decisions = {record.feature: record.decision for record in records}
        before = {feature: states[decision] for feature, decision in decisions.items()}
        after = {feature: new_states[decision] for feature, decision in decisions.items()}
        self.make(ReviewEdit(before, after), kinds)

    def make(self, edit: ReviewEdit, kinds: Iterable[tuple[str, str]] = ()) -> None:
        """Makes an edit, which can be undone.

        Args:
            edit: Edit to make.
            kinds: Classes with directions that the legend has once it is made.
        """

        def note(new_edit: ReviewEdit) -> None:
            self.stack.add(new_edit)
            if self._layer is not None:
                add_to_legend(self._layer, kinds)

        self._apply(edit, note)

    def undo(self) -> None:
        """Undoes the last edit."""
        if self.stack.can_undo:
            self._apply(self.stack.edit_to_undo(), lambda _: self.stack.note_undone())

    def redo(self) -> None:
        """Makes the edit anew that was undone last."""
        if self.stack.can_redo:
            self._apply(self.stack.edit_to_redo(), lambda _: self.stack.note_redone())

    def _apply(self, edit: ReviewEdit, note: Callable[[ReviewEdit], object]) -> None:
        if self._layer is None or self.is_busy:
            return
        if edit.has_shapes or len(edit.after) <= _PART:
            new_edit = self._written(edit)
            if new_edit is not None:
                self._announce(new_edit, note)
            return
        parts = list(edit.parts(_PART))
        steps = [partial(self._write_part, parts, number) for number in range(len(parts))]
        self._queue.add([*steps, lambda: self._announce(edit, note)])

    def _write_part(self, parts: Sequence[ReviewEdit], number: int) -> None:
        """Writes a part of a large edit; where it fails, those before it are taken back."""
        if self._written(parts[number]) is None:
            self._queue.stop()
            for part in reversed(parts[:number]):
                self._written(part.reversed())

    def _written(self, edit: ReviewEdit) -> ReviewEdit | None:
        """Writes an edit; gives it with the ids of features it added, or None where it failed."""
        try:
            new_ids = apply_edit(self._layer, edit)
        except LinkError as error:
            self.failed.emit(error)
            return None
        self.stack.rename(new_ids)
        return edit.with_ids(new_ids)

    def _announce(self, edit: ReviewEdit, note: Callable[[ReviewEdit], object]) -> None:
        note(edit)
        if self._layer is not None:
            self._layer.triggerRepaint()
        self.edited.emit(edit)
