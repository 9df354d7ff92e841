"""Folders of pictures with masks: `A/`, `B/`, `label/`, and `direction/` where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.builder.scene import MaskedScene, MaskedTile, class_indexes, coded_classes
from geochg.datasets.captions.truth import DIRECTIONS, UNKNOWN_LABEL
from geochg.datasets.frames import check_sizes, open_picture, picture, picture_size, upright_pixels
from geochg.datasets.picture_paths import pictures_by_side
from geochg.datasets.splits import split_of_name
from geochg.errors import InputError
from geochg.records import PairFacts, Tile, TileWindow

BEFORE, AFTER, LABEL, DIRECTION = "A", "B", "label", "direction"
_FACTS = PairFacts(("red", "green", "blue"), 1.0, "uint8")
_HINT = f"it needs {BEFORE}/, {AFTER}/ and {LABEL}/ with files of equal names"


@dataclass(frozen=True)
class PictureScene(MaskedScene):
    """A pair of picture files with a mask; its attributes beside those of `Scene`.

    Attributes:
        before: The earlier picture.
        after: The later picture.
        label: Mask of classes, coded by `coding`.
        direction: Mask of directions, indexes into `DIRECTIONS`; None where they are not known.
        coding: Class indexes by value, as `options.class_coding` gives them.
    """

    before: Path = Path()
    after: Path = Path()
    label: Path = Path()
    direction: Path | None = None
    coding: Mapping[str, int] | None = None

    def tiles(self, windows: Sequence[TileWindow]) -> Iterator[MaskedTile]:
        """The tiles of some windows, in order; the files are read once."""
        if not windows:
            return
        before, after = picture(self.before), picture(self.after)
        values, is_known = _known_values(self.label, self.coding or {})
        classes = class_indexes(values, self.coding or {}, str(self.label))
        directions = np.zeros_like(classes)
        if self.direction is not None:
            directions = _directions(self.direction)
        others = [
            (self.after, after.shape[1:]),
            (self.label, classes.shape),
            (self.direction, directions.shape),
        ]
        check_sizes(self.before, before.shape[1:], others)
        directions = np.where(classes > 0, directions, 0).astype(np.uint8)
        for window in windows:
            read = window.read
            rows, cols = slice(read.row_start, read.row_stop), slice(read.col_start, read.col_stop)
            valid = np.ones((read.height_px, read.width_px), bool)
            tile = Tile(window, (before[:, rows, cols], after[:, rows, cols]), valid)
            yield MaskedTile(
                tile, classes[rows, cols], directions[rows, cols], is_known[rows, cols]
            )


def picture_scenes(folder: Path, coding: Mapping[str, int]) -> list[PictureScene]:
    """The pairs of a folder, or of its splits `train/`, `val/`, `test/`, by name.

    Raises:
        InputError: If it is not laid out so, a file is missing, or it holds no pair.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", "check the path")
    if (folder / BEFORE).is_dir():
        return _of_split(folder, "", coding)
    scenes = [
        scene
        for path in sorted(folder.iterdir())
        if (split := split_of_name(path.name)) and (path / BEFORE).is_dir()
        for scene in _of_split(path, split, coding)
    ]
    if not scenes:
        raise InputError(f"{folder} has no folder {BEFORE}", _HINT)
    return scenes


def safe_name(text: str) -> str:
    """The text with nothing that a file name may not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "scene"


def _of_split(folder: Path, split: str, coding: Mapping[str, int]) -> list[PictureScene]:
    sides = [BEFORE, AFTER, LABEL, *([DIRECTION] if (folder / DIRECTION).is_dir() else [])]
    files = pictures_by_side(folder, sides, _HINT)
    names = sorted(files[BEFORE])
    if not names:
        raise InputError(f"{folder} has no pairs", _HINT)
    return [
        PictureScene(
            name=safe_name(name),
            shape_px=picture_size(files[BEFORE][name]),
            known=coded_classes(coding),
            facts=_FACTS,
            split=split,
            before=files[BEFORE][name],
            after=files[AFTER][name],
            label=files[LABEL][name],
            direction=files.get(DIRECTION, {}).get(name),
            coding=coding,
        )
        for name in names
    ]


def _known_values(
    path: Path, coding: Mapping[str, int]
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """`(height, width)` values of a mask, 0 where `build` wrote that nobody knows, and the rest."""
    values = _values(path)
    if str(UNKNOWN_LABEL) in coding:
        return values, np.ones(values.shape, bool)
    is_known = values != UNKNOWN_LABEL
    return np.where(is_known, values, 0), is_known


def _values(path: Path) -> NDArray[np.generic]:
    """`(height, width)` values of a mask; indexes of a palette, not its colours."""
    with open_picture(path) as image:
        if image.format == "JPEG":
            raise InputError(
                f"the mask {path} is a JPEG, whose compression changes values",
                "take the mask in its first form, as PNG or TIFF",
            )
        values = upright_pixels(image, path)
    if values.ndim == 3:
        grey = values[..., 0]
        if values.shape[2] >= 3 and (values[..., :3] != grey[..., None]).any():
            raise InputError(
                f"the mask {path} is in colour", "masks hold one value a pixel, see --classes"
            )
        return grey
    return values


def _directions(path: Path) -> NDArray[np.uint8]:
    values = _values(path)
    if int(values.max(initial=0)) >= len(DIRECTIONS):
        raise InputError(
            f"{path} has the value {values.max()}, which is no direction",
            "1 appeared, 2 disappeared, 3 altered, 0 not known",
        )
    return values.astype(np.uint8)
