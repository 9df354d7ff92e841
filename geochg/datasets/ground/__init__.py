"""Labelled ground of real imagery, from which pairs are made to train on."""
