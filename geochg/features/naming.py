"""Changes whose class is in doubt lose it: better no name than a wrong one.

What is in doubt was measured with the built-in model on held-out ground, feature by feature
(`benchmarks/feature_names.py`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geochg.features.merging import feature_numbers
from geochg.features.patches import Kind, kind_numbers
from geochg.features.tile_results import Ground
from geochg.land_cover import OTHER, is_borne_out

_OTHER: Kind = (OTHER.class_name, str(OTHER.change))


def named_kinds(
    polygons: NDArray[np.object_],
    kinds: Sequence[Kind],
    grounds: Sequence[Ground | None],
    pixel_area_m2: float,
) -> list[Kind]:
    """Class and direction of each piece, as far as the land cover of its feature bears them out.

    Args:
        polygons: `(n,)` pieces in grid pixels that do not overlap.
        kinds: Class and direction of each.
        grounds: What lies under each.
        pixel_area_m2: Ground area of a pixel; not a number where it is not known.

    Returns:
        `n` kinds, equal for pieces of one feature. Classes that consist of no certain land cover
        stay as they are.
    """
    if not kinds:
        return []
    feature = feature_numbers(polygons, kind_numbers(kinds))
    empty_pairs = np.zeros((2, 0), np.int64)
    total: list[NDArray[np.int64]] = [empty_pairs] * (int(feature.max()) + 1)
    for i, ground in zip(feature.tolist(), grounds, strict=True):
        if ground is not None and ground.before:
            under = np.array((ground.before, ground.after), np.int64)
            total[i] = under if not total[i].size else total[i] + under
    return [
        kind
        if is_borne_out(*kind, total[i][0].tolist(), total[i][1].tolist(), pixel_area_m2)
        else _OTHER
        for kind, i in zip(kinds, feature.tolist(), strict=True)
    ]
