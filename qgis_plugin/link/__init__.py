"""The connection to the worker process and its installation, without Qt and QGIS."""
