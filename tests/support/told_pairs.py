"""Pairs with masks of class and direction, and folders of them with instruction rows."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from rasters import texture

from geochg.datasets.captions.rows import caption_row, instruction_rows
from geochg.datasets.captions.truth import CLASS_NAMES, MaskTruth

ROWS, CAPTIONS = "rows.json", "captions.json"


def masks(number: int, size_px: int = 64) -> MaskTruth:
    """Squares of classes that appeared, went or altered; in every third pair there are none."""
    classes, directions = np.zeros((2, size_px, size_px), np.uint8)
    rng = np.random.default_rng((number, 1))
    for place in rng.permutation(9)[: 0 if number % 3 == 1 else 1 + number % 5]:
        row, col = (size_px * axis // 3 + 2 for axis in divmod(int(place), 3))
        square = slice(row, row + size_px // 5), slice(col, col + size_px // 5)
        classes[square], directions[square] = rng.integers(1, 6), rng.integers(1, 4)
    return MaskTruth(number, classes, directions, CLASS_NAMES[1:])


def images(truth: MaskTruth) -> tuple[np.ndarray, np.ndarray]:
    """`(height, width, 3)` uint8 of both dates: what changed has the colour of its class."""
    height, width = truth.classes.shape
    before = np.moveaxis(texture(height, width, 3, truth.seed), 0, -1).astype(np.uint8)
    after = before.copy()
    colors = np.array([[40 * index, 250 - 30 * index, 90 + 20 * index] for index in range(7)])
    after[truth.classes > 0] = colors[truth.classes[truth.classes > 0]]
    return before, after


def told_folder(folder: Path, count: int = 8, size_px: int = 64) -> Path:
    """`A/`, `B/`, `label/`, `direction/`, `rows.json` and `captions.json`."""
    for name in ("A", "B", "label", "direction"):
        (folder / name).mkdir(parents=True)
    told, captions = [], []
    for number in range(count):
        truth, name = masks(number, size_px), f"pair_{number}.png"
        layers = (*images(truth), truth.classes, truth.directions)
        for side, pixels in zip(("A", "B", "label", "direction"), layers, strict=True):
            Image.fromarray(pixels).save(folder / side / name)
        paths = (f"A/{name}", f"B/{name}")
        told += instruction_rows(truth, paths, 6 * number)
        captions.append(caption_row(truth, paths))
    (folder / ROWS).write_text(json.dumps(told))
    (folder / CAPTIONS).write_text(json.dumps(captions))
    return folder
