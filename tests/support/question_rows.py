"""A small test set in ChangeChat-105k's format, of which the model `marker` knows the answers."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from geochg.records import Task
from geochg.tasks import SPECS

NO_CHANGE = "the scene is the same as before"
SIDE_PX = 66


def picture(boxes=()):
    """`(66, 66, 3)` uint8, grey with bright boxes (row, column) of 11 px."""
    pixels = np.full((SIDE_PX, SIDE_PX, 3), 90, np.uint8)
    for row, col in boxes:
        pixels[row : row + 11, col : col + 11] = 250
    return pixels


PAIRS = {
    "a": [(2, 2)],  # top-left
    "b": [(2, 2), (50, 50)],  # top-left and bottom-right
    "c": [],
    "d": [],
}
"""Where buildings appear in each pair."""

CELLS = {"a": ["top-left"], "b": ["top-left", "bottom-right"], "c": [], "d": []}


def instruction(number, name, task, answers, questions=None, **more):
    """A row of dialogues."""
    asked = questions or SPECS[task].prompts
    talk = []
    for question, answer in zip(asked, answers, strict=True):
        talk += [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    talk[0]["value"] = f"<image> <image> {talk[0]['value']}"
    images = [f"A/{name}.png", f"B/{name}.png"]
    changed = int(bool(PAIRS[name]))
    return {"id": number, "image": images, "changeflag": changed, "conversations": talk, **more}


def rows_of(name):
    """A row of each task about a pair; the answers to locate and count are right."""
    number = len(PAIRS[name])
    listed = ", ".join(f"'{cell}'" for cell in CELLS[name])
    told = f"{number} buildings appeared." if number else NO_CHANGE
    counted = f"There are no new roads and {number or 'no'} new buildings."
    yes = "Yes" if number else "No"
    return [
        (Task.PRESENCE, [yes], None),
        (Task.CAPTION, [told], None),
        (Task.COUNT, [counted], None),
        (Task.LOCATE, [f"roads: []. buildings: [{listed}]."], None),
        (Task.DIALOGUE, [yes, counted, told], None),
        (Task.QUESTION, [f"{121 * number} pixels changed"], ["How many pixels changed?"]),
    ]


def write_pictures(folder: Path):
    """The pictures of all pairs."""
    for name, boxes in PAIRS.items():
        for side, pixels in (("A", picture()), ("B", picture(boxes))):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / side / f"{name}.png")


def write_rows(path: Path, rows) -> Path:
    """A file of rows."""
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def some_rows(folder: Path) -> Path:
    """The pictures and a file of rows of all tasks."""
    write_pictures(folder)
    found = [
        instruction(number, name, *row)
        for number, (name, row) in enumerate((n, r) for n in PAIRS for r in rows_of(n))
    ]
    return write_rows(folder / "rows_test.json", found)


def caption_rows(folder: Path) -> Path:
    """A file of captions, five of each pair."""
    rows = [
        {
            "image_A": f"A/{name}.png",
            "image_B": f"B/{name}.png",
            "changeflag": int(bool(boxes)),
            "captions": [
                f"{len(boxes)} buildings appeared" if boxes else NO_CHANGE,
                *(f"house number {n} stands at last" for n in range(4)),
            ],
        }
        for name, boxes in PAIRS.items()
    ]
    return write_rows(folder / "captions_test.json", rows)
