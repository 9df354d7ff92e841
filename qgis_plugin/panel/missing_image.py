"""Lets the user choose the file of an image that a result was made of."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QFileDialog, QWidget

from geochg_qgis.i18n import tr
from geochg_qgis.layers.image_identity import ImageIdentity, ImageMissing
from geochg_qgis.link.errors import LinkError


def find_image(parent: QWidget, missing: ImageMissing) -> str | None:
    """Adds the chosen file to the project as the missing image.

    Args:
        parent: Parent of the file dialog.
        missing: What is missing.

    Returns:
        A notice for the user, empty where the file is the one of the run; None where none was
        chosen.

    Raises:
        LinkError: If the file is no image.
    """
    project = QgsProject.instance()
    result = project.mapLayer(missing.result_id)
    if result is None:
        return None
    identity = ImageIdentity.from_text(result.customProperty(missing.role))
    folder = str(Path(identity.source).parent) if identity else ""
    path, _ = QFileDialog.getOpenFileName(parent, missing.message, folder)
    if not path:
        return None
    layer = QgsRasterLayer(path, Path(path).stem)
    if not layer.isValid():
        raise LinkError(
            tr("{} is no image that QGIS opens").format(path), tr("choose another file")
        )
    is_same = identity is not None and identity.layer_among([layer]) is not None
    project.addMapLayer(layer, False)
    # Below the results, which lie on top.
    project.layerTreeRoot().addLayer(layer)
    result.setCustomProperty(missing.role, ImageIdentity.of(layer).to_text())
    if is_same:
        return ""
    return tr("{0} is not the file that the run had; it is used for {1} from now on").format(
        Path(path).name, result.name()
    )
