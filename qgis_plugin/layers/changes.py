"""The changes of a result, read in slices so that the window stays responsive."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from qgis.core import NULL, QgsFeature, QgsFeatureRequest, QgsGeometry, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.layers.confidence_filter import confidence_filter
from geochg_qgis.layers.result_fields import REVIEW, REVIEW_CLASS
from geochg_qgis.main_thread import single_shot_timer

_SLICE_S = 0.015  # time of reading until the window handles its events again

_AGAIN_MS = 300
"""Time until changes are read again of which some were missing."""

_MOST_READINGS = 4
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


def changes_of(layer: QgsVectorLayer, features: Collection[int]) -> list[ChangeRecord]:
    """The changes with these ids, read at once, without those that are gone or filtered out."""
    request = _request(layer).setFilterFids(list(features))
    return list(_changes(layer, request))


def shapes_of(layer: QgsVectorLayer, features: Collection[int]) -> dict[int, QgsGeometry]:
    """The polygons of changes by id, in the layer's CRS, without those that are gone or empty."""
    request = QgsFeatureRequest().setFilterFids(list(features)).setNoAttributes()
    shapes = {feature.id(): feature.geometry() for feature in layer.getFeatures(request)}
    return {feature: shape for feature, shape in shapes.items() if not shape.isEmpty()}


class ChangeReader(QObject):
    """Reads all changes of a layer, in slices between the events of the window.

    Those that the slider hides are among them, those that a filter of the user's hides are not.

    While a GeoPackage is opened for writing, or closed, a reading of it may break off, which GDAL
    tells nobody of. Where changes are missing, they are read again, a few times.

    Signals:
        done: All changes are read; carries the list of `ChangeRecord`.
    """

    done = pyqtSignal(list)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pending: Iterator[ChangeRecord] = iter(())
        self._changes: list[ChangeRecord] = []
        self._timer = single_shot_timer(self, 0, self._read_slice)
        self._again_timer = single_shot_timer(self, _AGAIN_MS, self._begin)
        self._layer: QgsVectorLayer | None = None
        self._readings = self._least = 0
        self._former = -1

    @property
    def is_reading(self) -> bool:
        """Whether changes are still to be read."""
        return bool(self._timer.isActive())

    def read(self, layer: QgsVectorLayer | None) -> None:
        """Reads a layer from the start; `done` comes at once where the first slice is enough."""
        self.stop()
        self._layer, self._readings, self._former = layer, 0, -1
        self._begin()

    def stop(self) -> None:
        """Stops reading."""
        self._timer.stop()
        self._again_timer.stop()
        self._pending, self._changes, self._layer = iter(()), [], None

    def _begin(self) -> None:
        layer = self._layer
        self._readings += 1
        if layer is not None and not sip.isdeleted(layer) and layer.isValid():
            # Before the reading, behind which another program may have written to the file.
            self._least = int(layer.featureCount())
            self._pending = chain(_changes(layer, _request(layer)), _changes_below_slider(layer))
        else:
            self._least = 0
        self._read_slice()

    def _read_slice(self) -> None:
        end_s = time.monotonic() + _SLICE_S
        for change in self._pending:
            self._changes.append(change)
            if time.monotonic() > end_s:
                self._timer.start()
                return
        changes, self._changes = self._changes, []
        # Twice the same number is what there is, though the layer counts others.
        is_new, self._former = len(changes) != self._former, len(changes)
        if len(changes) < self._least and is_new and self._readings < _MOST_READINGS:
            self._again_timer.start()
        self.done.emit(changes)


def _request(layer: QgsVectorLayer) -> QgsFeatureRequest:
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    # A reading stays open between events. Others on this thread, which would wait for its
    # connection for ever where QGIS has lent out all it has, get one of their own.
    request.setRequestMayBeNested(True)
    return request.setSubsetOfAttributes(list(_FIELDS), layer.fields())


def _changes_below_slider(layer: QgsVectorLayer) -> Iterator[ChangeRecord]:
    """The changes that the slider hides, read from the layer's source."""
    parts = confidence_filter(layer.subsetString())
    if parts.percent == 0:
        return
    source = QgsVectorLayer(layer.source(), layer.name(), layer.providerType())
    if source.isValid() and source.setSubsetString(parts.text_below()):
        yield from _changes(source, _request(source))


def _changes(layer: QgsVectorLayer, request: QgsFeatureRequest) -> Iterator[ChangeRecord]:
    columns = [layer.fields().indexFromName(name) for name in _FIELDS]
    for feature in layer.getFeatures(request):
        yield _change(feature, columns)


def _change(feature: QgsFeature, columns: Sequence[int]) -> ChangeRecord:
    # All at once: a call for each attribute takes longer than the reading.
    values = feature.attributes()
    name, change, area_m2, confidence, caption, review, renamed, before, after = (
        _value(values, column) for column in columns
    )
    return ChangeRecord(
        feature.id(),
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


def _value(values: Sequence[Any], column: int) -> Any:  # noqa: ANN401
    value = values[column] if 0 <= column < len(values) else None
    return None if value == NULL else value
