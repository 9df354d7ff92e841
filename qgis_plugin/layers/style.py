"""The style of a result: colour by class, pattern by direction, opacity by confidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsExpression,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsLinePatternFillSymbolLayer,
    QgsPalLayerSettings,
    QgsProperty,
    QgsRendererCategory,
    QgsSimpleFillSymbolLayer,
    QgsSimpleLineSymbolLayer,
    QgsSymbol,
    QgsSymbolLayer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor

from geochg_qgis.formatting import class_title
from geochg_qgis.i18n import tr
from geochg_qgis.layers.attribute_form import apply_form
from geochg_qgis.layers.choice import IS_CHOSEN
from geochg_qgis.layers.class_colors import CLASSES, COLORS, colors_in_property
from geochg_qgis.layers.result_fields import (
    CHANGES,
    COVERS,
    REJECTED,
    REVIEW,
    REVIEW_CLASS,
    REVIEWED_CLASS,
)

_CHANGE = '"change"'
_OTHER_MODELS_CLASS = "#f0e442"
_OPACITY = f"""if("{REVIEW}" = '{REJECTED}', 8, 50 + 50 * coalesce("confidence", 0))"""
_OUTLINE_MM, _CASING_MM = 0.7, 1.3
_CASING = QColor(255, 255, 255, 150)
"""Colour beside the outlines, which are seen by it on imagery of their own colour."""

_LABEL_SIDE_MM = 18
"""Side on the map of a square as large as a change that has room for a label."""

# The caption comes from a model, and from files: it must not become markup.
_ESCAPED = "replace(replace(replace(coalesce({}, ''), '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"


def layer_colors(layer: QgsVectorLayer | None) -> dict[str, str]:
    """Colour of each class that a result may have, in the order of legends; geochg's for None."""
    return colors_in_property(None if layer is None else layer.customProperty(COLORS))


def color_among(colors: Mapping[str, str], name: str) -> QColor:
    """The colour of a class; that of other models' classes where it has none."""
    return QColor(colors.get(name, _OTHER_MODELS_CLASS))


def apply_style(layer: QgsVectorLayer) -> None:
    """Applies the style of results: renderer with legend, labels, map tips, attribute form."""
    layer.setRenderer(_renderer(layer))
    layer.setLabeling(_label_settings())
    layer.setLabelsEnabled(True)
    layer.setMapTipTemplate(_map_tip())
    layer.setDisplayExpression('"caption"')
    apply_form(layer)
    layer.triggerRepaint()


def add_to_legend(layer: QgsVectorLayer, kinds: Iterable[tuple[str, str]]) -> None:
    """Adds classes with directions that the legend of a result does not have yet."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return
    present = {str(category.value()) for category in renderer.categories()}
    missing = sorted({kind for kind in kinds if " ".join(kind) not in present}, key=_order)
    if not missing:
        return
    extended = renderer.clone()
    for kind in missing:
        extended.addCategory(_category(layer, *kind, {}))
    layer.setRenderer(extended)
    layer.triggerRepaint()


def _renderer(layer: QgsVectorLayer) -> QgsCategorizedSymbolRenderer:
    expression = f"{REVIEWED_CLASS} || ' ' || \"change\""
    covers = _covers(layer)
    categories = [_category(layer, name, change, covers) for name, change in _kinds(layer)]
    return QgsCategorizedSymbolRenderer(expression, categories)


def _category(
    layer: QgsVectorLayer, name: str, change: str, covers: Mapping[tuple[str, str], set[str]]
) -> QgsRendererCategory:
    label = _label(name, change, covers)
    return QgsRendererCategory(
        f"{name} {change}", _symbol(color_among(layer_colors(layer), name), change), label
    )


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
    label = f"{class_title(name)} {tr(change)}"
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


def _symbol(color: QColor, change: str) -> QgsFillSymbol:
    """A fill below an outline; the fill is left out where a change is chosen."""
    symbol = QgsFillSymbol()
    fill = _hatch(color) if change == "disappeared" else _fill(color, change)
    is_filled = QgsProperty.fromExpression(f"not {IS_CHOSEN}")
    fill.setDataDefinedProperty(property_key(QgsSymbolLayer, "LayerEnabled"), is_filled)
    symbol.changeSymbolLayer(0, fill)
    symbol.appendSymbolLayer(_outline(_CASING, "", _CASING_MM))
    symbol.appendSymbolLayer(_outline(color, change, _OUTLINE_MM))
    opacity = QgsProperty.fromExpression(_OPACITY)
    symbol.setDataDefinedProperty(property_key(QgsSymbol, "Opacity"), opacity)
    return symbol


def property_key(owner: Any, name: str) -> Any:  # noqa: ANN401 - a class and an enum of QGIS
    """The key of a property that an expression can define, which versions of QGIS name apart.

    It is a value of an enum: QGIS 3.40 takes no plain number for it.
    """
    for home, key in ((owner, f"Property{name}"), (owner, name), (owner.Property, name)):
        if hasattr(home, key):
            return getattr(home, key)
    raise AttributeError(name)


def _fill(color: QColor, change: str) -> QgsSimpleFillSymbolLayer:
    inside = QColor(color)
    inside.setAlpha(150 if change == "appeared" else 60)
    rgba = ",".join(map(str, inside.getRgb()))
    return QgsSimpleFillSymbolLayer.create({"color": rgba, "outline_style": "no"})


def _outline(color: QColor, change: str, width_mm: float) -> QgsSimpleLineSymbolLayer:
    properties = {
        "line_color": ",".join(map(str, color.getRgb())),
        "line_width": str(width_mm),
        "line_style": "dash" if change == "altered" else "solid",
        "joinstyle": "round",
    }
    return QgsSimpleLineSymbolLayer.create(properties)


def _hatch(color: QColor) -> QgsLinePatternFillSymbolLayer:
    properties = {"angle": "45", "distance": "2", "color": color.name(), "line_width": "0.4"}
    hatch = QgsLinePatternFillSymbolLayer.create(properties)
    hatch.subSymbol().setColor(color)
    hatch.subSymbol().setWidth(0.4)
    # A pattern takes no opacity from the symbol that it is part of.
    opacity = QgsProperty.fromExpression(_OPACITY)
    hatch.subSymbol().setDataDefinedProperty(property_key(QgsSymbol, "Opacity"), opacity)
    return hatch


def _label_settings() -> QgsVectorLayerSimpleLabeling:
    """Labels of the chosen changes, and of the largest where they have room on the map."""
    settings = QgsPalLayerSettings()
    settings.fieldName = _label_text()
    settings.isExpression = True
    settings.autoWrapLength = 28
    side_mm = '1000 * sqrt("area_m2") / @map_scale'
    is_shown = f"""{IS_CHOSEN} or (coalesce("{REVIEW}", '') <> '{REJECTED}'
        and {side_mm} > {_LABEL_SIDE_MM})"""
    properties = settings.dataDefinedProperties()
    for name, expression in (("Show", is_shown), ("AlwaysShow", IS_CHOSEN)):
        key = property_key(QgsPalLayerSettings, name)
        properties.setProperty(key, QgsProperty.fromExpression(expression))
    settings.setDataDefinedProperties(properties)
    settings.setFormat(_text_format())
    return QgsVectorLayerSimpleLabeling(settings)


def _label_text() -> str:
    """Expression of a short label, such as `building appeared, 2.0 ha`."""
    area = """if("area_m2" >= 10000, format_number("area_m2" / 10000, 1) || ' ha',
        format_number("area_m2", if("area_m2" < 10, 2, 0)) || ' m²')"""
    return (
        f"{_translated(REVIEWED_CLASS, CLASSES)} || ' ' || {_translated(_CHANGE, CHANGES)}"
        f" || ', ' || {area}"
    )


def _translated(expression: str, names: Sequence[str]) -> str:
    """Expression of a name in the user's language; names of other models stay."""
    pairs = ", ".join(
        f"{QgsExpression.quotedString(name)}, {QgsExpression.quotedString(tr(name))}"
        for name in names
    )
    return f"coalesce(map_get(map({pairs}), {expression}), {expression})"


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
        """[% coalesce(round(100 * "confidence") || ' %, ', '') %]"""
        '[% round("area_m2", if("area_m2" < 10, 4, 0)) %] m²'
    )
