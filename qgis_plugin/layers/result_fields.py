"""The attributes of a result and their values, those of a review, and how one is written."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsVectorLayer

from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError

COVERS = ("bare", "low plants", "woody", "water", "road", "building")
"""Land covers at either date."""

CHANGES = ("appeared", "disappeared", "altered")
"""Directions of a change."""

REVIEW = "review"
"""Field of the reviewer's decision: `accepted`, `rejected` or nothing."""

REVIEW_CLASS = "review_class"
"""Field of the class that a reviewer gave instead; nothing where the model's stands."""

ACCEPTED, REJECTED = "accepted", "rejected"

REVIEWED_CLASS = f'coalesce("{REVIEW_CLASS}", "class")'
"""QGIS expression for the class as it stands after the review."""


def write_attribute(
    layer: QgsVectorLayer, features: Iterable[int], name: str, value: str | None
) -> None:
    """Writes an attribute of features, into the editing session where there is one.

    Raises:
        LinkError: If the layer takes no change.
    """
    index = layer.fields().indexFromName(name)
    if layer.isEditable():
        # All of them, also behind one that fails.
        outcomes = [layer.changeAttributeValue(feature, index, value) for feature in features]
        is_done = all(outcomes)
    else:
        changes = {feature: {index: value} for feature in features}
        is_done = layer.dataProvider().changeAttributeValues(changes)
    if not is_done or index < 0:
        raise LinkError(
            tr("{} could not be changed").format(layer.name()),
            tr("check that the file may be written"),
        )
    layer.triggerRepaint()
