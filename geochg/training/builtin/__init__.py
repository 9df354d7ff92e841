"""The recipe of the built-in model: pairs from labelled ground, losses, calibration."""
