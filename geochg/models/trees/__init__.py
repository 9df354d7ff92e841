"""Classifiers of whole tiles that were learned from labelled ones, on features of another model."""
