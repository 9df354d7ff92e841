"""The fields of a review, added to a result that does not have them."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsField, QgsVectorLayer
from qgis.PyQt.QtCore import QMetaType, QVariant

from geochg_qgis.i18n import tr
from geochg_qgis.layers.result_fields import REVIEW_FIELDS
from geochg_qgis.link.errors import LinkError

_WITHOUT_UNSET_FIELDS = ("GeoJSON",)
"""Formats whose files lack a field that no feature has set, be it to NULL.

QGIS reads the file anew behind an edit, and the field that it knows would be gone.
"""


def add_review_fields(layer: QgsVectorLayer) -> bool:
    """Adds the fields of a review that a result does not have yet.

    Returns:
        Whether some were added.

    Raises:
        LinkError: If the layer takes no fields.
    """
    names = {field.name() for field in layer.fields()}
    missing = [QgsField(name, _text_type()) for name in REVIEW_FIELDS if name not in names]
    if not missing:
        return False
    provider = layer.dataProvider()
    if layer.isEditable():
        is_done = all(layer.addAttribute(field) for field in missing)
    else:
        is_done = provider.addAttributes(missing)
    layer.updateFields()
    if is_done and not layer.isEditable() and provider.storageType() in _WITHOUT_UNSET_FIELDS:
        is_done = _write_null(layer, [field.name() for field in missing])
    if not is_done:
        raise LinkError(
            tr("{} cannot be changed").format(layer.source()),
            tr("check that nothing else has it open, and its permissions"),
        )
    return True


def _write_null(layer: QgsVectorLayer, names: list[str]) -> bool:
    """Writes NULL into fields of all features, also of those that a filter hides."""
    columns = [layer.fields().indexFromName(name) for name in names]
    source = QgsVectorLayer(layer.source(), layer.name(), layer.providerType())
    source.setSubsetString("")
    features = source.allFeatureIds()
    empty = dict.fromkeys(columns)
    return not features or bool(
        layer.dataProvider().changeAttributeValues(dict.fromkeys(features, empty))
    )


def _text_type() -> Any:  # noqa: ANN401 - QMetaType's or QVariant's
    """The type of text fields: QGIS 3.38 and later take QMetaType's."""
    return QMetaType.Type.QString if Qgis.QGIS_VERSION_INT >= 33800 else QVariant.String
