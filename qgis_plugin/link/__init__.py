"""The worker process as the panel sees it; knows neither Qt nor QGIS."""
