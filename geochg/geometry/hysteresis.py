"""Which pixels a model that outlines calls changed, and to which channel each belongs.

Everything here looks at the whole read window, so that neighbouring tiles, whose read windows
overlap, decide alike about what lies at their common border.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.errors import RunError
from geochg.geometry.pieces import label_pieces
from geochg.records import Channel, Outlines, Presence

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_AREA_M2 = 40.0
"""Least size of a change where that is left to geochg."""
LEAST_PX = 3
"""Fewest pixels of a change, however coarse they are."""

_HOLE_SHARE = 8  # holes of up to the least size divided by this are filled
_LEAST_HOLE_PX = 3


class ChangedPixels(NamedTuple):
    """What a model outlines, pixel by pixel of the read window.

    Attributes:
        channels: The channels that are kept.
        captions: A sentence for each, or "".
        channel: `(height, width)` int64, index into `channels` where it changed.
        probability: `(height, width)` float32 0-1, what was held against the thresholds.
        changed: `(height, width)` bool.
    """

    channels: tuple[Channel, ...]
    captions: tuple[str, ...]
    channel: NDArray[np.intp]
    probability: NDArray[np.float32]
    changed: NDArray[np.bool_]


def least_size_px(pixel_area_m2: float) -> int:
    """Least size of a change at a resolution: 40 m², but not less than 3 pixels.

    Args:
        pixel_area_m2: Ground area of a pixel; not a number for pictures without a place.
    """
    if math.isnan(pixel_area_m2):
        return LEAST_PX
    return max(LEAST_PX, math.ceil(LEAST_AREA_M2 / pixel_area_m2 - 1e-6))


def changed_pixels(
    outlines: Outlines,
    valid: NDArray[np.bool_],
    keeps: Callable[[str], bool] = bool,
    *,
    log_odds: float = 0.0,
    least_px: int = 0,
) -> ChangedPixels | None:
    """The changed pixels of a tile.

    Where the model tells land cover, holes of a few pixels are filled and specks below the least
    size are dropped, unless they reach the edge of the read window and may go on beyond it.

    Args:
        outlines: The model's outlines.
        valid: `(height, width)` bool.
        keeps: Whether a class is to be kept.
        log_odds: Added to the log odds of the thresholds; see `Sensitivity.log_odds`.
        least_px: Least size of a change; 0 drops nothing.

    Returns:
        The pixels; None where no channel is kept.

    Raises:
        RunError: If a layer that was made for this holds a number that is not finite.
    """
    kept_indices = [i for i, channel in enumerate(outlines.channels) if keeps(channel.class_name)]
    if not kept_indices:
        return None
    keeps_all = len(kept_indices) == len(outlines.channels)
    margins = np.array(outlines.margins, np.float32)[kept_indices] if outlines.margins else None
    if keeps_all and outlines.change is not None:
        surface = thresholded = outlines.change
    else:
        layers = _finite(outlines.layers_at())[kept_indices]
        surface = layers.max(axis=0)
        thresholded = _at_one_threshold(layers, margins).max(axis=0)
    visible = valid if outlines.not_seen is None else valid & ~outlines.not_seen
    changed = _above_thresholds(thresholded, outlines, visible, log_odds)
    if outlines.land_cover is not None and changed.any():
        changed = _without_holes(changed, visible, max(least_px // _HOLE_SHARE, _LEAST_HOLE_PX))
        changed = _without_specks(changed, least_px)
    channel = np.zeros(changed.shape, np.intp)
    if changed.any():
        layers = _finite(outlines.layers_at(changed))[kept_indices]
        channel[changed] = _at_one_threshold(layers, margins).argmax(axis=0)
    return ChangedPixels(
        tuple(outlines.channels[i] for i in kept_indices),
        tuple(outlines.captions[i] if outlines.captions else "" for i in kept_indices),
        channel,
        surface,
        changed,
    )


def _finite(layers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The layers, unless one holds what is no number: the strongest of them would be that one.

    Raises:
        RunError: If a number is not finite.
    """
    if not np.isfinite(layers).all():
        raise RunError(
            "the model gave a number that is not finite", "its weights or settings may be damaged"
        )
    return layers


def presence_of(outlines: Outlines, valid: NDArray[np.bool_]) -> Presence:
    """Whether anything changed, as the outlines say; the probability is the highest of any pixel.

    Args:
        outlines: The model's outlines.
        valid: `(height, width)` bool.
    """
    changed_map = changed_pixels(outlines, valid)
    if changed_map is None:
        return Presence(changed=False, probability=0.0)
    visible = valid if outlines.not_seen is None else valid & ~outlines.not_seen
    highest = float(changed_map.probability[visible].max(initial=0.0))
    return Presence(changed=bool(changed_map.changed.any()), probability=highest)


def _above_thresholds(
    surface: NDArray[np.float32], outlines: Outlines, visible: NDArray[np.bool_], log_odds: float
) -> NDArray[np.bool_]:
    """Pixels that reach the threshold, and with hysteresis those that hang together with them."""
    strong: NDArray[np.bool_] = (
        surface >= _moved_probability(outlines.threshold, log_odds)
    ) & visible
    if outlines.low_threshold is None:
        return strong
    return hysteresis(
        strong, (surface >= _moved_probability(outlines.low_threshold, log_odds)) & visible
    )


def _at_one_threshold(
    layers: NDArray[np.float32], margins: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Layers, `(channels, ...)` 0-1, moved by margins so that one threshold holds for all."""
    if margins is None or not margins.any():
        return layers
    odds = np.exp(margins).reshape(-1, *[1] * (layers.ndim - 1))
    moved_layers: NDArray[np.float32] = layers / (layers + (1 - layers) * odds)
    return moved_layers


def hysteresis(strong: NDArray[np.bool_], weak: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Hysteresis: strong pixels, and the weak ones that hang together with them.

    Args:
        strong: `(height, width)` bool.
        weak: As `strong`.
    """
    if not strong.any():
        return strong
    labels, count = label_pieces(weak | strong, corners=True)
    holds_strong = np.zeros(count + 1, bool)
    holds_strong[labels[strong]] = True
    changed_map: NDArray[np.bool_] = holds_strong[labels]
    return changed_map


def _moved_probability(threshold: float, log_odds: float) -> float:
    """A probability with something added to its log odds."""
    if not log_odds or not 0 < threshold < 1:
        return threshold
    return 1 / (1 + (1 / threshold - 1) * math.exp(-log_odds))


def _without_holes(
    changed: NDArray[np.bool_], visible: NDArray[np.bool_], most_px: int
) -> NDArray[np.bool_]:
    """Fills holes of visible ground of up to `most_px` that lie within the window."""
    if not changed.any():
        return changed
    labels, count = label_pieces(~changed)
    fills = np.bincount(labels.ravel(), minlength=count + 1) <= most_px
    fills[labels[~visible]] = False
    fills[_at_edge(labels)] = False
    fills[0] = False
    changed_map: NDArray[np.bool_] = changed | fills[labels]
    return changed_map


def _without_specks(changed: NDArray[np.bool_], least_px: int) -> NDArray[np.bool_]:
    """Drops patches below `least_px` that are seen whole."""
    if least_px <= 1 or not changed.any():
        return changed
    labels, count = label_pieces(changed, corners=True)
    keeps = np.bincount(labels.ravel(), minlength=count + 1) >= least_px
    keeps[_at_edge(labels)] = True
    keeps[0] = False
    changed_map: NDArray[np.bool_] = keeps[labels]
    return changed_map


def _at_edge(labels: NDArray[np.signedinteger]) -> NDArray[np.signedinteger]:
    """The labels along the edge of the window."""
    return np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
