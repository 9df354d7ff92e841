"""The locate task: in which cells of a 3x3 grid each class has changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from geochg.records import GRID_CELLS, Change, GridCell, Locations, Task
from geochg.tasks.base import NonsenseError, TaskSpec
from geochg.tasks.lexicon import ADJECTIVE, ASKED, COUNTABLE, DIRECTIONS, Lexicon
from geochg.tasks.reply_text import plain_text
from geochg.tasks.statements import all_unchanged

PROMPT = (
    "Please indicate the locations where changes have occurred in the buildings and roads, using"
    " a 3x3 grid (namely, 'top', 'center', and 'bottom' vertically and 'left', 'center', 'right'"
    " horizontally)."
)

CLASS_PROMPT = (
    "Please indicate the locations where changes have occurred in {classes}, using a 3x3 grid"
    " (namely, 'top', 'center', and 'bottom' vertically and 'left', 'center', 'right'"
    " horizontally). Write for each its name, a colon, and in brackets the list of its cells, which"
    " may be empty."
)

_HEADINGS = {name: f"{name}s" if name in ASKED else name for name in COUNTABLE}

# --- writing -------------------------------------------------------------------------------------


def render(locations: Locations) -> str:
    """`roads: ['top-left', 'top-center']. buildings: [].`, cells in raster order.

    All listed cells are written, whatever their probability. A direction, which the data does not
    tell, is written before the class: `new buildings: ['top-left'].`

    Raises:
        ValueError: If there is no class, or one without words of its own.
    """
    if not locations.cells or not locations.cells.keys() <= _HEADINGS.keys():
        raise ValueError(f"the classes {sorted(locations.cells)} have no text form")
    listed_classes = [name for name in _HEADINGS if name in locations.cells]
    return " ".join(_entry(name, locations) for name in listed_classes)


def _entry(class_name: str, locations: Locations) -> str:
    cells = [cell for cell in GRID_CELLS if cell in locations.cells[class_name]]
    change = locations.changes.get(class_name)
    direction = f"{ADJECTIVE[change]} " if change and cells else ""
    names = ", ".join(f"'{cell.name}'" for cell in cells)
    return f"{direction}{_HEADINGS[class_name]}: [{names}]."


# --- reading -------------------------------------------------------------------------------------

_ROWS = (("top", "upper"), ("center", "centre", "middle"), ("bottom", "lower"))
_COLS = (("left",), ("center", "centre", "middle"), ("right",))


def _names() -> Iterator[tuple[str, GridCell]]:
    """Every name of every cell; the words of a name are joined by a blank here."""
    for cell in GRID_CELLS:
        for row in _ROWS[cell.row]:
            for col in _COLS[cell.col]:
                yield f"{row} {col}", cell
                if row not in _COLS[1] and col not in _COLS[1]:
                    yield f"{col} {row}", cell
        yield "tcb"[cell.row] + "lcr"[cell.col], cell
    for word in _COLS[1]:
        yield word, GridCell(1, 1)


_CELLS = dict(_names())
_CELL = re.compile(
    r"\b(?:"
    + "|".join(sorted((name.replace(" ", r"[\s_-]+") for name in _CELLS), key=len, reverse=True))
    + r")\b"
)
_LIKE_CELL = re.compile(r"\b(?:top|bottom|upper|lower|left|right|cent(?:er|re)|middle)\b|\[")
_NAMES = {name: name for name in COUNTABLE}


@cache
def _heading(nouns: tuple[str, ...]) -> re.Pattern[str]:
    """Matches what stands before a list: a class, and a direction where it is told."""
    return re.compile(
        rf"(?:\b(?P<direction>{'|'.join(DIRECTIONS)})\s+)?\b(?P<noun>{'|'.join(nouns)})"
        r"(?:\s+(?:areas?|land|ground|bod(?:y|ies)|objects?|changes?))?"
        r"['\"]?\s*(?:[:=]|-(?=\s)|(?=\[))\s*"
    )


@cache
def _preamble(nouns: tuple[str, ...]) -> re.Pattern[str]:
    """Matches what may stand before the first list."""
    return re.compile(
        r"(?:\b(?:here|are|is|the|locations?|of|where|changes?|changed|have|has|occurred|in|grid"
        r"|3x3|as|follows|following|based|on|two|images|and|buildings?|roads?|for|each|cells?"
        rf"{''.join(f'|{noun}' for noun in nouns)})\b"
        r"|[\s.,;:{(\"'-])*"
    )


_EMPTY = re.compile(r"\W*(?:none|no|no changes?|nothing|n/?a|null|empty|unchanged)\W*")
_BETWEEN = re.compile(r"(?:[\s,;/|&'\"]|\band\b)*")


def read_locations(text: str, lexicon: Lexicon) -> Locations:
    """The cells of each class, without probabilities.

    Takes `roads: ['top-left']. buildings: [].` with or without quotes, colons and full stops (the
    released text processor drops `:` and `.`), the same as JSON or without brackets, the codes
    TL ... BR of the paper, "center" for the middle cell, any order of classes, one class alone,
    and a plain "There is no change." for no cell of either asked class. Words after the lists are
    ignored when they name no cell.

    Raises:
        NonsenseError: If no class is given cells, a cell is unknown, a list is cut off, a class
            has two different lists, or something besides the lists speaks of cells.
    """
    body = lexicon.marked(plain_text(text))
    if all_unchanged(body):
        return Locations({class_name: {} for class_name in lexicon.asked})
    cells: dict[str, dict[GridCell, float | None]] = {}
    changes: dict[str, Change] = {}
    for class_name, change, content in _entries(body, lexicon):
        named_cells: dict[GridCell, float | None] = dict.fromkeys(_cells(content))
        if cells.setdefault(class_name, named_cells) != named_cells:
            raise NonsenseError(f"two lists of class '{class_name}'")
        if change and named_cells and changes.setdefault(class_name, change) is not change:
            raise NonsenseError(f"two directions of class '{class_name}'")
    if not cells:
        raise NonsenseError("no class that was asked about is given a list of cells")
    return Locations(cells, changes)


def _entries(body: str, lexicon: Lexicon) -> Iterator[tuple[str, Change | None, str]]:
    """Class, direction and the text of the list, in the order given.

    Classes that a user did not name are left out.
    """
    nouns = {form: class_name for form, (class_name, _) in lexicon.nouns.items()} | _NAMES
    headings = list(_heading(tuple(nouns)).finditer(body))
    if not headings:
        raise NonsenseError("no class is given a list of cells")
    if not _preamble(tuple(lexicon.marks.values())).fullmatch(body[: headings[0].start()]):
        raise NonsenseError("the answer does not begin with a list of cells")
    ends = [heading.start() for heading in headings[1:]] + [len(body)]
    for heading, end in zip(headings, ends, strict=True):
        direction = heading["direction"]
        content = _list(body[heading.end() : end])
        class_name = nouns[heading["noun"]]
        if class_name in lexicon.countable:
            yield class_name, DIRECTIONS[direction] if direction else None, content


def _list(text: str) -> str:
    """The inside of the list that a text begins with; a bare list ends with the sentence."""
    bracketed = re.match(r"\[(?P<content>[^\[\]]*)\](?P<rest>.*)", text, re.DOTALL)
    bare = re.match(r"(?P<content>[^\[\].;\n{}]+)(?P<rest>.*)", text, re.DOTALL)
    list_text = bracketed or bare
    if not list_text:
        raise NonsenseError("a list of cells is cut off or missing")
    if _LIKE_CELL.search(list_text["rest"]):
        raise NonsenseError("cells are named outside the lists")
    content = list_text["content"].strip()
    if not content and not bracketed:
        raise NonsenseError("a list of cells is cut off or missing")
    return content


def _cells(content: str) -> list[GridCell]:
    """The cells a list names, in raster order, each once."""
    if _EMPTY.fullmatch(content):
        return []
    if not _BETWEEN.fullmatch(left := _CELL.sub("", content)):
        raise NonsenseError(f"unknown cell in '{left.strip()}'")
    named_cells = {_CELLS[re.sub(r"[\s_-]+", " ", name)] for name in _CELL.findall(content)}
    return [cell for cell in GRID_CELLS if cell in named_cells]


SPEC: TaskSpec[Locations] = TaskSpec(
    Task.LOCATE, (PROMPT,), (CLASS_PROMPT,), render, read_locations
)
