"""The map as it would be with one of two dates on it."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsMapLayer, QgsMapSettings, QgsRasterLayer


def side_settings(
    canvas: QgsMapSettings, shown: QgsRasterLayer, hidden: QgsRasterLayer
) -> QgsMapSettings:
    """The map's settings, with one date of a pair in place of both.

    Args:
        canvas: The settings of the map, which stay as they are.
        shown: The image to show, also where its layer is switched off.
        hidden: The other one.
    """
    settings = QgsMapSettings(canvas)
    settings.setLayers(side_layers(canvas.layers(), shown, hidden))
    if settings.isTemporal():
        _show_time_of(shown, settings)
    return settings


def side_layers(
    layers: Sequence[QgsMapLayer], shown: QgsRasterLayer, hidden: QgsRasterLayer
) -> list[QgsMapLayer]:
    """The layers of the map from the top, with one date of a pair where the upper of both was.

    Where neither is on the map, it goes on top of the rasters.
    """
    pair = {shown.id(), hidden.id()}
    places = [place for place, layer in enumerate(layers) if layer.id() in pair]
    if not places:
        places = [place for place, layer in enumerate(layers) if isinstance(layer, QgsRasterLayer)]
    place = places[0] if places else len(layers)
    above = list(layers[:place])
    below = [layer for layer in layers[place:] if layer.id() not in pair]
    return [*above, shown, *below]


def _show_time_of(layer: QgsRasterLayer, settings: QgsMapSettings) -> None:
    """Sets the temporal controller aside: each side shows its own date."""
    properties = layer.temporalProperties()
    time = properties.fixedTemporalRange()
    if properties.isActive() and not time.isInfinite():
        settings.setTemporalRange(time)
    else:
        settings.setIsTemporal(False)
