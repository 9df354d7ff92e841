"""The edits of a review, each of which can be undone and redone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from qgis.core import QgsFeature, QgsGeometry, QgsVectorLayer

from geochg_qgis.i18n import tr
from geochg_qgis.layers.attribute_form import apply_form
from geochg_qgis.layers.editable_results import check_editable
from geochg_qgis.layers.result_fields import REVIEW
from geochg_qgis.layers.review_fields import add_review_fields
from geochg_qgis.link.errors import LinkError


class FeatureState(NamedTuple):
    """What an edit writes of a feature.

    Attributes:
        values: Attributes by the name of their field.
        shape: Polygon in the layer's CRS; None where an edit leaves it.
    """

    values: Mapping[str, Any]
    shape: QgsGeometry | None = None


class ReviewEdit(NamedTuple):
    """An edit of features of a result.

    Attributes:
        before: State by feature id before the edit; None for a feature that it adds, whose id is
            negative until it is added.
        after: State by feature id after the edit; None for a feature that it removes.
    """

    before: Mapping[int, FeatureState | None]
    after: Mapping[int, FeatureState | None]

    @property
    def has_shapes(self) -> bool:
        """Whether it adds, removes or moves features, rather than writing attributes alone."""
        states = (*self.before.values(), *self.after.values())
        return any(state is None or state.shape is not None for state in states)

    @property
    def is_review(self) -> bool:
        """Whether it writes fields of a review, rather than those of a sample."""
        states = (*self.before.values(), *self.after.values())
        return any(state is not None and REVIEW in state.values for state in states)

    def reversed(self) -> ReviewEdit:
        """The edit that takes this one back."""
        return ReviewEdit(self.after, self.before)

    def with_ids(self, new_ids: Mapping[int, int]) -> ReviewEdit:
        """The edit with other ids of some features."""
        before, after = (
            {new_ids.get(feature, feature): state for feature, state in states.items()}
            for states in self
        )
        return ReviewEdit(before, after)

    def parts(self, size: int) -> Iterator[ReviewEdit]:
        """The edit in parts of some features each."""
        features = iter(self.after)
        while part := list(islice(features, size)):
            yield ReviewEdit(*({f: states[f] for f in part} for states in self))


class EditStack:
    """The edits that can be undone and redone."""

    def __init__(self) -> None:
        self._undoable: list[ReviewEdit] = []
        self._redoable: list[ReviewEdit] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._undoable)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to redo."""
        return bool(self._redoable)

    def add(self, edit: ReviewEdit) -> None:
        """Adds an edit that was made; what was undone before can no longer be redone."""
        self._undoable.append(edit)
        self._redoable.clear()

    def edit_to_undo(self) -> ReviewEdit:
        """The last edit, turned round."""
        return self._undoable[-1].reversed()

    def edit_to_redo(self) -> ReviewEdit:
        """The edit that was undone last."""
        return self._redoable[-1]

    def note_undone(self) -> None:
        """Notes that `edit_to_undo` was made."""
        self._redoable.append(self._undoable.pop())

    def note_redone(self) -> None:
        """Notes that `edit_to_redo` was made."""
        self._undoable.append(self._redoable.pop())

    def rename(self, new_ids: Mapping[int, int]) -> None:
        """Replaces the ids of features, which get others when they are added again."""
        if new_ids:
            for edits in (self._undoable, self._redoable):
                edits[:] = [edit.with_ids(new_ids) for edit in edits]


class _Writes(NamedTuple):
    """What an edit writes, by the ids of features; attributes by the index of their column."""

    values: dict[int, dict[int, Any]]
    shapes: dict[int, QgsGeometry]
    removed_ids: list[int]
    added_features: dict[int, QgsFeature]


def apply_edit(layer: QgsVectorLayer, edit: ReviewEdit) -> dict[int, int]:
    """Makes an edit, in the layer's editing session where there is one; the map is not redrawn.

    Args:
        layer: Layer of the result.
        edit: Edit to make.

    Returns:
        The ids of features that were added, by their ids in the edit.

    Raises:
        LinkError: If the layer does not take it.
    """
    check_editable(layer, has_shapes=edit.has_shapes)
    if edit.is_review and add_review_fields(layer):
        apply_form(layer)
    write = _write_into_session if layer.isEditable() else _write_into_file
    new_ids = write(layer, edit)
    if edit.has_shapes:
        layer.updateExtents()
    return new_ids


def _writes(layer: QgsVectorLayer, edit: ReviewEdit) -> _Writes:
    fields = layer.fields()
    writes = _Writes({}, {}, [], {})
    for feature, state in edit.after.items():
        if state is None:
            writes.removed_ids.append(feature)
            continue
        columns = {fields.indexFromName(name): value for name, value in state.values.items()}
        columns.pop(-1, None)
        if edit.before[feature] is None:
            writes.added_features[feature] = _new_feature(layer, columns, state.shape)
            continue
        writes.values[feature] = columns
        if state.shape is not None:
            writes.shapes[feature] = state.shape
    return writes


def _new_feature(
    layer: QgsVectorLayer, columns: Mapping[int, Any], shape: QgsGeometry | None
) -> QgsFeature:
    feature = QgsFeature(layer.fields())
    for column, value in columns.items():
        feature.setAttribute(column, value)
    if shape is not None:
        feature.setGeometry(shape)
    return feature


def _write_into_file(layer: QgsVectorLayer, edit: ReviewEdit) -> dict[int, int]:
    provider = layer.dataProvider()
    values, shapes, removed_ids, added_features = _writes(layer, edit)
    new_ids: dict[int, int] = {}
    is_done = not values or provider.changeAttributeValues(values)
    is_done = is_done and (not shapes or provider.changeGeometryValues(shapes))
    if is_done and added_features:
        is_done, features = provider.addFeatures(list(added_features.values()))
        if is_done:
            new_ids = {key: feature.id() for key, feature in zip(added_features, features)}
    is_done = is_done and (not removed_ids or provider.deleteFeatures(removed_ids))
    if not is_done:
        # What was written before is taken back: half of an edit would be a wrong map.
        former = _writes(layer, edit.reversed())
        provider.changeAttributeValues(former.values)
        provider.changeGeometryValues(former.shapes)
        provider.deleteFeatures(list(new_ids.values()))
    _check(layer, is_done)
    return new_ids


def _write_into_session(layer: QgsVectorLayer, edit: ReviewEdit) -> dict[int, int]:
    values, shapes, removed_ids, added_features = _writes(layer, edit)
    layer.beginEditCommand("geochg")
    outcomes = [layer.changeAttributeValues(f, columns) for f, columns in values.items()]
    outcomes += [layer.changeGeometry(f, shape) for f, shape in shapes.items()]
    outcomes += [layer.addFeature(feature) for feature in added_features.values()]
    outcomes += [layer.deleteFeature(feature) for feature in removed_ids]
    is_done = all(outcomes)
    if is_done:
        layer.endEditCommand()
    else:
        layer.destroyEditCommand()
    _check(layer, is_done)
    return {key: feature.id() for key, feature in added_features.items()}


def _check(layer: QgsVectorLayer, is_done: bool) -> None:
    if not is_done:
        raise LinkError(
            tr("{} could not be changed").format(layer.name()),
            tr("check that the file may be written"),
        )
