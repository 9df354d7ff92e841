"""geochg in QGIS: a panel and Processing algorithms that map what changed between two rasters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from geochg_qgis.plugin import GeochgPlugin


def classFactory(iface: QgisInterface) -> GeochgPlugin:
    """The plugin, for QGIS to start."""
    from geochg_qgis.plugin import GeochgPlugin

    return GeochgPlugin(iface)
