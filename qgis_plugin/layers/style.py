"""The style of a result: colour by class, pattern by direction, opacity by confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsLinePatternFillSymbolLayer,
    QgsPalLayerSettings,
    QgsProperty,
    QgsRendererCategory,
    QgsSimpleFillSymbolLayer,
    QgsSymbol,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor

from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASS_COLORS, CLASSES
from geochg_qgis.layers.result_fields import (
    CHANGES,
    COVERS,
    REJECTED,
    REVIEW,
    REVIEW_CLASS,
    REVIEWED_CLASS,
)

_OTHER_MODELS_CLASS = "#f0e442"
_OPACITY = f"""if("{REVIEW}" = '{REJECTED}', 8, 50 + 50 * coalesce("confidence", 0))"""
_LABEL_SCALE = 15_000

# The caption comes from a model, and from files: it must not become markup.
_ESCAPED = "replace(replace(replace(coalesce({}, ''), '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"


def class_color(name: str) -> QColor:
    """The colour of a class."""
    return QColor(CLASS_COLORS.get(name, _OTHER_MODELS_CLASS))


def apply_style(layer: QgsVectorLayer) -> None:
    """Applies the style of results: renderer with legend, labels, map tips."""
    layer.setRenderer(_renderer(layer))
    layer.setLabeling(_label_settings())
    layer.setLabelsEnabled(True)
    layer.setMapTipTemplate(_map_tip())
    layer.setDisplayExpression('"caption"')
    layer.triggerRepaint()


def _renderer(layer: QgsVectorLayer) -> QgsCategorizedSymbolRenderer:
    expression = f"{REVIEWED_CLASS} || ' ' || \"change\""
    covers = _covers(layer)
    categories = [
        QgsRendererCategory(f"{name} {change}", _symbol(name, change), _label(name, change, covers))
        for name, change in _kinds(layer)
    ]
    return QgsCategorizedSymbolRenderer(expression, categories)


def _kinds(layer: QgsVectorLayer) -> list[tuple[str, str]]:
    """Classes and directions that occur, or that the legend shows already, in a fixed order."""
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    names = [name for name in ("class", REVIEW_CLASS, "change") if _has(layer, name)]
    request.setSubsetOfAttributes(names, layer.fields())
    kinds = {
        (str(feature[name]), str(feature["change"]))
        for feature in layer.getFeatures(request)
        for name in names[:-1]
        if feature[name]
    }
    former = layer.renderer()
    if isinstance(former, QgsCategorizedSymbolRenderer):
        # A filter hides what occurs; it must not take it out of the legend.
        shown_kinds = [str(category.value()).rpartition(" ") for category in former.categories()]
        kinds |= {(name, change) for name, _, change in shown_kinds}
    return sorted(kinds, key=_order)


def _covers(layer: QgsVectorLayer) -> dict[tuple[str, str], set[str]]:
    """Land covers, by class and direction: before where it appeared, after where it disappeared."""
    cover_fields = {"appeared": "before_class", "disappeared": "after_class"}
    if not all(_has(layer, name) for name in cover_fields.values()):
        return {}
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes(["class", "change", *cover_fields.values()], layer.fields())
    covers: dict[tuple[str, str], set[str]] = {}
    for feature in layer.getFeatures(request):
        name, change = str(feature["class"]), str(feature["change"])
        field = cover_fields.get(change)
        if field is not None and feature[field]:
            covers.setdefault((name, change), set()).add(str(feature[field]))
    return covers


def _label(name: str, change: str, covers: Mapping[tuple[str, str], set[str]]) -> str:
    """The legend's text for a class and direction."""
    label = f"{tr(name)} {tr(change)}"
    names = [tr(cover) for cover in COVERS if cover in covers.get((name, change), ())]
    if not names:
        return label
    form = tr("{0} (was {1})") if change == "appeared" else tr("{0} (now {1})")
    return form.format(label, ", ".join(names))


def _has(layer: QgsVectorLayer, name: str) -> bool:
    return bool(layer.fields().indexFromName(name) >= 0)


def _order(kind: tuple[str, str]) -> tuple[int, str, int]:
    name, change = kind
    first = CLASSES.index(name) if name in CLASSES else len(CLASSES)
    return first, name, CHANGES.index(change) if change in CHANGES else len(CHANGES)


def _symbol(name: str, change: str) -> QgsFillSymbol:
    color = class_color(name)
    symbol = QgsFillSymbol()
    symbol.changeSymbolLayer(0, _fill(color, change))
    if change == "disappeared":
        symbol.appendSymbolLayer(_hatch(color))
    # Named Opacity in later versions of QGIS, which keep the old name too where they can.
    key = getattr(QgsSymbol, "PropertyOpacity", None)
    if key is None:
        key = QgsSymbol.Property.Opacity
    symbol.setDataDefinedProperty(key, QgsProperty.fromExpression(_OPACITY))
    return symbol


def _fill(color: QColor, change: str) -> QgsSimpleFillSymbolLayer:
    inside = QColor(color)
    inside.setAlpha({"appeared": 150, "disappeared": 0}.get(change, 60))
    properties: dict[str, Any] = {
        "color": ",".join(map(str, inside.getRgb())),
        "outline_color": color.name(),
        "outline_width": "0.7",
        "outline_style": "dash" if change == "altered" else "solid",
    }
    return QgsSimpleFillSymbolLayer.create(properties)


def _hatch(color: QColor) -> QgsLinePatternFillSymbolLayer:
    properties = {"angle": "45", "distance": "2", "color": color.name(), "line_width": "0.4"}
    hatch = QgsLinePatternFillSymbolLayer.create(properties)
    hatch.subSymbol().setColor(color)
    hatch.subSymbol().setWidth(0.4)
    return hatch


def _label_settings() -> QgsVectorLayerSimpleLabeling:
    settings = QgsPalLayerSettings()
    settings.fieldName = f"""if("{REVIEW}" = '{REJECTED}', '', "caption")"""
    settings.isExpression = True
    settings.autoWrapLength = 28
    settings.scaleVisibility = True
    settings.minimumScale = _LABEL_SCALE
    settings.setFormat(_text_format())
    return QgsVectorLayerSimpleLabeling(settings)


def _text_format() -> QgsTextFormat:
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    halo.setColor(QColor("white"))
    text = QgsTextFormat()
    text.setSize(8)
    text.setSizeUnit(QgsUnitTypes.RenderUnit.RenderPoints)
    text.setColor(QColor("#202020"))
    text.setBuffer(halo)
    return text


def _map_tip() -> str:
    def value(expression: str) -> str:
        return f"[% {_ESCAPED.format(expression)} %]"

    covers = """if("before_class" is null and "after_class" is null, '', """
    covers += """coalesce("before_class", '?') || ' → ' || coalesce("after_class", '?'))"""
    return (
        f"<b>{value(REVIEWED_CLASS)} {value('change')}</b><br>"
        f"{value('caption')}<br>"
        f"{value(covers)}<br>"
        '[% round(100 * "confidence") %] %, [% round("area_m2", if("area_m2" < 10, 4, 0)) %] m²'
    )
