"""The part of the plugin that knows neither Qt nor QGIS."""

from plugin_package import load_plugin_package

load_plugin_package()
