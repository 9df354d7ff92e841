"""The units of a sample, read in slices so that the window stays responsive."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from qgis.core import QgsFeatureRequest, QgsVectorLayer
from qgis.PyQt.QtCore import QObject

from geochg_qgis.layers.record_reader import RecordReader, attribute_request, attribute_rows
from geochg_qgis.layers.sample_fields import (
    NOTE,
    NUMBER,
    REFERENCE_CHANGE,
    REFERENCE_CLASS,
    is_judgement,
)

_FIELDS = (NUMBER, REFERENCE_CLASS, REFERENCE_CHANGE, NOTE)


class UnitRecord(NamedTuple):
    """One unit of a sample, without its shape, and without what the map says of it.

    Attributes:
        feature: Id of the feature in the layer.
        number: Number of the unit.
        reference_class: Class of what changed, as a person saw it; may be empty.
        reference_change: What happened to it; may be empty.
        note: Words of that person; may be empty.
    """

    feature: int
    number: int
    reference_class: str
    reference_change: str
    note: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether it is judged, in words that an assessment takes."""
        return is_judgement(self.reference_class, self.reference_change)

    @property
    def decision(self) -> tuple[tuple[str, str | None], ...]:
        """The fields of the judgement with their values."""
        return (
            (REFERENCE_CLASS, self.reference_class or None),
            (REFERENCE_CHANGE, self.reference_change or None),
        )


class UnitReader(RecordReader):
    """Reads all units of a sample."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(_all_units, parent)


def units_of(layer: QgsVectorLayer, features: Collection[int]) -> list[UnitRecord]:
    """The units with these ids, read at once, without those that are gone or filtered out."""
    request = attribute_request(layer, _FIELDS).setFilterFids(list(features))
    return list(_units(layer, request))


def _all_units(layer: QgsVectorLayer) -> Iterator[UnitRecord]:
    return _units(layer, attribute_request(layer, _FIELDS))


def _units(layer: QgsVectorLayer, request: QgsFeatureRequest) -> Iterator[UnitRecord]:
    for feature, (number, name, change, note) in attribute_rows(layer, request, _FIELDS):
        texts = (str(value or "") for value in (name, change, note))
        yield UnitRecord(feature, _whole_number(number), *texts)


def _whole_number(value: Any) -> int:  # noqa: ANN401
    """The number of a unit; 0 for what is none, which an assessment refuses."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0
