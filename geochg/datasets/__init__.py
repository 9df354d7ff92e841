"""Readers and builders of training data."""
