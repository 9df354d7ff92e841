"""Sentences for facts, in many wordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geochg.classes import CLASS_BY_NAME
from geochg.datasets.captions.facts import Fact
from geochg.tasks.statements import NO_CHANGE_SENTENCES

_WORDS = "zero a two three four five six seven eight nine ten".split()
_CHANGED = (
    "{has} changed",
    "{is} different now",
    "{has} been changed",
    "{is} different from before",
)
"""For changes whose direction is not known."""

_SIDES = (("top", "upper"), ("center", "middle"), ("bottom", "lower"))


class CaptionWriter:
    """Writes captions; all it chooses is drawn from one generator.

    Args:
        rng: Generator that draws the wordings.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def caption(self, facts: Sequence[Fact], greatest: int = 3) -> str:
        """A sentence about the largest facts; one of the five fixed ones where there are none."""
        if not facts:
            return self._pick(NO_CHANGE_SENTENCES)
        chosen_facts = list(facts[: 1 + int(self._rng.integers(greatest))])
        if len(chosen_facts) > 1 and self._rng.random() < 0.4:
            chosen_facts.reverse()
        clauses = [self.clause(fact) for fact in chosen_facts]
        if len(clauses) == 1:
            return clauses[0]
        joint = self._pick((" and ", ", and ", ", while ", " and "))
        return ", ".join(clauses[:-1]) + joint + clauses[-1]

    def detail(self, facts: Sequence[Fact]) -> str:
        """A sentence for each fact."""
        if not facts:
            return self._pick(NO_CHANGE_SENTENCES)
        clauses = [self.clause(fact) for fact in facts]
        return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)

    def clause(self, fact: Fact) -> str:
        """A clause about one fact, without a full stop."""
        noun = self._pick(CLASS_BY_NAME[fact.class_name].caption_nouns)
        is_plural = fact.number > 1
        verb = self._verb(fact, is_plural)
        subject = self._subject(fact.number, noun)
        location = self._place_words(fact)
        if location and self._rng.random() < 0.25:
            return f"{location} {subject} {verb}"
        return " ".join(part for part in (subject, verb, location) if part)

    def _verb(self, fact: Fact, is_plural: bool) -> str:
        row = CLASS_BY_NAME[fact.class_name]
        verb_forms = _CHANGED if fact.change is None else getattr(row, fact.change)
        forms_of_number = (
            ("are", "have", "appear", "disappear", "others")
            if is_plural
            else ("is", "has", "appears", "disappears", "another")
        )
        names = ("is", "has", "appears", "disappears", "other")
        return self._pick(verb_forms).format(**dict(zip(names, forms_of_number, strict=True)))

    def _subject(self, number: int, noun: str) -> str:
        if number == 1:
            article = "an" if noun[0] in "aeiou" else "a"
            return f"{article} {noun}"
        plural_noun = plural(noun)
        if number < len(_WORDS) and self._rng.random() < 0.6:
            return f"{_WORDS[number]} {plural_noun}"
        if number > 8:
            return f"{self._pick(('many', 'a lot of', 'rows of', 'many'))} {plural_noun}"
        return f"{self._pick(('some', 'several'))} {plural_noun}"

    def _place_words(self, fact: Fact) -> str:
        return "" if self._rng.random() < 0.25 else self._where(fact)

    def _where(self, fact: Fact) -> str:
        """The part of the scene in words."""
        if fact.spread > 0.33 or len(fact.cells) > 6:
            return self._pick(("throughout the scene", "all over the scene", "across the scene"))
        row, col = (min(int(3 * value), 2) for value in fact.center)
        if (row, col) == (1, 1):
            return self._pick(("in the middle of the scene", "in the center", "in the center area"))
        if row == 1:
            side = ("left", "", "right")[col]
            return self._pick((f"on the {side}", f"on the {side} side of the scene"))
        level = self._pick(_SIDES[row])
        if col == 1:
            return self._pick(
                (
                    f"in the {level} part of the scene",
                    f"at the {level} of the scene"
                    if level in ("top", "bottom")
                    else f"in the {level} part",
                )
            )
        side = ("left", "", "right")[col]
        return self._pick((f"in the {level} {side} corner", f"in the {level} {side} of the scene"))

    def _pick(self, choices: Sequence[str]) -> str:
        return choices[int(self._rng.integers(len(choices)))]


def plural(noun: str) -> str:
    """The plural of a noun of this grammar; of its first part where it says what of."""
    head, preposition, complement = noun.partition(" of ")
    if head.endswith("y") and head[-2] not in "aeiou":
        head = f"{head[:-1]}ie"
    elif head.endswith(("s", "sh", "ch")):
        head = f"{head}e"
    return f"{head}s{preposition}{complement}"
