"""Layers of the map: rasters for the worker, and layers of results."""
