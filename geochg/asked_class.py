"""A class that a question asks about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AskedClass:
    """A class that a question asks about, in words.

    Attributes:
        name: Its name in answers and on the map.
        nouns: Nouns for it in singular; the first is that of prompts.
        description: How it looks from above; may be empty.
    """

    name: str
    nouns: tuple[str, ...]
    description: str = ""
