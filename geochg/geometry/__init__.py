"""Shapes on the pixel lattice and on the ground; what cells, features and writers share."""
