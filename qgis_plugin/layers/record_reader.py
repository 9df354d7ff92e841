"""Records of the features of a layer, read in slices so that the window stays responsive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from qgis.core import NULL, QgsFeatureRequest, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, pyqtSignal

from geochg_qgis.main_thread import single_shot_timer

_SLICE_S = 0.015  # time of reading until the window handles its events again

_AGAIN_MS = 300
"""Time until records are read again of which some were missing."""

_MOST_READINGS = 4


class FeatureRecord(Protocol):
    """What a list needs to know of a feature that a person decides on."""

    @property
    def feature(self) -> int:
        """Id of the feature in the layer."""

    @property
    def is_decided(self) -> bool:
        """Whether a person decided on it."""

    @property
    def decision(self) -> tuple[tuple[str, str | None], ...]:
        """The fields of the decision with their values, as they stand in the layer."""


class RecordReader(QObject):
    """Reads all records of a layer, in slices between the events of the window.

    While a GeoPackage is opened for writing, or closed, a reading of it may break off, which GDAL
    tells nobody of. Where records are missing, they are read again, a few times.

    Args:
        records: Function that reads a layer, record by record.
        parent: Parent object.

    Signals:
        done: All records are read; carries their list.
    """

    done = pyqtSignal(list)

    def __init__(
        self,
        records: Callable[[QgsVectorLayer], Iterator[FeatureRecord]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._records_of = records
        self._pending: Iterator[FeatureRecord] = iter(())
        self._records: list[FeatureRecord] = []
        self._timer = single_shot_timer(self, 0, self._read_slice)
        self._again_timer = single_shot_timer(self, _AGAIN_MS, self._begin)
        self._layer: QgsVectorLayer | None = None
        self._readings = self._least = 0
        self._former = -1

    @property
    def is_reading(self) -> bool:
        """Whether records are still to be read."""
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
        self._pending, self._records, self._layer = iter(()), [], None

    def _begin(self) -> None:
        layer = self._layer
        self._readings += 1
        if layer is not None and not sip.isdeleted(layer) and layer.isValid():
            # Before the reading, behind which another program may have written to the file.
            self._least = int(layer.featureCount())
            self._pending = self._records_of(layer)
        else:
            self._least = 0
        self._read_slice()

    def _read_slice(self) -> None:
        end_s = time.monotonic() + _SLICE_S
        for record in self._pending:
            self._records.append(record)
            if time.monotonic() > end_s:
                self._timer.start()
                return
        records, self._records = self._records, []
        # Twice the same number is what there is, though the layer counts others.
        is_new, self._former = len(records) != self._former, len(records)
        if len(records) < self._least and is_new and self._readings < _MOST_READINGS:
            self._again_timer.start()
        self.done.emit(records)


def attribute_request(layer: QgsVectorLayer, fields: Sequence[str]) -> QgsFeatureRequest:
    """A request for some fields of all features, without shapes."""
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    # A reading stays open between events. Others on this thread, which would wait for its
    # connection for ever where QGIS has lent out all it has, get one of their own.
    request.setRequestMayBeNested(True)
    return request.setSubsetOfAttributes(list(fields), layer.fields())


def attribute_rows(
    layer: QgsVectorLayer, request: QgsFeatureRequest, fields: Sequence[str]
) -> Iterator[tuple[int, list[Any]]]:
    """Id and values of fields of each feature; None for NULL and for fields that are not there."""
    columns = [layer.fields().indexFromName(name) for name in fields]
    for feature in layer.getFeatures(request):
        # All at once: a call for each attribute takes longer than the reading.
        values = feature.attributes()
        yield feature.id(), [_value(values, column) for column in columns]


def _value(values: Sequence[Any], column: int) -> Any:  # noqa: ANN401
    value = values[column] if 0 <= column < len(values) else None
    return None if value == NULL else value
