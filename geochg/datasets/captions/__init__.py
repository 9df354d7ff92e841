"""Captions of pairs with masks: facts, sentences and instruction rows."""
