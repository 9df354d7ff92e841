"""How values of a scene become reflectance: factors and summands, by item and collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.stac.collection import BandSource, Collection
from geochg.stac.items import SceneItem

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRITTEN_SCALE = 1e-4
"""Reflectance of one step of the written values."""

HIDDEN = -32768
"""The written value where no ground was seen."""

GREATEST = 32767
"""The greatest written value, and with a minus the least; what lies beyond is cut to it."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Reflectance is a value times `scale` plus `offset`."""

    scale: float
    offset: float

    def reflectance(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Reflectance, about 0-1, of values of any type and shape."""
        return values.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)


def packing_of(item: SceneItem, collection: Collection, source: BandSource) -> Packing:
    """How the values of a band of a scene are packed.

    What the item tells counts before the table of the collection; but the offset of a processing
    baseline goes by the table's rule, because some catalogues tell it of values from which it is
    subtracted already.

    Args:
        item: The scene.
        collection: Its collection.
        source: The band.
    """
    asset = item.assets.get(source.asset)
    scale = asset.scale_of(source.number) if asset is not None else None
    offset = asset.offset_of(source.number) if asset is not None else None
    rule = collection.offset_rule
    if rule is not None:
        baseline = str(item.properties.get(rule.property) or "")
        if rule.unless and item.properties.get(rule.unless) is True:
            offset = 0.0
        elif baseline:
            offset = rule.offset if baseline >= rule.since else 0.0
    return Packing(
        scale=scale if scale is not None and scale > 0 else collection.scale,
        offset=offset if offset is not None else collection.offset,
    )


def written_values(reflectance: NDArray[np.float32]) -> NDArray[np.int16]:
    """Reflectance as it is written: times 10,000, rounded, int16 within `GREATEST`."""
    limit = np.float32(GREATEST * WRITTEN_SCALE)
    steps = np.rint(np.clip(np.nan_to_num(reflectance), -limit, limit) / np.float32(WRITTEN_SCALE))
    values: NDArray[np.int16] = steps.astype(np.int16)
    return values
