"""Detectors without learning: MAD with reweighting, change vectors, band ratios."""
