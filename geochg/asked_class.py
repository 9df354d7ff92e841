"""A class that a question asks about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AskedClass:
    """A class that a question asks about, in words.

    Attributes:
        name: Its name in answers and on the map.
        nouns: Nouns for it in singular; prompts name the first of them.
        description: How it looks from above; may be empty.
        prompt_nouns: How many of the nouns prompts name: one for each kind that it is made of.
    """

    name: str
    nouns: tuple[str, ...]
    description: str = ""
    prompt_nouns: int = 1
