"""Cells to map features: merged across tiles, smoothed, placed and measured."""
