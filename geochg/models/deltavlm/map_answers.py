"""Answers to the tasks in words, from the map alone: what it shows is what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geochg.models.talk import unchanged
from geochg.models.wording import sentence
from geochg.records import (
    Answer,
    Caption,
    Change,
    Counts,
    Dialogue,
    Outlines,
    Presence,
    Reply,
    Task,
)
from geochg.tasks.lexicon import ASKED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.records import Tile


def map_answer(
    task: Task, outlines: Outlines, presence: Presence, tile: Tile, no_change_sentence: str
) -> Answer:
    """The answer to a task about a tile.

    Args:
        task: Any but presence and location, which the map is.
        outlines: Of the tile.
        presence: Likewise.
        tile: The tile.
        no_change_sentence: What is said of a tile without change.
    """
    channel_px = _channel_pixels(outlines, tile.valid)
    if not channel_px.any():
        nothing = Presence(changed=False, probability=presence.probability)
        return unchanged(task, nothing, no_change_sentence)
    caption = _caption(outlines, channel_px, tile.valid)
    if task is Task.CAPTION:
        return caption
    if task is Task.QUESTION:
        return Reply(caption.text)
    counts = _counts(outlines, tile.valid)
    return counts if task is Task.COUNT else Dialogue(presence, counts, caption.text)


def changed_pixels(outlines: Outlines, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`(height, width)`: where the map says that something changed."""
    surface = outlines.probability.max(axis=0) if outlines.change is None else outlines.change
    seen = valid if outlines.not_seen is None else valid & ~outlines.not_seen
    changed: NDArray[np.bool_] = (surface >= outlines.threshold) & seen
    return changed


def _channel_pixels(outlines: Outlines, valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`(channels,)`: how many pixels changed in the way of each channel."""
    strongest = outlines.probability.argmax(axis=0)[changed_pixels(outlines, valid)]
    return np.bincount(strongest, minlength=len(outlines.channels))


def _caption(outlines: Outlines, channel_px: NDArray[np.intp], valid: NDArray[np.bool_]) -> Caption:
    whole_px = max(int(np.count_nonzero(valid)), 1)
    shares = {
        channel: int(count) / whole_px
        for channel, count in zip(outlines.channels, channel_px, strict=True)
        if count
    }
    return Caption(sentence(shares), changed=True)


def _counts(outlines: Outlines, valid: NDArray[np.bool_]) -> Counts:
    """Separate things of each class, and the commonest direction of each."""
    from scipy.ndimage import label

    changed = changed_pixels(outlines, valid)
    strongest = outlines.probability.argmax(axis=0)
    counts = dict.fromkeys(ASKED, 0)
    changes: dict[str, Change] = {}
    for class_name in counts:
        places = [p for p, c in enumerate(outlines.channels) if c.class_name == class_name]
        of_class = changed & np.isin(strongest, places)
        counts[class_name] = int(label(of_class)[1])
        if counts[class_name]:
            commonest = np.bincount(strongest[of_class], minlength=len(outlines.channels)).argmax()
            changes[class_name] = outlines.channels[int(commonest)].change
    return Counts(counts, changes)
