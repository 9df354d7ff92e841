"""The heatmaps of runs among the rasters of the project."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer

from geochg_qgis.layers.layer_source import gdal_name

_BAND = "probability of change"
"""Name of the one band, as `geochg/writers/heatmap.py` has it."""

_ENDING = re.compile(r"(?:_probability(?:_\d+)?)?")
"""What stands behind the name of a result in that of its heatmap, as `run_plan` names them."""


def heatmaps_in_project() -> list[QgsRasterLayer]:
    """The layers of the project that are heatmaps, whatever their files are named."""
    layers = QgsProject.instance().mapLayers().values()
    return [layer for layer in layers if isinstance(layer, QgsRasterLayer) and _is_heatmap(layer)]


def heatmap_of(result_file: Path) -> QgsRasterLayer | None:
    """The heatmap in the project that lies beside the file of a result and is named for it."""
    for layer in heatmaps_in_project():
        file = Path(gdal_name(layer))
        ending = file.stem[len(result_file.stem) :]
        is_named_for_it = file.stem.startswith(result_file.stem) and _ENDING.fullmatch(ending)
        if file.parent == result_file.parent and is_named_for_it:
            return layer
    return None


def _is_heatmap(layer: QgsRasterLayer) -> bool:
    is_single = layer.isValid() and layer.providerType() == "gdal" and layer.bandCount() == 1
    return is_single and _BAND in layer.bandName(1)
