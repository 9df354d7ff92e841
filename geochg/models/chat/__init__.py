"""Dialogues about tiles, by a language model or by rules."""
