"""Layers of the map: rasters on their way to the worker, results on their way back."""
