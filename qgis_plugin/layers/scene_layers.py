"""Layers of the scenes that the worker fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer

from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError


def scene_name(scene: Mapping[str, Any]) -> str:
    """The name of a scene's layer: its collection, and its day or its month.

    Args:
        scene: What the worker tells of it: `path` and `dates`.
    """
    dates = sorted(map(str, scene.get("dates") or ()))
    collection = Path(str(scene["path"])).stem.partition("_")[0]
    day = dates[0] if len(dates) == 1 else dates[0][:7] if dates else ""
    return f"{collection} {day}".strip()


def add_scenes(scenes: Mapping[str, Any]) -> tuple[QgsRasterLayer, QgsRasterLayer]:
    """Adds the two scenes of an answer to the project, those that it has are taken as they are.

    Args:
        scenes: The worker's answer, with `before` and `after`.

    Returns:
        The earlier layer and the later one.

    Raises:
        LinkError: If QGIS cannot open one.
    """
    before, after = (_scene_layer(scenes[date]) for date in ("before", "after"))
    return before, after


def _scene_layer(scene: Mapping[str, Any]) -> QgsRasterLayer:
    path, project = str(scene["path"]), QgsProject.instance()
    for layer in project.mapLayers().values():
        if isinstance(layer, QgsRasterLayer) and layer.source() == path:
            return layer
    layer = QgsRasterLayer(path, scene_name(scene))
    if not layer.isValid():
        raise LinkError(
            tr("QGIS cannot open {}").format(path), tr("delete the file, and fetch the scene again")
        )
    project.addMapLayer(layer)
    return layer
