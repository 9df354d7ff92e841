"""Answers free questions by rules, from outlines; no language model.

A question is answered when every word of it is known, because one unknown word can turn its
meaning round; else the answer says what can be asked.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.geometry.grid_cells import axis_cells
from geochg.geometry.hysteresis import ChangedPixels, changed_pixels, least_size_px
from geochg.geometry.pieces import label_pieces
from geochg.land_cover import OTHER, is_borne_out
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    LAND_COVER,
    Change,
    Channel,
    GridCell,
    LandCover,
    Outlines,
)
from geochg.tasks.lexicon import ADJECTIVES, ASKED, CHANGED, COUNTABLE, DIRECTIONS, NOUNS
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
_KNOWN_WORDS = _FILLERS.union(NOUNS, DIRECTIONS, CHANGED, ADJECTIVES, _ROWS, _COLS, _MIDDLE)


@dataclass(frozen=True, slots=True, eq=False)
class ObservedTile:
    """What a model outlined in a tile.

    Attributes:
        outlines: The outlines of changes.
        valid: `(height, width)` bool.
        pixel_area_m2: Area of a pixel on the ground; NaN for images without georeference.
        shown_px: Number of pixels that show anything: valid, and not empty at both dates.
        counts: Whether the model counts changes.
    """

    outlines: Outlines
    valid: NDArray[np.bool_]
    pixel_area_m2: float
    shown_px: int
    counts: bool = True


class _ChannelChange(NamedTuple):
    """The changes of one class and direction."""

    channel: Channel
    pieces: int
    size_px: int
    area_m2: float
    cells: tuple[GridCell, ...]


def reply(question: str, observed: ObservedTile) -> str:
    """The answer to a question in English."""
    words = re.findall(r"(?:north|south)(?=(?:west|east))|[a-z]+", question.lower())
    text = " ".join(words)
    known_classes = {channel.class_name for channel in observed.outlines.channels}
    classes = [NOUNS[word][0] for word in words if word in NOUNS]
    if strange := [word for word in words if word not in _KNOWN_WORDS]:
        return f"I do not know what '{strange[0]}' means here. {_abilities(known_classes)}"
    if unseen := [word for word in words if word in NOUNS and NOUNS[word][0] not in known_classes]:
        return f"I cannot see '{unseen[0]}'. {_abilities(known_classes)}"
    changes = [
        change
        for change in _channel_changes(observed, words)
        if (not classes or change.channel.class_name in classes)
        and _has_direction(change.channel, words)
    ]
    if _COUNT.search(text):
        return _count_sentence(changes, classes, observed)
    if _WHERE.search(text) or _AREA.search(text):
        return _sentences(changes)
    if _WHETHER.search(text):
        return f"Yes. {_sentences(changes)}" if changes else "No, not that I can see."
    if _WHAT.search(text):
        if not changes:
            return "Nothing has changed, as far as I can see."
        is_whole = not classes and bool(_named_cells(words).all())
        share = f"{_share_sentence(changes, observed)} " if is_whole else ""
        return f"{share}{_sentences(changes)}"
    return f"I do not understand the question. {_abilities(known_classes)}"


def _abilities(classes: set[str]) -> str:
    names = [COUNTABLE[name][1] for name in COUNTABLE if name in classes and name != "other"]
    subject = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "anything"
    return (
        f"Ask me whether, where, how much or how {subject} have changed here; for other questions "
        "choose a larger model with --model."
    )


# --- the changes ---------------------------------------------------------------------------------


def _channel_changes(observed: ObservedTile, words: Sequence[str]) -> list[_ChannelChange]:
    """The channels that changed within the asked part of the tile, the largest first."""
    least_px = least_size_px(observed.pixel_area_m2)
    outlines = changed_pixels(observed.outlines, observed.valid, least_px=least_px)
    if outlines is None:
        return []
    outlines = _with_borne_out_names(outlines, observed.outlines.covers(), observed.pixel_area_m2)
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
        named_cells = tuple(GRID_CELLS[cell] for cell in cells)
        area_m2 = count_px * observed.pixel_area_m2
        changes.append(_ChannelChange(channel, _pieces(inside)[1], count_px, area_m2, named_cells))
    return sorted(changes, key=lambda change: -change.size_px)


def _with_borne_out_names(
    outlines: ChangedPixels, land_cover: LandCover | None, pixel_area_m2: float
) -> ChangedPixels:
    """The changed pixels, pieces whose class is in doubt called other, as on the map."""
    if land_cover is None:
        return outlines
    channels, channel = (*outlines.channels, OTHER), outlines.channel.copy()
    for index, kind in enumerate(outlines.channels):
        inside = outlines.changed & (outlines.channel == index)
        labels, count = _pieces(inside)
        tallies = [_cover_tallies(date[inside], labels[inside], count) for date in land_cover]
        is_doubted = [False] + [
            not is_borne_out(kind.class_name, kind.change, before, after, pixel_area_m2)
            for before, after in zip(*tallies, strict=True)
        ]
        channel[np.array(is_doubted)[labels]] = len(outlines.channels)
    channel[channel == len(outlines.channels)] = channels.index(OTHER)
    return outlines._replace(channels=channels, channel=channel)


def _pieces(changed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """`(height, width)` number of the piece of each changed pixel from 1 on, and their number.

    Pixels that touch at a corner are of one piece, as on the map.
    """
    labels, count = label_pieces(changed, corners=True)
    return labels.astype(np.intp, copy=False), int(count)


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
    asked_directions = {DIRECTIONS[word] for word in words if word in DIRECTIONS}
    return not asked_directions or channel.change in asked_directions


# --- in words ------------------------------------------------------------------------------------


def _sentences(changes: Sequence[_ChannelChange]) -> str:
    return " ".join(map(_sentence, changes)) or "Nothing of that kind, as far as I can see."


def _sentence(change: _ChannelChange) -> str:
    if change.channel == OTHER:
        subject = "The surface changed"
    else:
        name = COUNTABLE.get(change.channel.class_name, ("", change.channel.class_name))[1]
        subject = f"{name.capitalize()} {_verb([change])}"
    # An image without georeference has an upper side, but no north.
    is_placed = not math.isnan(change.area_m2)
    cells = ", ".join(cell.compass if is_placed else cell.name for cell in change.cells)
    area = f" on {area_in_words(change.area_m2)}" if is_placed else ""
    return f"{subject}{area} ({cells})."


def _verb(changes: Sequence[_ChannelChange]) -> str:
    """What happened to all of them, as far as it is the same."""
    directions = {change.channel.change for change in changes}
    if len(directions) != 1:
        return "changed"
    (direction,) = directions
    return "were altered" if direction is Change.ALTERED else str(direction)


def _share_sentence(changes: Sequence[_ChannelChange], observed: ObservedTile) -> str:
    share = sum(change.size_px for change in changes) / max(observed.shown_px, 1)
    percent = "less than 1%" if share < 0.01 else f"{share:.0%}"
    return f"Changes cover {percent} of what the images show."


def _count_sentence(
    changes: Sequence[_ChannelChange], classes: Sequence[str], observed: ObservedTile
) -> str:
    if not observed.counts:
        return f"I do not count. {_sentences(changes)}"
    if others := [name for name in classes if name not in ASKED]:
        return f"I do not count {COUNTABLE[others[0]][1]}. {_sentences(changes)}"
    rows_by_class = {
        name: [change for change in changes if change.channel.class_name == name]
        for name in ASKED
        if not classes or name in classes
    }
    numbers = {name: sum(change.pieces for change in rows) for name, rows in rows_by_class.items()}
    words = [
        f"{number or 'no'} {COUNTABLE[name][number != 1]}"
        for name, number in sorted(numbers.items(), key=lambda item: -item[1])
    ]
    if not any(numbers.values()):
        return (
            f"No {' and no '.join(COUNTABLE[name][1] for name in numbers)} changed that I can see."
        )
    rows = [change for of_class in rows_by_class.values() for change in of_class]
    return f"About {' and '.join(words)} {_verb(rows)}."
