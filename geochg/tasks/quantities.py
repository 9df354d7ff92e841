"""Areas and numbers as sentences name them."""

from __future__ import annotations

import math

from geochg.tasks.lexicon import ARTICLES, NUMBERS

_HECTARE_M2 = 10_000
_SQUARE_KILOMETRE_M2 = 1_000_000
_LEAST_M2 = 0.01
_M2_CM2 = 10_000
_WORD = {number: word for word, number in NUMBERS.items() if word not in ARTICLES}
_LAST_WORD = 10


def area_in_words(area_m2: float) -> str:
    """An area to two figures: `230 m²`, `1.2 ha`, `3.4 km²`, `40 cm²`."""
    if 0 < area_m2 < _LEAST_M2:
        return f"{float(f'{area_m2 * _M2_CM2:.2g}'):,g} cm²"
    if round(area_m2) < _HECTARE_M2:
        return f"{float(f'{area_m2:.2g}'):,g} m²"
    if area_m2 < _SQUARE_KILOMETRE_M2:
        return f"{float(f'{area_m2 / _HECTARE_M2:.2g}'):,g} ha"
    return f"{float(f'{area_m2 / _SQUARE_KILOMETRE_M2:.2g}'):,g} km²"


def listed_area(area_m2: float) -> str:
    """An area as reports list it: `1.23 ha`, `45.6 m²`, `40 cm²`."""
    if 0 < area_m2 < 1:
        return area_in_words(area_m2)
    return f"{area_m2 / 1e4:,.2f} ha" if area_m2 >= 100 else f"{area_m2:,.1f} m²"


def number_in_words(number: int) -> str:
    """A number up to ten as a word, others in figures."""
    return _WORD[number] if 0 <= number <= _LAST_WORD else f"{number:,}"


def rounded_value(value: float, decimals: int) -> float:
    """A number to so many decimals, or to three figures where these would show less of it."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, max(decimals, 2 - math.floor(math.log10(abs(value)))))
