"""The parts of a data set by name."""

from __future__ import annotations

import re

SPLITS = ("train", "val", "test")
"""Names of the parts."""

_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_NAMES |= {"test": "test", "testing": "test"}


def split_of_name(name: str) -> str:
    """The part that a file's name speaks of; empty where it speaks of none, or of several."""
    found = {_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _NAMES}
    return found.pop() if len(found) == 1 else ""


def usual_split(text: str) -> str:
    """The part that a row says it belongs to, by its usual name where it is a usual one."""
    return split_of_name(text) or text
