"""Rasters to tiles: the only place that opens rasters."""
