"""Changes whose class is in doubt lose it: better no name than a wrong one.

What is in doubt was measured with the built-in model on held-out ground, feature by feature
(`benchmarks/feature_names.py`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geochg.features.merging import Contacts
from geochg.features.patches import Kind, kind_numbers
from geochg.land_cover import OTHER, is_borne_out

_OTHER: Kind = (OTHER.class_name, str(OTHER.change))


def named_kinds(
    contacts: Contacts,
    kinds: Sequence[Kind],
    grounds: NDArray[np.int64],
    pixel_area_m2: float,
) -> list[Kind]:
    """Class and direction of each piece, as far as the land cover of its feature bears them out.

    Args:
        contacts: Of `n` pieces.
        kinds: Class and direction of each.
        grounds: `(n, 3, covers)` what lies under each, see `Collected.grounds`.
        pixel_area_m2: Ground area of a pixel; not a number where it is not known.

    Returns:
        `n` kinds, equal for pieces of one feature. Classes that consist of no certain land cover
        stay as they are.
    """
    feature = contacts.feature_numbers(kind_numbers(kinds))
    _, first = np.unique(feature, return_index=True)
    totals = grounds_together(grounds, feature).tolist()
    kind_of = [
        (name, change) if is_borne_out(name, change, before, after, pixel_area_m2) else _OTHER
        for (name, change), (before, after, _) in zip(
            [kinds[i] for i in first.tolist()], totals, strict=True
        )
    ]
    return [kind_of[number] for number in feature.tolist()]


def grounds_together(grounds: NDArray[np.int64], feature: NDArray[np.int64]) -> NDArray[np.int64]:
    """`(features, 3, covers)`: the ground of the pieces of each feature, of that of each piece."""
    totals = np.zeros((int(feature.max()) + 1, *grounds.shape[1:]), np.int64)
    np.add.at(totals, feature, grounds)
    return totals
