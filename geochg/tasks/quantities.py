"""Areas and numbers as sentences name them."""

from __future__ import annotations

from geochg.tasks.lexicon import ARTICLES, NUMBERS

_HECTARE_M2 = 10_000
_SQUARE_KILOMETRE_M2 = 1_000_000
_WORD = {number: word for word, number in NUMBERS.items() if word not in ARTICLES}
_LAST_WORD = 10


def area_in_words(area_m2: float) -> str:
    """An area to two figures: `230 m²`, `1.2 ha`, `3.4 km²`."""
    if round(area_m2) < _HECTARE_M2:
        return f"{float(f'{area_m2:.2g}'):,g} m²"
    if area_m2 < _SQUARE_KILOMETRE_M2:
        return f"{float(f'{area_m2 / _HECTARE_M2:.2g}'):,g} ha"
    return f"{float(f'{area_m2 / _SQUARE_KILOMETRE_M2:.2g}'):,g} km²"


def number_in_words(number: int) -> str:
    """A number up to ten as a word, others in figures."""
    return _WORD[number] if 0 <= number <= _LAST_WORD else f"{number:,}"
