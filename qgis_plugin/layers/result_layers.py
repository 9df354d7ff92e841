"""The layers of a result: opened, styled, put into a group with their sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from qgis.core import (
    QgsApplication,
    QgsLayerTreeGroup,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorLayer,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import COLORS
from geochg_qgis.layers.default_style import GEOPACKAGE, save_default_style
from geochg_qgis.layers.image_identity import AFTER, BEFORE, ImageIdentity
from geochg_qgis.layers.result_groups import group_of_pair
from geochg_qgis.layers.review_fields import add_review_fields
from geochg_qgis.layers.style import apply_style
from geochg_qgis.layers.temporal import PairTimes, set_time
from geochg_qgis.link.absolute_paths import absolute_path
from geochg_qgis.link.errors import LinkError
from geochg_qgis.run_options import model_text

RESULT = "geochg/result"
"""Property that marks a layer as a result."""

OPTIONS = "geochg/options"
"""Property of a result: the options of the run, as JSON."""


_REVIEWED_FORMATS = (GEOPACKAGE, "GeoJSON")


class ResultOrigin(NamedTuple):
    """What a result was made of, as its layer keeps it.

    Attributes:
        before: Earlier image.
        after: Later image.
        options: Options of the worker.
        times: Dates of the pair, where they are known.
        colors: Colours of the classes that the user named.
    """

    before: ImageIdentity
    after: ImageIdentity
    options: Mapping[str, Any]
    times: PairTimes | None = None
    colors: Mapping[str, str] = MappingProxyType({})

    def mark(self, layer: QgsVectorLayer) -> None:
        """Styles a layer and marks it as the result of this pair."""
        layer.setCustomProperty(COLORS, json.dumps(dict(self.colors)))
        apply_style(layer)
        if self.times is not None:
            # Changes show at the later date.
            set_time(layer, self.times.after)
        layer.setCustomProperty(BEFORE, self.before.to_text())
        layer.setCustomProperty(AFTER, self.after.to_text())
        layer.setCustomProperty(OPTIONS, json.dumps(dict(self.options)))
        layer.setCustomProperty(RESULT, True)


def open_result(source: str, name: str, origin: ResultOrigin) -> QgsVectorLayer:
    """Opens a result, adds the fields for a review, and writes its style as the file's default.

    For any thread, so that a slow disk does not block the main one.

    Args:
        source: Source of the layer, as QGIS names it.
        name: Name for the layer.
        origin: What the result was made of.

    Raises:
        LinkError: If the result cannot be opened or changed.
    """
    layer = QgsVectorLayer(source, name, "ogr")
    if not layer.isValid():
        raise LinkError(
            tr("{} cannot be opened").format(source), tr("see the log, and run it again")
        )
    # Others are reviewed in a copy, or have their own kinds of fields.
    if layer.dataProvider().storageType() in _REVIEWED_FORMATS:
        add_review_fields(layer)
    origin.mark(layer)
    save_default_style(layer, RESULT)
    return layer


def open_heatmap(path: Path, name: str) -> QgsRasterLayer | None:
    """Opens a heatmap, whose values QGIS reads through first; for any thread.

    Args:
        path: Path of the raster.
        name: Name for the layer.

    Returns:
        The layer, moved to the main thread; None where there is no such raster.
    """
    layer = QgsRasterLayer(str(path), name)
    if not layer.isValid():
        return None
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def placement_steps(
    layer: QgsVectorLayer, before: str, after: str, heatmap: QgsRasterLayer | None
) -> Iterator[Callable[[], object]]:
    """Steps that put a result on top of the group of its pair, with the two images below it.

    Each keeps QGIS busy, so that the window should handle its events between them. The images are
    moved only if they are still in the project; one in another group stays there, too.

    Args:
        layer: Layer of the result.
        before: Id of the earlier image's layer.
        after: Id of the later image's layer.
        heatmap: Layer to put below the result, switched off; None for none.
    """
    project, name = QgsProject.instance(), layer.name()
    group: list[QgsLayerTreeGroup] = []
    yield lambda: project.addMapLayer(layer, False)
    yield lambda: group.append(group_of_pair(before, after, name))
    yield lambda: group[0].insertLayer(0, layer)
    if heatmap is not None:
        yield lambda: project.addMapLayer(heatmap, False)
        yield lambda: group[0].insertLayer(1, heatmap).setItemVisibilityChecked(False)
    for image in (after, before):
        yield lambda image=image: _move_into(group[0], image)


def results_in_project() -> list[QgsVectorLayer]:
    """The layers of the project that are results."""
    layers = QgsProject.instance().mapLayers().values()
    return [
        layer
        for layer in layers
        if isinstance(layer, QgsVectorLayer) and layer.customProperty(RESULT)
    ]


def drawn_features(
    results: Iterable[QgsVectorLayer | None],
    before: QgsRasterLayer,
    after: QgsRasterLayer,
    model: str,
) -> str:
    """The first result that was made of two images by a model, as the worker takes layers.

    Returns:
        File and layer, with the layer's filter; empty where there is no such result.
    """
    sources = (
        result_source(result)
        for result in results
        if result is not None and _is_of(result, before, after, model)
    )
    return next(filter(None, sources), "")


def _is_of(
    result: QgsVectorLayer, before: QgsRasterLayer, after: QgsRasterLayer, model: str
) -> bool:
    try:
        options = json.loads(str(result.customProperty(OPTIONS) or "{}"))
    except ValueError:
        return False
    identities = [ImageIdentity.from_text(result.customProperty(role)) for role in (BEFORE, AFTER)]
    return model_text(options) == model and all(
        identity is not None and identity.layer_among([layer]) is not None
        for identity, layer in zip(identities, (before, after))
    )


def result_source(result: QgsVectorLayer) -> str:
    """A result with its filter, as the worker takes layers; empty where it is no file."""
    if result.providerType() != "ogr":
        return ""
    parts = QgsProviderRegistry.instance().decodeUri("ogr", result.source())
    path, name = str(parts.get("path") or ""), str(parts.get("layerName") or "")
    if not Path(path).is_file():
        return ""
    layer = f"|layername={name}" if name else ""
    condition = f"|subset={result.subsetString()}" if result.subsetString() else ""
    return f"{absolute_path(path)}{layer}{condition}"


def readable_source(result: QgsVectorLayer) -> str:
    """The result as `result_source` gives it.

    Raises:
        LinkError: If it is no file.
    """
    if source := result_source(result):
        return source
    raise LinkError(
        tr("{} is no file that the worker can read").format(result.name()),
        tr("save it as a GeoPackage"),
    )


def _move_into(group: QgsLayerTreeGroup, layer_id: str) -> None:
    """Moves a layer's node, unless it lies in another group already."""
    project = QgsProject.instance()
    layer, root = project.mapLayer(layer_id), project.layerTreeRoot()
    if layer is None or group.findLayer(layer_id) is not None:
        return
    node = root.findLayer(layer_id)
    if node is None or node.parent() is not root:
        group.addLayer(layer)
        return
    copy = node.clone()
    group.addChildNode(copy)
    root.removeChildNode(node)
