"""Cloud masks: what hides the ground in a scene, by the quality band that comes with it.

A cloud mask is a raster of the classes below. A scene of a known collection brings a quality band
that is decoded here; where there is none, `cloud_model` predicts the mask from the scene itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError, OptionError
from geochg.geometry.morphology import dilated

if TYPE_CHECKING:
    from geochg.stac.collection import MaskTable

NO_DATA, CLEAR, CLOUD, SHADOW, SNOW = range(5)
"""Classes of a cloud mask: not measured or defective; ground or water in sight; cloud, cirrus
among it; shadow of a cloud; snow or ice."""

HIDDEN = (CLOUD, SHADOW, SNOW)
"""Classes in which the ground is not seen."""

CLOUD_MARGIN_M = 90.0
"""Metres by which clouds and their shadows are grown, because their edges are thin: three pixels
of Landsat, as Fmask does it (Zhu and Woodcock 2012, section 3.2)."""

WIDEST_MARGIN_M = 10_000.0
"""Metres from which on a margin is a slip."""


@dataclass(frozen=True, slots=True)
class QualityBand:
    """A band that tells for each pixel what hides the ground there.

    Attributes:
        kind: Its name in the file of catalogues.
        name: Its name in the documents of its maker.
        assets: Names that catalogues give it, in lower case.
        collections: Patterns of the collections that have it, in lower case.
        values: Class of each value of a band of classes; empty for a band of bits.
        bits: Class of each bit of a band of bits, the one that counts most first; what has none
            of them is clear.
        fills: Values that mean "not measured" in a band of bits.
        always: Bits of which each measured pixel of a band of bits has one; 0 where none are.
        most: The greatest value that a band of bits holds.
        has_margin: Whether clouds are grown in it already.
    """

    kind: str
    name: str
    assets: tuple[str, ...]
    collections: tuple[str, ...]
    values: tuple[int, ...] = ()
    bits: tuple[tuple[int, int], ...] = ()
    fills: tuple[int, ...] = ()
    always: int = 0
    most: int = 0
    has_margin: bool = False

    def classes(self, band: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The cloud mask that a band holds.

        Args:
            band: `(height, width)` whole numbers as they lie in the file, never interpolated:
                uint8 or uint16; of float, as loaders make it, NaN means "not measured".

        Returns:
            `(height, width)` uint8 of the classes above.

        Raises:
            InputError: If the band holds what no such band can.
        """
        numbers = self._whole_numbers(band)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() <= self._most:
            wrong = numbers.max() if numbers.max() > self._most else numbers.min()
            raise self._refusal(f"it holds {wrong}, which is not among 0 to {self._most}")
        if self.values:
            return np.asarray(self.values, np.uint8)[numbers]
        mask = np.full(numbers.shape, CLEAR, np.uint8)
        for bit, kind in reversed(self.bits):
            mask[(numbers >> bit) & 1 == 1] = kind
        mask[np.isin(numbers, self.fills)] = NO_DATA
        if self.always and ((numbers & self.always == 0) & (mask != NO_DATA)).any():
            raise self._refusal("its pixels lack bits that each must have")
        return mask

    @property
    def margin_m(self) -> float:
        """Metres by which clouds are grown that this band tells of, unless the user says else."""
        return 0.0 if self.has_margin else CLOUD_MARGIN_M

    @property
    def _most(self) -> int:
        return len(self.values) - 1 if self.values else self.most

    @property
    def _missing(self) -> int:
        """Value that stands for "not measured"."""
        return self.values.index(NO_DATA) if self.values else self.fills[0]

    def _whole_numbers(self, band: NDArray[np.generic]) -> NDArray[np.int64]:
        """A band as whole numbers."""
        if band.dtype.kind in "iu":
            return band.astype(np.int64)
        if band.dtype.kind != "f":
            raise self._refusal(f"its values are of {band.dtype}")
        values = np.where(np.isfinite(band), band, self._missing)
        if (values != np.floor(values)).any():
            raise self._refusal("it holds fractions")
        return values.astype(np.int64)

    def _refusal(self, reason: str) -> InputError:
        return InputError(
            f"the quality band is no {self.name}: {reason}",
            "the catalogue names the wrong asset, or it was resampled; leave cloud masks off, or "
            "take another collection",
        )


QUALITY_BANDS = (
    QualityBand(
        "scl",
        "SCL (Sentinel-2 scene classification)",
        ("scl", "scl_20m"),
        ("sentinel-2*l2a*", "sentinel2*l2a*", "s2_l2a*"),
        # No data, defective, dark, shadow, plants, bare, water, unclassified, clouds of medium and
        # of high probability, thin cirrus, snow.
        values=(
            *(NO_DATA, NO_DATA, CLEAR, SHADOW, CLEAR, CLEAR, CLEAR, CLEAR),
            *(CLOUD, CLOUD, CLOUD, SNOW),
        ),
    ),
    QualityBand(
        "qa_pixel",
        "QA_PIXEL (Landsat Collection 2)",
        ("qa_pixel", "pixel_quality"),
        ("landsat*c2*", "ls[5789]_*"),
        # Cloud, cirrus, shadow, snow; then what was grown around clouds.
        bits=((3, CLOUD), (2, CLOUD), (4, SHADOW), (5, SNOW), (1, CLOUD)),
        # Loaders write 0 where a scene ends.
        fills=(0, 1),
        # How sure it is that there is, or is no, cloud.
        always=0b11 << 8,
        most=2**16 - 1,
        has_margin=True,
    ),
    QualityBand(
        "fmask_hls",
        "Fmask (HLS)",
        ("fmask",),
        ("hls*",),
        # Cloud, shadow, snow; then what is near to a cloud or a shadow.
        bits=((1, CLOUD), (3, SHADOW), (4, SNOW), (2, CLOUD)),
        fills=(255,),
        most=2**8 - 1,
        has_margin=True,
    ),
    QualityBand(
        "fmask_dea",
        "fmask (Digital Earth Australia)",
        ("oa_fmask", "fmask"),
        ("ga_*",),
        values=(NO_DATA, CLEAR, CLOUD, SHADOW, SNOW, CLEAR),
    ),
)
"""The quality bands of known collections."""

QUALITY_KINDS = {band.kind: band for band in QUALITY_BANDS}
"""The same by their names in the file of catalogues."""


def quality_band(collection: str, assets: Iterable[str]) -> tuple[str, QualityBand] | None:
    """The asset of an item that holds its quality band, and what its values mean.

    Args:
        collection: Id of the item's collection, in any case.
        assets: Names of the item's assets.

    Returns:
        None where the collection is not known and no asset has a name that says enough by itself.
    """
    by_name = {asset.lower(): asset for asset in assets}
    candidates = [
        (by_name[name], band) for band in QUALITY_BANDS for name in band.assets if name in by_name
    ]
    for asset, band in candidates:
        if any(fnmatchcase(collection.lower(), pattern) for pattern in band.collections):
            return asset, band
    # Names that one band alone has mean that band in catalogues of others, too.
    distinct = [
        (asset, band)
        for asset, band in candidates
        if sum(asset.lower() in other.assets for other in QUALITY_BANDS) == 1
    ]
    return distinct[0] if distinct else None


def cloud_classes(values: NDArray[np.generic], table: MaskTable) -> NDArray[np.uint8]:
    """The cloud mask of a scene, of the mask asset that its collection has.

    Args:
        values: `(height, width)` whole numbers as the asset has them; of float, NaN means "not
            measured".
        table: What they say. Where it names no kind of quality band, all that hides ground is
            taken for clouds.

    Returns:
        `(height, width)` uint8 of the classes above.

    Raises:
        InputError: If the asset holds what no such band can.
    """
    if table.kind:
        return QUALITY_KINDS[table.kind].classes(values)
    missing = ~np.isfinite(values)
    if table.nodata is not None:
        missing |= values == table.nodata
    numbers = np.where(missing, 0, values).astype(np.int64)
    if table.hidden_bits:
        clear = numbers & sum(1 << bit for bit in table.hidden_bits) == 0
    else:
        clear = np.isin(numbers, table.clear)
    return np.select([missing, clear], [NO_DATA, CLEAR], CLOUD).astype(np.uint8)


def margin_of(table: MaskTable) -> float:
    """Metres by which clouds are grown that a mask asset tells of, unless the user says else."""
    return QUALITY_KINDS[table.kind].margin_m if table.kind else CLOUD_MARGIN_M


def margin_px(margin_m: float, pixel_m: float) -> int:
    """Whole pixels that a margin reaches over, rounded up; 90 m are nine pixels of 9.99 m."""
    return math.ceil(margin_m / pixel_m - 0.02)


def with_margin(
    mask: NDArray[np.uint8], pixel_m: float, margin_m: float = CLOUD_MARGIN_M
) -> NDArray[np.uint8]:
    """A cloud mask whose clouds and shadows are grown by a margin.

    They grow over clear ground and snow alone; a cloud goes before a shadow. The margin is rounded
    up to whole pixels, and what grows is an octagon, which is 8 % off a circle at most.

    Args:
        mask: `(height, width)` uint8 of the classes above.
        pixel_m: Side of a pixel in metres.
        margin_m: Metres, 0 to 10,000.

    Raises:
        OptionError: If the margin is out of its range.
    """
    if not 0 <= margin_m <= WIDEST_MARGIN_M:
        raise OptionError(
            f"a margin of {margin_m:g} m around clouds makes no sense",
            f"give 0 to {WIDEST_MARGIN_M:g} metres",
        )
    # No margin reaches farther than the mask does.
    steps = min(margin_px(margin_m, pixel_m), max(mask.shape, default=0))
    grown_mask = mask.copy()
    for kind in (SHADOW, CLOUD):
        reach = mask == kind
        for step in range(steps if reach.any() else 0):
            # Diamonds and squares in turn make an octagon.
            reach = dilated(reach, square=step % 2 == 1)
        grown_mask[reach & (mask != NO_DATA) & (mask != CLOUD)] = kind
    return grown_mask


def shares(mask: NDArray[np.uint8]) -> Mapping[str, float]:
    """Shares of `clear`, `cloud`, `shadow` and `snow` among the pixels that were measured.

    Args:
        mask: uint8 of the classes above, of any shape.

    Returns:
        0 to 1 each; all 0 where nothing was measured.
    """
    counts = np.bincount(mask.ravel(), minlength=5)
    measured = max(int(counts[CLEAR:].sum()), 1)
    kinds = {"clear": CLEAR, "cloud": CLOUD, "shadow": SHADOW, "snow": SNOW}
    return {name: float(counts[kind] / measured) for name, kind in kinds.items()}
