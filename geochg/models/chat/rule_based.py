"""Answers to free questions from what a model outlines, counts and describes; no language model.

A question is answered when every word of it is known, because one unknown word can turn its
meaning round; else it is said what can be asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.geometry.grid_cells import axis_cells
from geochg.geometry.hysteresis import changed_pixels
from geochg.records import (
    CELL_AREA_SHARE,
    GRID_CELLS,
    Caption,
    Change,
    Channel,
    Counts,
    GridCell,
    Outlines,
)
from geochg.tasks.lexicon import ADJECTIVES, CHANGED, COUNTABLE, DIRECTIONS, NOUNS
from geochg.tasks.quantities import area_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
class Observed:
    """What a model said of a tile.

    Attributes:
        outlines: Where.
        valid: `(height, width)` bool.
        pixel_area_m2: Of the ground; not a number for pictures without a place.
        shown_px: Pixels that show anything: valid, and not empty at both dates.
        counts: How many; None when the model does not count.
        caption: In words; None when it has none.
    """

    outlines: Outlines
    valid: NDArray[np.bool_]
    pixel_area_m2: float
    shown_px: int
    counts: Counts | None
    caption: Caption | None


class _Found(NamedTuple):
    """One channel that changed."""

    channel: Channel
    size_px: int
    area_m2: float
    cells: tuple[GridCell, ...]


def reply(question: str, observed: Observed) -> str:
    """What there is to say to a question.

    Args:
        question: In English.
        observed: What it may be about.
    """
    words = re.findall(r"(?:north|south)(?=(?:west|east))|[a-z]+", question.lower())
    text = " ".join(words)
    known = {channel.class_name for channel in observed.outlines.channels}
    classes = [NOUNS[word][0] for word in words if word in NOUNS]
    if strange := [word for word in words if not _is_known(word)]:
        return f"I do not know what '{strange[0]}' means here. {_abilities(known)}"
    if unseen := [word for word in words if word in NOUNS and NOUNS[word][0] not in known]:
        return f"I cannot see '{unseen[0]}'. {_abilities(known)}"
    found = [
        each
        for each in _found(observed, words)
        if (not classes or each.channel.class_name in classes) and _goes_with(each.channel, words)
    ]
    if _COUNT.search(text):
        return _counted(found, classes, observed.counts)
    if _WHERE.search(text) or _AREA.search(text):
        return _listed(found)
    if _WHETHER.search(text):
        return f"Yes. {_listed(found)}" if found else "No, not that I can see."
    if _WHAT.search(text):
        return " ".join(_described(found, classes, observed.caption))
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


# --- what is there -------------------------------------------------------------------------------


def _found(observed: Observed, words: Sequence[str]) -> list[_Found]:
    """The channels that changed within the asked part of the tile, the largest first."""
    outlines = changed_pixels(observed.outlines, observed.valid)
    if outlines is None:
        return []
    cell_of = _cells_of_pixels(observed.valid)
    changed = outlines.changed & _named_cells(words)[cell_of]
    valid_px = np.bincount(cell_of[observed.valid], minlength=9)
    found = []
    for index, channel in enumerate(outlines.channels):
        where = changed & (outlines.channel == index)
        count_px = int(np.count_nonzero(where))
        if count_px <= _LEAST_SHARE * observed.shown_px:
            continue
        inside = np.bincount(cell_of[where], minlength=9)
        cells = np.flatnonzero(inside > CELL_AREA_SHARE * np.maximum(valid_px, 1))
        if not len(cells):
            cells = np.array([inside.argmax()])
        named = tuple(GRID_CELLS[cell] for cell in cells)
        found.append(_Found(channel, count_px, count_px * observed.pixel_area_m2, named))
    return sorted(found, key=lambda each: -each.size_px)


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


def _goes_with(channel: Channel, words: Sequence[str]) -> bool:
    asked = {DIRECTIONS[word] for word in words if word in DIRECTIONS}
    return not asked or channel.change in asked


# --- in words ------------------------------------------------------------------------------------


def _listed(found: Sequence[_Found]) -> str:
    return " ".join(map(_sentence, found)) or "Nothing of that kind, as far as I can see."


def _sentence(found: _Found) -> str:
    name = COUNTABLE.get(found.channel.class_name, ("", found.channel.class_name))[1]
    verb = {Change.ALTERED: "were altered"}.get(found.channel.change, str(found.channel.change))
    # A picture without a place has an upper side, but no north.
    has_place = not math.isnan(found.area_m2)
    places = ", ".join(cell.compass if has_place else cell.name for cell in found.cells)
    area = f" on {area_in_words(found.area_m2)}" if has_place else ""
    return f"{name.capitalize()} {verb}{area} ({places})."


def _counted(found: Sequence[_Found], classes: Sequence[str], counts: Counts | None) -> str:
    counted = {} if counts is None else counts.counts
    if not counted:
        return f"I do not count. {_listed(found)}"
    if others := [name for name in classes if name not in counted]:
        return f"I do not count {COUNTABLE[others[0]][1]}. {_listed(found)}"
    told = [
        f"{number} {COUNTABLE[name][number != 1]}"
        for name, number in counted.items()
        if not classes or name in classes
    ]
    return f"About {' and '.join(told)} changed."


def _described(
    found: Sequence[_Found], classes: Sequence[str], caption: Caption | None
) -> Iterator[str]:
    if not found:
        yield "Nothing has changed, as far as I can see."
        return
    if caption and caption.changed and not classes:
        line = caption.text.strip().rstrip(".")
        yield f"{line[:1].upper()}{line[1:]}."
    yield _listed(found)
