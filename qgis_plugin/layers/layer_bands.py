"""The bands of a raster layer, as QGIS shows them and as the worker is given them."""

from __future__ import annotations

from qgis.core import Qgis, QgsRasterLayer

from geochg_qgis.i18n import tr

_PICTURES = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)


def band_names(layer: QgsRasterLayer) -> list[str]:
    """The names of a layer's bands, in order.

    Layers that give pictures, such as web services, are exported with red, green and blue.
    """
    provider = layer.dataProvider()
    if layer.bandCount() == 1 and provider is not None and provider.dataType(1) in _PICTURES:
        return [tr("Red"), tr("Green"), tr("Blue")]
    return [layer.bandName(number) for number in range(1, layer.bandCount() + 1)]
