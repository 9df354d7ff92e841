"""The line below the list that tells how many changes it shows."""

from __future__ import annotations

from qgis.core import QgsVectorLayer

from geochg_qgis.formatting import formatted_number
from geochg_qgis.i18n import tr
from geochg_qgis.layers.confidence_filter import confidence_filter
from geochg_qgis.panel.change_table_model import ChangeTableModel


def count_text(layer: QgsVectorLayer | None, model: ChangeTableModel, *, is_reading: bool) -> str:
    """How many of a result's changes are listed, hidden and undecided, and why.

    Args:
        layer: The result; None where there is none.
        model: The listed changes.
        is_reading: Whether they are still being read.
    """
    if layer is None:
        return tr("No result yet: run an analysis first.")
    if is_reading:
        return tr("Reading the changes")
    numbers = map(formatted_number, (model.rowCount(), model.total))
    parts = [tr("{0} of {1} changes").format(*numbers)]
    if model.hidden_count:
        parts.append(tr("{} below the slider").format(formatted_number(model.hidden_count)))
    parts.append(tr("{} undecided").format(formatted_number(model.undecided_count)))
    user_filter = confidence_filter(layer.subsetString()).user_filter
    if user_filter:
        parts.append(tr("the layer is also filtered by {}").format(user_filter))
    return ", ".join(parts)
