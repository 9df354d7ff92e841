"""Edits of a review that draw, cut and merge changes; what they make is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsDistanceArea,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_fields import ACCEPTED, HAND, REVIEW, SOURCE
from geochg_qgis.layers.review_edits import FeatureState, ReviewEdit
from geochg_qgis.link.errors import LinkError

_ID, _NUMBER = "fid", "id"
"""Fields that differ for all changes: the file's id and geochg's number."""

_TOOK_PART = 0
"""What QGIS answers when a line cut a polygon."""


def addition(
    layer: QgsVectorLayer,
    shape: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    name: str,
    change: str,
) -> ReviewEdit:
    """The edit that adds a change which the model missed.

    Args:
        layer: Layer of the result.
        shape: Polygon.
        crs: CRS of the polygon.
        name: Class.
        change: Direction.

    Raises:
        LinkError: If the polygon crosses itself or lies outside the layer's CRS.
    """
    shape = _in_layer(layer, shape, crs)
    if not shape.isGeosValid() or shape.isEmpty():
        raise LinkError(tr("The polygon crosses itself"), tr("draw it anew"))
    values = {
        "class": name,
        "change": change,
        "confidence": 1.0,
        "caption": tr("Drawn by hand."),
        **_by_hand(layer, shape),
    }
    return ReviewEdit({-1: None}, {-1: FeatureState(values, _as_layers(layer, shape))})


def cut(
    layer: QgsVectorLayer, feature_id: int, line: QgsGeometry, crs: QgsCoordinateReferenceSystem
) -> ReviewEdit:
    """The edit that cuts a change along a line.

    Args:
        layer: Layer of the result.
        feature_id: Id of the change.
        line: Line.
        crs: CRS of the line.

    Raises:
        LinkError: If the line does not cut the change.
    """
    (feature,) = _features(layer, [feature_id])
    points = _in_layer(layer, line, crs).asPolyline()
    shape = QgsGeometry(feature.geometry())
    outcome, other_shapes, _ = shape.splitGeometry(points, False)
    if int(outcome) != _TOOK_PART or not other_shapes:
        raise LinkError(
            tr("The line does not cut the chosen change"), tr("draw it from edge to edge")
        )
    before: dict[int, FeatureState | None] = {feature_id: _state(feature)}
    after: dict[int, FeatureState | None] = {feature_id: _changed(layer, feature, shape)}
    for number, other_shape in enumerate(other_shapes, start=1):
        before[-number] = None
        part = _changed(layer, feature, other_shape)
        after[-number] = part._replace(values={**part.values, _NUMBER: None})
    return ReviewEdit(before, after)


def merger(layer: QgsVectorLayer, features: Sequence[int]) -> ReviewEdit:
    """The edit that merges changes into the largest of them, which keeps its class and caption.

    Raises:
        LinkError: If there are fewer than two changes, or they do not touch.
    """
    parts = _features(layer, features)
    if len(parts) < 2:
        raise LinkError(
            tr("Fewer than two changes are chosen"), tr("choose those to merge with Ctrl or Shift")
        )
    largest = max(parts, key=lambda part: float(part.geometry().area()))
    shape = QgsGeometry.unaryUnion([part.geometry() for part in parts])
    is_single = not QgsWkbTypes.isMultiType(layer.wkbType())
    if is_single and shape.isMultipart() and shape.constGet().numGeometries() > 1:
        raise LinkError(
            tr("The chosen changes do not touch"), tr("choose changes that touch or overlap")
        )
    before = {part.id(): _state(part) for part in parts}
    after = dict.fromkeys(before)
    after[largest.id()] = _changed(layer, largest, shape)
    return ReviewEdit(before, after)


def _features(layer: QgsVectorLayer, features: Sequence[int]) -> list[QgsFeature]:
    parts = [layer.getFeature(feature) for feature in features]
    if not all(part.isValid() for part in parts):
        raise LinkError(tr("A chosen change is gone"), tr("choose another"))
    return parts


def _state(feature: QgsFeature) -> FeatureState:
    names = [field.name() for field in feature.fields()]
    values = {
        name: None if value == NULL else value
        for name, value in zip(names, feature.attributes())
        if name != _ID
    }
    return FeatureState(values, QgsGeometry(feature.geometry()))


def _changed(layer: QgsVectorLayer, feature: QgsFeature, shape: QgsGeometry) -> FeatureState:
    """The state of a change in another shape."""
    values = {**_state(feature).values, **_by_hand(layer, shape)}
    return FeatureState(values, _as_layers(layer, shape))


def _by_hand(layer: QgsVectorLayer, shape: QgsGeometry) -> dict[str, Any]:
    """Attributes of a shape that a reviewer made."""
    return {"area_m2": _area_m2(layer, shape), REVIEW: ACCEPTED, SOURCE: HAND}


def _area_m2(layer: QgsVectorLayer, shape: QgsGeometry) -> float:
    measure = QgsDistanceArea()
    measure.setSourceCrs(layer.crs(), QgsProject.instance().transformContext())
    measure.setEllipsoid(layer.crs().ellipsoidAcronym() or "EPSG:7030")
    return round(measure.measureArea(shape), 1)


def _as_layers(layer: QgsVectorLayer, shape: QgsGeometry) -> QgsGeometry:
    """A polygon as the layer takes it: of one part or of several."""
    shape = QgsGeometry(shape)
    if QgsWkbTypes.isMultiType(layer.wkbType()):
        shape.convertToMultiType()
    else:
        shape.convertToSingleType()
    return shape


def _in_layer(
    layer: QgsVectorLayer, shape: QgsGeometry, crs: QgsCoordinateReferenceSystem
) -> QgsGeometry:
    shape = QgsGeometry(shape)
    try:
        shape.transform(QgsCoordinateTransform(crs, layer.crs(), QgsProject.instance()))
    except QgsCsException as error:
        raise LinkError(
            tr("The place is outside what the CRS covers"), tr("draw it elsewhere")
        ) from error
    return shape
