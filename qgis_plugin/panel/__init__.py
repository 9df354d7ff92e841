"""The dock and what is in it."""
