"""Which outlines the caption of a tile speaks of, and what is said of the others."""

from __future__ import annotations

import re
from dataclasses import replace

from geochg.models.wording import piece_sentence
from geochg.records import Caption, Change, Channel, Outlines
from geochg.tasks.lexicon import DIRECTIONS, NOUNS

_CLAUSE = re.compile(r",| and | while |[.;]")
_KINDS = {
    "residential": "building",
    "industrial": "building",
    "block": "building",
    "blocks": "building",
    "store": "building",
    "greenhouse": "building",
    "greenhouses": "building",
    "parking": "road",
    "paved": "road",
    "site": "bare",
    "sites": "bare",
    "quarry": "bare",
    "planted": "vegetation",
    "plantation": "vegetation",
}
"""Words of the compact model's captions that tell a class, beside the nouns of the answers."""

_TURNS = {
    Change.APPEARED: "planted grown formed dug erected",
    Change.DISAPPEARED: "cleared cut dried drained covered",
    Change.ALTERED: "replaced burnt reshaped widened changed",
}
_HOW = DIRECTIONS | {word: change for change, words in _TURNS.items() for word in words.split()}


def captioned(outlines: Outlines, caption: Caption) -> Outlines:
    """Outlines with a sentence for each channel that the tile's caption does not speak of.

    A tile has one caption, but may hold a new road and a felled wood; neither should be described
    by the other's words.
    """
    told = set(_told(caption.text))

    def is_told(channel: Channel) -> bool:
        kinds = {how for class_name, how in told if class_name == channel.class_name}
        return channel.change in kinds or None in kinds

    captions = tuple("" if is_told(c) else piece_sentence(c) for c in outlines.channels)
    return replace(outlines, captions=captions)


def _told(text: str) -> list[tuple[str, Change | None]]:
    """Class and direction of each clause; None where the direction is not told."""
    found = []
    for clause in _CLAUSE.split(text.lower()):
        words = re.findall(r"[a-z]+", clause)
        kinds = [_KINDS.get(word) or NOUNS[word][0] for word in words if word in _KINDS | NOUNS]
        turns = [_HOW[word] for word in words if word in _HOW]
        if kinds:
            # What comes first is what changed; the rest tells where: "houses beside the road".
            found.append((kinds[0], turns[0] if turns else None))
    return found
