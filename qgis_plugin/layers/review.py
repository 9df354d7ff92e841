"""What a reviewer says of changes, kept as attributes."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsVectorLayer

from geochg_qgis.link.errors import LinkError
from geochg_qgis.words import tr


def set_attribute(
    layer: QgsVectorLayer, features: Iterable[int], name: str, value: str | None
) -> None:
    """Writes an attribute of features, into the editing session where there is one.

    Raises:
        LinkError: If the layer takes no change.
    """
    index = layer.fields().indexFromName(name)
    if layer.isEditable():
        done = _all_changed(layer, features, index, value)
    else:
        changes = {each: {index: value} for each in features}
        done = layer.dataProvider().changeAttributeValues(changes)
    if not done or index < 0:
        raise LinkError(
            tr("{} could not be changed").format(layer.name()),
            tr("check that the file may be written"),
        )
    layer.triggerRepaint()


def _all_changed(
    layer: QgsVectorLayer, features: Iterable[int], index: int, value: str | None
) -> bool:
    """Changes every one, also behind one that fails."""
    outcomes = [layer.changeAttributeValue(each, index, value) for each in features]
    return all(outcomes)
