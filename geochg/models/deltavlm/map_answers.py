"""Answers the tasks in words from the map alone, so that texts and map agree."""

import numpy as np
from numpy.typing import NDArray

from geochg.geometry.hysteresis import ChangedPixels, changed_pixels
from geochg.geometry.pieces import label_pieces
from geochg.models.chat.dialogue import unchanged_answer
from geochg.models.detectors.sentences import sentence
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
    Tile,
)
from geochg.tasks.lexicon import ASKED


def map_answer(
    task: Task, outlines: Outlines, presence: Presence, tile: Tile, no_change_sentence: str
) -> Answer:
    """The answer to a task about a tile.

    Args:
        task: Any but presence and location, which the map is.
        outlines: The outlines of the tile.
        presence: The presence of the tile.
        tile: The tile.
        no_change_sentence: The caption of a tile without change.
    """
    changed = changed_pixels(outlines, tile.valid)
    channel_px = _channel_pixels(changed, len(outlines.channels))
    if changed is None or not channel_px.any():
        no_change = Presence(changed=False, probability=presence.probability)
        return unchanged_answer(task, no_change, no_change_sentence)
    caption = _caption(outlines, channel_px, tile.valid)
    if task is Task.CAPTION:
        return caption
    if task is Task.QUESTION:
        return Reply(caption.text)
    counts = _counts(changed)
    return counts if task is Task.COUNT else Dialogue(presence, counts, caption.text)


def _channel_pixels(changed: ChangedPixels | None, channels: int) -> NDArray[np.intp]:
    """`(channels,)`: number of changed pixels of each channel."""
    if changed is None:
        return np.zeros(channels, np.intp)
    return np.bincount(changed.channel[changed.changed], minlength=channels)


def _caption(outlines: Outlines, channel_px: NDArray[np.intp], valid: NDArray[np.bool_]) -> Caption:
    whole_px = max(int(np.count_nonzero(valid)), 1)
    shares = {
        channel: int(count) / whole_px
        for channel, count in zip(outlines.channels, channel_px, strict=True)
        if count
    }
    return Caption(sentence(shares), changed=True)


def _counts(changed: ChangedPixels) -> Counts:
    """Separate things of each class, and the commonest direction of each."""
    counts = dict.fromkeys(ASKED, 0)
    changes: dict[str, Change] = {}
    for class_name in counts:
        indices = [i for i, c in enumerate(changed.channels) if c.class_name == class_name]
        of_class = changed.changed & np.isin(changed.channel, indices)
        counts[class_name] = int(label_pieces(of_class)[1])
        if counts[class_name]:
            commonest = np.bincount(changed.channel[of_class]).argmax()
            changes[class_name] = changed.channels[int(commonest)].change
    return Counts(counts, changes)
