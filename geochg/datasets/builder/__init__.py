"""Pairs with masks to instruction rows: cut, split, counted, told."""
