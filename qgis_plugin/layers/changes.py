"""The changes of a result, read a few at a time so that the window stays free."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from qgis.core import NULL, QgsFeature, QgsFeatureRequest, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from geochg_qgis.layers.fields import REVIEW, REVIEW_CLASS

_SLICE_S = 0.015
"""How long is read before the window is served again."""

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


class Change(NamedTuple):
    """One feature of a result, without its shape.

    Attributes:
        feature: Its id in the layer.
        name: The class; the reviewer's where there is one.
        change: The direction.
        area_m2: On the ellipsoid.
        confidence: 0 to 1.
        caption: The model's sentence.
        review: `accepted`, `rejected` or empty.
        before: Land cover at the earlier date; empty where the model cannot tell.
        after: Land cover at the later date.
    """

    feature: int
    name: str
    change: str
    area_m2: float
    confidence: float
    caption: str
    review: str
    before: str = ""
    after: str = ""


def changes_of(layer: QgsVectorLayer, features: Collection[int]) -> list[Change]:
    """Some changes, read at once; those that are gone, or filtered out, are left out."""
    request = _request(layer).setFilterFids(list(features))
    return list(_read(layer, request))


class ChangeReader(QObject):
    """Reads all changes of a layer, in slices between the events of the window.

    Signals:
        done: The list of `Change`.
    """

    done = pyqtSignal(list)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._coming: Iterator[Change] = iter(())
        self._read: list[Change] = []
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.setInterval(0)
        self._next.timeout.connect(self._go_on)

    @property
    def is_reading(self) -> bool:
        """Whether there is more to come."""
        return bool(self._next.isActive())

    def read(self, layer: QgsVectorLayer | None) -> None:
        """Begins anew; a layer that is read within the first slice is told of at once."""
        self.stop()
        if layer is not None and layer.isValid():
            self._coming = _read(layer, _request(layer))
        self._go_on()

    def stop(self) -> None:
        """Reads no further."""
        self._next.stop()
        self._coming, self._read = iter(()), []

    def _go_on(self) -> None:
        end_s = time.monotonic() + _SLICE_S
        for change in self._coming:
            self._read.append(change)
            if time.monotonic() > end_s:
                self._next.start()
                return
        read, self._read = self._read, []
        self.done.emit(read)


def _request(layer: QgsVectorLayer) -> QgsFeatureRequest:
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    return request.setSubsetOfAttributes(list(_FIELDS), layer.fields())


def _read(layer: QgsVectorLayer, request: QgsFeatureRequest) -> Iterator[Change]:
    places = [layer.fields().indexFromName(name) for name in _FIELDS]
    for feature in layer.getFeatures(request):
        yield _change(feature, places)


def _change(feature: QgsFeature, places: Sequence[int]) -> Change:
    # All at once: a call for each attribute takes longer than the reading.
    values = feature.attributes()
    name, change, area_m2, confidence, caption, review, renamed, before, after = (
        _value(values, place) for place in places
    )
    return Change(
        feature.id(),
        str(renamed or name or ""),
        str(change or ""),
        float(area_m2 or 0),
        float(confidence or 0),
        str(caption or ""),
        str(review or ""),
        str(before or ""),
        str(after or ""),
    )


def _value(values: Sequence[Any], place: int) -> Any:  # noqa: ANN401
    value = values[place] if 0 <= place < len(values) else None
    return None if value == NULL else value
