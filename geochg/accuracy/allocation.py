"""How many units of a sample each stratum gets."""

from __future__ import annotations

import math
from collections.abc import Mapping

from geochg.errors import OptionError

LEAST_UNITS = 5
"""Units that each stratum gets at least: a variance needs some."""

FEW_UNITS = 20
"""Below so many units a stratum is called small, since its interval is not to be trusted."""

_EXPECTED_RIGHT = {True: 0.7, False: 0.95}
"""Share of a stratum that is expected to be as mapped, where changes are and where none are."""


def equal_allocation(names: Mapping[str, float], total: int) -> dict[str, int]:
    """The same number of units for each stratum; what is left over goes to the largest.

    Args:
        names: Strata and their areas in m².
        total: Units in all.

    Raises:
        OptionError: If that is fewer than `LEAST_UNITS` a stratum.
    """
    check_total(len(names), total)
    share, rest = divmod(total, len(names))
    largest = sorted(names, key=lambda name: -names[name])[:rest]
    return {name: share + (name in largest) for name in names}


def optimal_allocation(
    areas_m2: Mapping[str, float], is_change: Mapping[str, bool], total: int
) -> dict[str, int]:
    """Neyman's allocation: by area and the spread that is expected in a stratum.

    Each stratum gets at least `LEAST_UNITS` (Cochran 1977, Sampling Techniques, equation 5.26).

    Args:
        areas_m2: Strata and their areas in m².
        is_change: Whether a stratum is a kind of change.
        total: Units in all.

    Raises:
        OptionError: If that is fewer than `LEAST_UNITS` a stratum.
    """
    check_total(len(areas_m2), total)
    weights = {name: area * _spread(is_change[name]) for name, area in areas_m2.items()}
    units = dict.fromkeys(areas_m2, LEAST_UNITS)
    spare = total - sum(units.values())
    ideal = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    wanting = {name: max(ideal[name] - LEAST_UNITS, 0.0) for name in ideal}
    scale = spare / sum(wanting.values()) if sum(wanting.values()) else 0.0
    exact = {name: value * scale for name, value in wanting.items()}
    units = {name: LEAST_UNITS + math.floor(exact[name]) for name in units}
    fractions = sorted(exact, key=lambda name: math.floor(exact[name]) - exact[name])
    for name in fractions[: total - sum(units.values())]:
        units[name] += 1
    return units


def units_for_error(
    areas_m2: Mapping[str, float], is_change: Mapping[str, bool], standard_error: float
) -> int:
    """Units for a standard error of the overall accuracy: Olofsson et al. (2014), equation 13.

    Args:
        areas_m2: Strata and their areas in m².
        is_change: Whether a stratum is a kind of change.
        standard_error: The error that is wanted, as a share of the area.
    """
    total_m2 = sum(areas_m2.values())
    spread = sum(area / total_m2 * _spread(is_change[name]) for name, area in areas_m2.items())
    return max(math.ceil((spread / standard_error) ** 2), LEAST_UNITS * len(areas_m2))


def check_total(strata: int, total: int) -> None:
    """Refuses a sample that is too small for its strata.

    Raises:
        OptionError: If it is.
    """
    if total < strata * LEAST_UNITS:
        raise OptionError(
            f"{total} units are too few for {strata} strata",
            f"each needs at least {LEAST_UNITS}: ask for {strata * LEAST_UNITS} units or more",
        )


def _spread(is_change: bool) -> float:
    """The standard deviation of "the map is right" within a stratum."""
    right = _EXPECTED_RIGHT[is_change]
    return math.sqrt(right * (1 - right))
