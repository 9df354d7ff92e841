"""One grey band of a date in colour, so that it can be compared with a black-and-white one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError, OptionError

if TYPE_CHECKING:
    from geochg.tiling.bands import Band

GRAY = ("gray", "grey")
"""What `--bands` calls the grey band of a date, its own or the luminance of its colours."""

COLORS = ("red", "green", "blue")
"""The bands of a picture, as models that look at pictures are shown them, in order."""

WEIGHTS = (0.299, 0.587, 0.114)
"""Share of red, green and blue in the luminance, after ITU-R BT.601."""


def luminance(values: NDArray[Any]) -> NDArray[Any]:
    """The luminance of a picture, of the picture's own type.

    Args:
        values: `(3, height, width)`: red, green and blue.

    Returns:
        `(1, height, width)`.
    """
    gray = np.tensordot(np.array(WEIGHTS), values.astype(np.float64), axes=1)[np.newaxis]
    if np.issubdtype(values.dtype, np.integer):
        gray = np.rint(gray)
    return gray.astype(values.dtype)


def gray_numbers(bands: Sequence[Band], path: str) -> tuple[int, ...]:
    """The bands that the grey of a date is made of: its only one, or red, green and blue.

    Raises:
        OptionError: If its file does not say which they are.
    """
    data = [band for band in bands if not band.alpha]
    gray_bands = [band for band in data if band.label.lower() in GRAY]
    if len(data) == 1 or gray_bands:
        return ((gray_bands or data)[0].number,)
    roles = {band.role: band.number for band in data}
    if all(color in roles for color in COLORS):
        return tuple(roles[color] for color in COLORS)
    if len(data) in (3, 4) and not any(band.tells_content for band in data):
        return tuple(band.number for band in data[:3])
    known_bands = ", ".join(f"{band.number} ({band.name})" for band in data)
    raise OptionError(
        f"no grey can be made of {path}: its bands {known_bands} are not red, green and blue",
        "choose a band by its number, such as --bands 1",
    )


def refuse_gray_against_color(before: Sequence[Band], after: Sequence[Band]) -> None:
    """Refuses a black-and-white date against one in colour, with what can be done.

    Raises:
        InputError: If one of them has one band, and of the other a grey one can be made.
    """
    counts = (len(before), len(after))
    if min(counts) > 1 or max(counts) < len(COLORS):
        return
    if not (_can_be_gray(before) and _can_be_gray(after)):
        return
    raise InputError(
        f"the before image has {count_of(before)}, the after image {count_of(after)}: one date is "
        "grey, the other in colour",
        f"compare both in grey with --bands {GRAY[0]} or the first band of each with --bands 1",
    )


def _can_be_gray(bands: Sequence[Band]) -> bool:
    try:
        gray_numbers(bands, "")
    except OptionError:
        return False
    return True


def count_of(bands: Sequence[Band]) -> str:
    """The number of bands, in words."""
    return "one band" if len(bands) == 1 else f"{len(bands)} bands"
