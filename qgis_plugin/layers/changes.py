"""The changes of a result, read in slices so that the window stays responsive."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from qgis.core import QgsFeatureRequest, QgsGeometry, QgsVectorLayer
from qgis.PyQt.QtCore import QObject

from geochg_qgis.layers.confidence_filter import confidence_filter
from geochg_qgis.layers.record_reader import RecordReader, attribute_request, attribute_rows
from geochg_qgis.layers.result_fields import REVIEW, REVIEW_CLASS

_FIELDS = (
    "class",
    "change",
    "area_m2",
    "confidence",
    "caption",
    REVIEW,
    REVIEW_CLASS,
    "before_class",
    "after_class",
)


class ChangeRecord(NamedTuple):
    """One feature of a result, without its shape.

    Attributes:
        feature: Id of the feature in the layer.
        model_class: Class that the model gave.
        change: Direction of the change.
        area_m2: Area on the ellipsoid.
        confidence: Confidence of the model, 0 to 1; None where it was not measured.
        caption: Sentence of the model.
        review: Decision of the reviewer: `accepted`, `rejected` or empty.
        before: Land cover at the earlier date; empty where the model names none.
        after: Land cover at the later date; empty where the model names none.
        review_class: Class that the reviewer gave instead; empty where the model's stands.
    """

    feature: int
    model_class: str
    change: str
    area_m2: float
    confidence: float | None
    caption: str
    review: str
    before: str = ""
    after: str = ""
    review_class: str = ""

    @property
    def name(self) -> str:
        """Class; the reviewer's where there is one."""
        return self.review_class or self.model_class

    @property
    def is_decided(self) -> bool:
        """Whether a reviewer decided on it."""
        return bool(self.review)

    @property
    def decision(self) -> tuple[tuple[str, str | None], ...]:
        """The fields of the decision with their values."""
        return (REVIEW, self.review or None), (REVIEW_CLASS, self.review_class or None)


def changes_of(layer: QgsVectorLayer, features: Collection[int]) -> list[ChangeRecord]:
    """The changes with these ids, read at once, without those that are gone or filtered out."""
    request = attribute_request(layer, _FIELDS).setFilterFids(list(features))
    return list(_changes(layer, request))


def shapes_of(layer: QgsVectorLayer, features: Collection[int]) -> dict[int, QgsGeometry]:
    """The polygons of features by id, in the layer's CRS, without those that are gone or empty."""
    request = QgsFeatureRequest().setFilterFids(list(features)).setNoAttributes()
    shapes = {feature.id(): feature.geometry() for feature in layer.getFeatures(request)}
    return {feature: shape for feature, shape in shapes.items() if not shape.isEmpty()}


class ChangeReader(RecordReader):
    """Reads all changes of a layer, in slices between the events of the window.

    Those that the slider hides are among them, those that a filter of the user's hides are not.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(_all_changes, parent)


def _all_changes(layer: QgsVectorLayer) -> Iterator[ChangeRecord]:
    shown_changes = _changes(layer, attribute_request(layer, _FIELDS))
    return chain(shown_changes, _changes_below_slider(layer))


def _changes_below_slider(layer: QgsVectorLayer) -> Iterator[ChangeRecord]:
    """The changes that the slider hides, read from the layer's source."""
    parts = confidence_filter(layer.subsetString())
    if parts.percent == 0:
        return
    source = QgsVectorLayer(layer.source(), layer.name(), layer.providerType())
    if source.isValid() and source.setSubsetString(parts.text_below()):
        yield from _changes(source, attribute_request(source, _FIELDS))


def _changes(layer: QgsVectorLayer, request: QgsFeatureRequest) -> Iterator[ChangeRecord]:
    for feature, values in attribute_rows(layer, request, _FIELDS):
        yield _change(feature, values)


def _change(feature: int, values: Sequence[Any]) -> ChangeRecord:
    name, change, area_m2, confidence, caption, review, renamed, before, after = values
    return ChangeRecord(
        feature,
        str(name or ""),
        str(change or ""),
        float(area_m2 or 0),
        None if confidence is None else float(confidence),
        str(caption or ""),
        str(review or ""),
        str(before or ""),
        str(after or ""),
        str(renamed or ""),
    )
