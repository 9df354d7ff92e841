"""Changes whose class is in doubt lose it: better no name than a wrong one.

What is in doubt was measured with the built-in model on held-out ground, feature by feature
(`benchmarks/feature_names.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from geochg.features.merging import feature_numbers
from geochg.features.patches import Kind, kind_numbers
from geochg.features.tile_results import Ground
from geochg.land_cover import COVERS, OTHER, share_borne_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROVEN_KINDS: Mapping[Kind, float] = MappingProxyType(
    {
        ("building", "appeared"): 0.5,
        ("road", "appeared"): 0.5,
        ("water", "appeared"): 0.1,
        ("water", "disappeared"): 0.5,
    }
)
"""Classes and directions by which changes are named, each with the least share of a feature's
ground, 0-1, whose land covers at both dates have to bear it out.

New water was right on held-out ground even where little bore it out: what lay there before, such
as mud, can often not be told. Vegetation, bare ground and what is altered were seldom right there.
Buildings and roads that disappeared were right there, where things go as often as they come, but
hardly ever on real pairs.
"""

_OTHER: Kind = (OTHER.class_name, str(OTHER.change))


def named_kinds(
    polygons: NDArray[np.object_], kinds: Sequence[Kind], grounds: Sequence[Ground | None]
) -> list[Kind]:
    """Class and direction of each piece, as far as the land cover of its feature bears them out.

    Args:
        polygons: `(n,)` pieces in grid pixels that do not overlap.
        kinds: Class and direction of each.
        grounds: What lies under each.

    Returns:
        `n` kinds, equal for pieces of one feature. Classes that consist of no certain land cover
        stay as they are.
    """
    if not kinds:
        return []
    feature = feature_numbers(polygons, kind_numbers(kinds))
    nothing = np.zeros((2, 0), np.int64)
    total: list[NDArray[np.int64]] = [nothing] * (int(feature.max()) + 1)
    for i, ground in zip(feature.tolist(), grounds, strict=True):
        if ground is not None and ground.before:
            under = np.array((ground.before, ground.after), np.int64)
            total[i] = under if not total[i].size else total[i] + under
    return [
        _OTHER if _is_doubted(kind, total[i]) else kind
        for kind, i in zip(kinds, feature.tolist(), strict=True)
    ]


def _is_doubted(kind: Kind, under: NDArray[np.int64]) -> bool:
    """Whether a feature's class is in doubt, by the tallies of its land cover at both dates."""
    if kind[0] not in COVERS:
        return False
    before, after = under.tolist()
    return share_borne_out(*kind, before, after) < PROVEN_KINDS.get(kind, math.inf)
