"""Drawn ground of coloured squares, and what is truly said of it, for classes a user names."""

import re

import numpy as np

from geochg.records import GRID_CELLS

PANELS, POOL, SHED = "solar panels", "swimming pool", "shed"
COLORS = {PANELS: (30, 40, 160), POOL: (40, 220, 230), SHED: (230, 60, 40)}
NOUNS = {"solar panel": PANELS, "swimming pool": POOL, "shed": SHED}
GROUND = (90, 110, 70)
ROWS, COLS = ("top", "center", "bottom"), ("left", "center", "right")


def ground(side_px):
    """`(3, side, side)` uint8 without anything on it."""
    return np.stack([np.full((side_px, side_px), value, np.uint8) for value in GROUND])


def paint(date, name, row, col, side_px):
    """Draws a square of a class, in place."""
    for band, value in zip(date, COLORS[name], strict=True):
        band[row : row + side_px, col : col + side_px] = value


def shown(date, name):
    """`(height, width)` bool: where a date `(height, width, 3)` shows a class."""
    return (np.abs(date.astype(int) - COLORS[name]) < 12).all(axis=2)


def changed(before, after, name):
    """Where a class came or went."""
    return shown(before, name) != shown(after, name)


def classes_in(question):
    """The classes that a question names."""
    return [name for noun, name in NOUNS.items() if noun in question.lower()]


def cells_of(mask):
    """The cells of the 3x3 grid of which more than 5 % changed."""
    thirds = [np.array_split(part, 3, axis=1) for part in np.array_split(mask, 3)]
    return [cell for cell in GRID_CELLS if thirds[cell.row][cell.col].mean() > 0.05]


def cell_in(question):
    """The cell that a question asks about, as `(row, col)`; None where it names none."""
    match = re.search(r"the (top|center|bottom) (left|center|right) part", question)
    return (ROWS.index(match[1]), COLS.index(match[2])) if match else None


def direction(before, after, name):
    """The image that a class is in alone: `later` or `earlier`; `both` where it is in both."""
    sizes = [int(shown(date, name).sum()) for date in (before, after)]
    return "both" if all(sizes) else ("later" if sizes[1] else "earlier")


def _single(things):
    """Numbered things by their nouns in singular."""
    return [(number, noun if noun in NOUNS else noun.removesuffix("s")) for number, noun in things]


def true_answer(question, before, after):
    """What is true, in words.

    Args:
        question: The question.
        before: `(height, width, 3)` uint8.
        after: Likewise.
    """
    if things := re.findall(r"(\d+)\. ([a-z ]+),", question):
        lines = (f"{number}. {direction(before, after, NOUNS[n])}" for number, n in _single(things))
        return "\n".join(lines)
    names = classes_in(question)
    masks = {name: changed(before, after, name) for name in names}
    if "yes or no" in question:
        return "Yes." if any(mask.any() for mask in masks.values()) else "No."
    if "3x3 grid" in question:
        lists = ((name, [cell.name for cell in cells_of(mask)]) for name, mask in masks.items())
        return " ".join(f"{name}: {cells}." for name, cells in lists)
    if "how many" in question:
        numbers = [f"{int(mask.any())} new {name}" for name, mask in masks.items()]
        return f"There are {' and '.join(numbers)}."
    there = [name for name, mask in masks.items() if mask.any()]
    return f"New: {' and '.join(there)}." if there else "There is no change."
