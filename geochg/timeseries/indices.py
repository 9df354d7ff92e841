"""Normalised differences of bands, by what the bands show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NormalisedDifference(NamedTuple):
    """`(first - second) / (first + second)` of two bands.

    Attributes:
        first: Role of the one band, see `pair_facts.BAND_ROLES`.
        second: Role of the other.
    """

    first: str
    second: str


INDICES: Mapping[str, NormalisedDifference] = {
    "ndvi": NormalisedDifference("nir", "red"),  # Rouse et al. 1974: plants
    "ndwi": NormalisedDifference("green", "nir"),  # McFeeters 1996: open water
    "nbr": NormalisedDifference("nir", "swir2"),  # García and Caselles 1991: burnt ground
    "mndwi": NormalisedDifference("green", "swir"),  # Xu 2006: open water among buildings
    "ndmi": NormalisedDifference("nir", "swir"),  # Gao 1996: water in plants
}
"""The indices that are told where both bands are known."""

WATCHED = ("ndvi", "ndwi", "nbr")
"""Those whose course is watched unless the user names others."""

_LEAST = 1e-6
"""Share of the bands' size that their sum must reach; below it the quotient is noise."""


def known_indices(bands: Sequence[str]) -> tuple[str, ...]:
    """Names of the indices that some bands make, but for those that are bands themselves."""
    return tuple(
        name
        for name, pair in INDICES.items()
        if pair.first in bands and pair.second in bands and name not in bands
    )


def index_values(
    name: str, bands: Sequence[str], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """An index of band means.

    Args:
        name: One of `INDICES`.
        bands: Names of the bands.
        values: `(bands, n)`, NaN where not seen.

    Returns:
        `(n,)`, NaN where the bands are not seen, or their sum is no larger than noise.
    """
    pair = INDICES[name]
    first, second = (values[list(bands).index(role)] for role in pair)
    total = first + second
    is_small = np.abs(total) <= _LEAST * (np.abs(first) + np.abs(second))
    with np.errstate(invalid="ignore", divide="ignore"):
        index: NDArray[np.float64] = np.where(is_small, np.nan, (first - second) / total)
    return index
