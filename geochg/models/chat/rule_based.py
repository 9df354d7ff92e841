"""Answers free questions by rules, from outlines, counts and captions; no language model.

A question is answered when every word of it is known, because one unknown word can turn its
meaning round; else the answer says what can be asked.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.geometry.grid_cells import axis_cells
from geochg.geometry.hysteresis import ChangedPixels, changed_pixels
from geochg.land_cover import OTHER, is_borne_out
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    LAND_COVER,
    Caption,
    Change,
    Channel,
    Counts,
    GridCell,
    LandCover,
    Outlines,
)
from geochg.tasks.lexicon import ADJECTIVES, CHANGED, COUNTABLE, DIRECTIONS, NOUNS
from geochg.tasks.quantities import area_in_words

_LEAST_SHARE = 0.0005
"""Channels on less than this share of what a tile shows are not worth a word."""

_COUNT = re.compile(r"\bhow many\b|\bnumber of\b|\bcount\b")
_AREA = re.compile(r"\bhow (?:much|large|big)\b|\barea\b|\bhectares?\b|\bsquare\b|\bsize\b")
_WHERE = re.compile(r"\bwhere\b|\blocations?\b|\bwhich (?:parts?|corners?|cells?|side)\b")
_WHETHER = re.compile(
    r"^(?:has|have|had|did|do|does|is|are|was|were|any|anything|something|can|could)\b"
)
_WHAT = re.compile(r"\bwhat\b|\bdescribe\b|\bsummari[sz]e\b|\btell\b|\bshow\b|\bexplain\b|^which\b")

_ROWS = {"top": 0, "upper": 0, "north": 0, "northern": 0, "bottom": 2, "lower": 2, "south": 2}
_ROWS |= {"southern": 2}
_COLS = {"left": 0, "west": 0, "western": 0, "right": 2, "east": 2, "eastern": 2}
_MIDDLE = {"center", "centre", "middle", "central"}

_FILLERS = frozenset(
    "a about after again all also an and any anything appeared are area areas at be been before"
    " being between big both built can cell cells changes common corner corners could count cover"
    " covered date dates describe detail details did do does earlier else ever explain few find"
    " for found from give ground had happen happened has have hectare hectares here how i image"
    " images in into is it its kind kinds land large later list location locations many me"
    " meantime meter meters metre metres much not now number occur occurred of on or other pair"
    " part parts picture pictures place places please really s say scene see seen show side since"
    " size so some something square summarise summarize surface t take tell than that the them"
    " then there these they thing things this those tile time to two type types us was we were"
    " what when where whether which with within you your".split()
)


@dataclass(frozen=True, slots=True, eq=False)
class ObservedTile:
    """The answers of a model about a tile.

    Attributes:
        outlines: The outlines of changes.
        valid: `(height, width)` bool.
        pixel_area_m2: Area of a pixel on the ground; NaN for images without georeference.
        shown_px: Number of pixels that show anything: valid, and not empty at both dates.
        counts: The counts of changes; None when the model does not count.
        caption: The caption; None when the model has none.
    """

    outlines: Outlines
    valid: NDArray[np.bool_]
    pixel_area_m2: float
    shown_px: int
    counts: Counts | None
    caption: Caption | None


class _ChannelChange(NamedTuple):
    """The changes of one class and direction."""

    channel: Channel
    size_px: int
    area_m2: float
    cells: tuple[GridCell, ...]


def reply(question: str, observed: ObservedTile) -> str:
    """The answer to a question.

    Args:
        question: A question in English.
        observed: The answers of the model about the tile.
    """
    words = re.findall(r"(?:north|south)(?=(?:west|east))|[a-z]+", question.lower())
    text = " ".join(words)
    known = {channel.class_name for channel in observed.outlines.channels}
    classes = [NOUNS[word][0] for word in words if word in NOUNS]
    if strange := [word for word in words if not _is_known(word)]:
        return f"I do not know what '{strange[0]}' means here. {_abilities(known)}"
    if unseen := [word for word in words if word in NOUNS and NOUNS[word][0] not in known]:
        return f"I cannot see '{unseen[0]}'. {_abilities(known)}"
    changes = [
        change
        for change in _channel_changes(observed, words)
        if (not classes or change.channel.class_name in classes)
        and _has_direction(change.channel, words)
    ]
    if _COUNT.search(text):
        return _count_sentence(changes, classes, observed.counts)
    if _WHERE.search(text) or _AREA.search(text):
        return _sentences(changes)
    if _WHETHER.search(text):
        return f"Yes. {_sentences(changes)}" if changes else "No, not that I can see."
    if _WHAT.search(text):
        return " ".join(_description(changes, classes, observed.caption))
    return f"I do not understand the question. {_abilities(known)}"


def _is_known(word: str) -> bool:
    return (
        word in _FILLERS
        or word in NOUNS
        or word in DIRECTIONS
        or word in CHANGED
        or word in ADJECTIVES
        or word in _ROWS
        or word in _COLS
        or word in _MIDDLE
    )


def _abilities(classes: set[str]) -> str:
    names = [COUNTABLE[name][1] for name in COUNTABLE if name in classes and name != "other"]
    things = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "anything"
    return (
        f"Ask me whether, where, how much or how {things} have changed here; for other questions "
        "choose a larger model with --model."
    )


# --- the changes ---------------------------------------------------------------------------------


def _channel_changes(observed: ObservedTile, words: Sequence[str]) -> list[_ChannelChange]:
    """The channels that changed within the asked part of the tile, the largest first."""
    outlines = changed_pixels(observed.outlines, observed.valid)
    if outlines is None:
        return []
    outlines = _with_borne_out_names(outlines, observed.outlines.land_cover)
    cell_of = _cells_of_pixels(observed.valid)
    changed = outlines.changed & _named_cells(words)[cell_of]
    valid_px = np.bincount(cell_of[observed.valid], minlength=9)
    changes = []
    for index, channel in enumerate(outlines.channels):
        inside = changed & (outlines.channel == index)
        count_px = int(np.count_nonzero(inside))
        if count_px <= _LEAST_SHARE * observed.shown_px:
            continue
        cell_px = np.bincount(cell_of[inside], minlength=9)
        cells = np.flatnonzero(cell_px > CELL_AREA_SHARE * np.maximum(valid_px, 1))
        if not len(cells):
            cells = np.array([cell_px.argmax()])
        named = tuple(GRID_CELLS[cell] for cell in cells)
        changes.append(_ChannelChange(channel, count_px, count_px * observed.pixel_area_m2, named))
    return sorted(changes, key=lambda change: -change.size_px)


def _with_borne_out_names(outlines: ChangedPixels, land_cover: LandCover | None) -> ChangedPixels:
    """The changed pixels, pieces whose class is in doubt called other, as on the map."""
    from scipy import ndimage

    if land_cover is None:
        return outlines
    channels, channel = (*outlines.channels, OTHER), outlines.channel.copy()
    for index, kind in enumerate(outlines.channels):
        inside = outlines.changed & (outlines.channel == index)
        labels, count = ndimage.label(inside, np.ones((3, 3)))
        tallies = [_cover_tallies(date[inside], labels[inside], count) for date in land_cover]
        is_doubted = [False] + [
            not is_borne_out(kind.class_name, kind.change, *covers)
            for covers in zip(*tallies, strict=True)
        ]
        channel[np.array(is_doubted)[labels]] = len(outlines.channels)
    channel[channel == len(outlines.channels)] = channels.index(OTHER)
    return outlines._replace(channels=channels, channel=channel)


def _cover_tallies(
    covers: NDArray[np.uint8], labels: NDArray[np.intp], count: int
) -> list[list[int]]:
    """Pixels of each land cover in each piece, those that cannot be told last."""
    codes = len(LAND_COVER) + 1
    kinds = (labels - 1) * codes + np.minimum(covers, codes - 1)
    return np.bincount(kinds, minlength=count * codes).reshape(-1, codes).tolist()


def _named_cells(words: Sequence[str]) -> NDArray[np.bool_]:
    """`(9,)`: the cells that the words name; all where they name none."""
    rows = {_ROWS[word] for word in words if word in _ROWS}
    cols = {_COLS[word] for word in words if word in _COLS}
    if not _MIDDLE.isdisjoint(words):
        # "top center" names a column, "center" alone the middle cell.
        rows, cols = rows or {1}, cols or {1}
    return np.array(
        [(not rows or cell.row in rows) and (not cols or cell.col in cols) for cell in GRID_CELLS]
    )


def _cells_of_pixels(valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`(height, width)` index into `GRID_CELLS`: thirds of what is valid, not of its padding."""
    row, col = (_cells_along(np.any(valid, axis=axis)) for axis in (1, 0))
    return row[:, None] * 3 + col


def _cells_along(is_valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    valid = np.flatnonzero(is_valid)
    first, last = (int(valid[0]), int(valid[-1])) if len(valid) else (0, len(is_valid) - 1)
    return axis_cells(first, last - first + 1, len(is_valid))


def _has_direction(channel: Channel, words: Sequence[str]) -> bool:
    asked = {DIRECTIONS[word] for word in words if word in DIRECTIONS}
    return not asked or channel.change in asked


# --- in words ------------------------------------------------------------------------------------


def _sentences(changes: Sequence[_ChannelChange]) -> str:
    return " ".join(map(_sentence, changes)) or "Nothing of that kind, as far as I can see."


def _sentence(change: _ChannelChange) -> str:
    name = COUNTABLE.get(change.channel.class_name, ("", change.channel.class_name))[1]
    verb = {Change.ALTERED: "were altered"}.get(change.channel.change, str(change.channel.change))
    # An image without georeference has an upper side, but no north.
    is_placed = not math.isnan(change.area_m2)
    cells = ", ".join(cell.compass if is_placed else cell.name for cell in change.cells)
    area = f" on {area_in_words(change.area_m2)}" if is_placed else ""
    return f"{name.capitalize()} {verb}{area} ({cells})."


def _count_sentence(
    changes: Sequence[_ChannelChange], classes: Sequence[str], counts: Counts | None
) -> str:
    counted = {} if counts is None else counts.counts
    if not counted:
        return f"I do not count. {_sentences(changes)}"
    if others := [name for name in classes if name not in counted]:
        return f"I do not count {COUNTABLE[others[0]][1]}. {_sentences(changes)}"
    numbers = [
        f"{number} {COUNTABLE[name][number != 1]}"
        for name, number in counted.items()
        if not classes or name in classes
    ]
    return f"About {' and '.join(numbers)} changed."


def _description(
    changes: Sequence[_ChannelChange], classes: Sequence[str], caption: Caption | None
) -> Iterator[str]:
    if not changes:
        yield "Nothing has changed, as far as I can see."
        return
    if caption and caption.changed and not classes:
        line = caption.text.strip().rstrip(".")
        yield f"{line[:1].upper()}{line[1:]}."
    yield _sentences(changes)
