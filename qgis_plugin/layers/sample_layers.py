"""The layers of a sample: known by what their file tells, styled, and opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProject,
    QgsProviderRegistry,
    QgsRendererCategory,
    QgsSimpleLineSymbolLayer,
    QgsVectorLayer,
)

from geochg_qgis.i18n import tr
from geochg_qgis.layers.attribute_form import apply_sample_form
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.default_style import save_default_style
from geochg_qgis.layers.image_identity import AFTER, BEFORE, ImageIdentity, header_checksum
from geochg_qgis.layers.result_fields import CHANGES
from geochg_qgis.layers.run_metadata import run_metadata
from geochg_qgis.layers.sample_fields import (
    NUMBER,
    REFERENCE_CHANGE,
    REFERENCE_CLASS,
    SAMPLE_FIELDS,
)
from geochg_qgis.link.dates import date_in
from geochg_qgis.link.errors import LinkError

SAMPLE = "geochg/sample"
"""Property that marks a layer as a sample: `SampleOrigin`, as JSON."""

SAMPLE_LAYER = "sample"
"""Name of the layer in formats that have one, as `geochg/accuracy/sample.py` has it."""

_TO_JUDGE, _JUDGED, _CASING = "255,238,0,255", "120,220,255,255", "0,0,0,180"
_OUTLINE_MM, _CASING_MM = 0.5, 1.1


class SampleOrigin(NamedTuple):
    """What a sample was drawn of, as its layer keeps it.

    Attributes:
        layer: Name of the file of the change layer.
        classes: Classes of that layer, in no order that tells which are frequent.
        source: The change layer with its filter, as the worker takes it; empty where it is not
            known.
    """

    layer: str
    classes: list[str]
    source: str = ""

    @classmethod
    def of_layer(cls, layer: QgsVectorLayer) -> SampleOrigin:
        """What the property of a sample tells; an empty one where it tells nothing."""
        try:
            values = json.loads(str(layer.customProperty(SAMPLE) or "{}"))
            names = [str(name) for name in values["classes"]]
            return cls(str(values["layer"]), names, str(values["source"]))
        except (ValueError, TypeError, KeyError):
            return cls("", [])

    def to_text(self) -> str:
        """The origin as JSON."""
        return json.dumps(self._asdict(), ensure_ascii=False)


def samples_in_project() -> list[QgsVectorLayer]:
    """The layers of the project that are samples; what is new among them is marked and styled."""
    return [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if isinstance(layer, QgsVectorLayer) and _is_sample(layer)
    ]


def open_sample(
    path: str, source: str, before: ImageIdentity | None, after: ImageIdentity | None
) -> QgsVectorLayer:
    """Opens a sample that was just drawn, and writes its style as the file's default.

    For any thread.

    Args:
        path: Its file.
        source: The change layer with its filter, as the worker takes it.
        before: The earlier image; None to take the file that the sample tells.
        after: The later image; likewise.

    Returns:
        The layer, moved to the main thread.

    Raises:
        LinkError: If it cannot be opened.
    """
    is_shared = path.lower().endswith(".gpkg")
    uri = f"{path}|layername={SAMPLE_LAYER}" if is_shared else path
    layer = QgsVectorLayer(uri, Path(path).stem, "ogr")
    facts = _sample_facts(layer) if layer.isValid() else None
    if facts is None:
        raise LinkError(tr("{} cannot be opened").format(path), tr("see the log, draw it again"))
    _mark(layer, facts, source)
    for role, identity in ((BEFORE, before), (AFTER, after)):
        if identity is not None:
            layer.setCustomProperty(role, identity.to_text())
    if is_shared:
        save_default_style(layer)
    layer.moveToThread(QgsApplication.instance().thread())
    return layer


def classes_to_judge(layer: QgsVectorLayer | None) -> list[str]:
    """The classes that are offered for a sample: those of its layer, then geochg's."""
    own_classes = [] if layer is None else SampleOrigin.of_layer(layer).classes
    return [*own_classes, *(name for name in CLASSES if name not in own_classes)]


def check_sample_fields(layer: QgsVectorLayer) -> None:
    """Refuses to judge a sample that lost a column.

    Raises:
        LinkError: If it did.
    """
    names = {field.name() for field in layer.fields()}
    missing = [name for name in SAMPLE_FIELDS if name not in names]
    if missing:
        raise LinkError(
            tr("{0} has no column {1}").format(layer.name(), missing[0]), tr("put it back")
        )


def _is_sample(layer: QgsVectorLayer) -> bool:
    if layer.customProperty(SAMPLE):
        return True
    facts = _sample_facts(layer)
    if facts is not None:
        _mark(layer, facts, "")
    return facts is not None


def _sample_facts(layer: QgsVectorLayer) -> Mapping[str, Any] | None:
    """What the file of a sample tells; None where the layer is none, which most fields show."""
    if not layer.isValid() or layer.providerType() != "ogr":
        return None
    if not set(SAMPLE_FIELDS) <= {field.name() for field in layer.fields()}:
        return None
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    text = run_metadata(Path(str(parts.get("path") or "")), str(parts.get("layerName") or ""))
    try:
        facts = json.loads(text or "{}")
    except ValueError:
        return None
    is_sample = isinstance(facts, dict) and isinstance(facts.get("sample_of"), dict)
    return facts if is_sample else None


def _mark(layer: QgsVectorLayer, facts: Mapping[str, Any], source: str) -> None:
    """Styles a layer and marks it as a sample."""
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    folder = Path(str(parts.get("path") or "")).parent
    sources = facts.get("sources")
    for role, name in ((BEFORE, "before"), (AFTER, "after")):
        image = sources.get(name) if isinstance(sources, dict) else None
        path = str(image.get("path") or "") if isinstance(image, dict) else ""
        if path:
            layer.setCustomProperty(role, _identity(path, folder).to_text())
    origin = SampleOrigin(str(facts["sample_of"].get("layer") or ""), _classes(facts), source)
    _apply_style(layer)
    apply_sample_form(layer, [*origin.classes])
    layer.setCustomProperty(SAMPLE, origin.to_text())


def _identity(path: str, folder: Path) -> ImageIdentity:
    """An image by the path that a run was given, which may start from the sample's folder."""
    file = Path(path)
    local_file = folder / path
    if not file.is_absolute() and local_file.is_file():
        path = str(local_file.resolve())
    return ImageIdentity(path, header_checksum(path), date_in(file.stem), file.stem)


def _classes(facts: Mapping[str, Any]) -> list[str]:
    """The classes of the change layer: geochg's in the order of legends, then others by name."""
    strata = facts.get("strata")
    kinds = [
        str(stratum.get("name") or "").rpartition(" ")
        for stratum in (strata if isinstance(strata, list) else ())
        if isinstance(stratum, dict)
    ]
    names = {name for name, _, change in kinds if name and change in CHANGES}
    own_names = [name for name in CLASSES if name in names]
    return [*own_names, *sorted(names - set(own_names))]


def _apply_style(layer: QgsVectorLayer) -> None:
    """Outlines without a fill, by whether a unit is judged, and nothing else of it."""
    expression = (
        f"if(coalesce(\"{REFERENCE_CHANGE}\", '') = ''"
        f" and coalesce(\"{REFERENCE_CLASS}\", '') = '', 0, 1)"
    )
    categories = [
        QgsRendererCategory(value, _symbol(color), text)
        for value, color, text in (
            (0, _TO_JUDGE, tr("To judge")),
            (1, _JUDGED, tr("Judged")),
        )
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer(expression, categories))
    layer.setMapTipTemplate("")
    layer.setDisplayExpression(f'"{NUMBER}"')
    layer.triggerRepaint()


def _symbol(color: str) -> QgsFillSymbol:
    symbol = QgsFillSymbol()
    casing, line = (
        QgsSimpleLineSymbolLayer.create({"line_color": rgba, "line_width": str(width_mm)})
        for rgba, width_mm in ((_CASING, _CASING_MM), (color, _OUTLINE_MM))
    )
    symbol.changeSymbolLayer(0, casing)
    symbol.appendSymbolLayer(line)
    return symbol
