"""Which pixels of a scene show ground, and not cloud, shadow or snow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.stac.collection import MaskTable


def mask_of_classes(values: NDArray[Any], table: MaskTable) -> NDArray[np.bool_]:
    """Which pixels are clear, by the classes or bits of a mask asset.

    Args:
        values: Whole numbers of any shape, as the asset has them.
        table: What they say.

    Returns:
        Bool of the same shape, True where ground is seen.
    """
    clear: NDArray[np.bool_]
    if table.hidden_bits:
        hidden = np.int64(sum(1 << bit for bit in table.hidden_bits))
        clear = (values.astype(np.int64) & hidden) == 0
    else:
        clear = np.isin(values, table.clear)
    if table.nodata is not None:
        clear &= values != table.nodata
    return clear
