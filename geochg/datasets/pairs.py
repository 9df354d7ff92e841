"""Labelled pairs of pictures on disk, in the layout that most change-detection sets share.

A folder has `A/`, `B/` and `label/` with files of equal names (suffixes may differ): before, after
and a mask. Where a pair has one label for the whole picture, a CSV file with the columns `before`,
`after` and `changed` names the files, relative to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geochg.datasets.frames import open_picture, picture, upright_picture
from geochg.datasets.groups import connected_groups
from geochg.datasets.picture_paths import pictures_by_name
from geochg.errors import InputError
from geochg.files.text_file import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

BEFORE, AFTER, LABEL = "A", "B", "label"
COLUMNS = ("before", "after", "changed")
JPEG_CHANGED = 128
"""A pixel of a JPEG mask is changed from here on: compression leaves specks above zero."""

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_LAYOUT_HINT = f"it needs {BEFORE}/, {AFTER}/ and {LABEL}/ with files of equal names, or a CSV file"


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Where a pair is and what is known of it before it is opened.

    Attributes:
        name: Unlike that of any other pair.
        group: Pairs of one group share a picture.
        before: The earlier picture.
        after: The later one.
        label: The mask; None where the whole pair has a label.
        changed: That label; None where there is a mask.
    """

    name: str
    group: str
    before: Path
    after: Path
    label: Path | None = None
    changed: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPair:
    """A pair that was opened.

    Attributes:
        before: `(3, height, width)` uint8: red, green, blue.
        after: Likewise.
        mask: `(height, width)` bool, true where it changed; everywhere or nowhere where the whole
            pair has a label.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def pair_files(place: Path) -> list[PairFiles]:
    """The pairs of a folder or CSV file, by name.

    Raises:
        InputError: If there is no such place, it has no pairs, or a file of a pair is missing.
    """
    if place.is_dir():
        found = _of_folder(place)
    elif place.is_file():
        found = _of_table(place)
    else:
        raise InputError(f"there is no folder or file {place}", "check the path")
    if not found:
        raise InputError(f"{place} has no pairs", _LAYOUT_HINT)
    return sorted(found, key=lambda files: files.name)


def read_pair(files: PairFiles) -> LabelledPair:
    """Opens a pair.

    Raises:
        InputError: If a file is no picture of 8 bit, or the sizes differ.
    """
    before, after = picture(files.before), picture(files.after)
    shape = before.shape[1:]
    if files.label is None:
        mask = np.full(shape, bool(files.changed))
    else:
        mask = _mask(files.label)
    for path, other in ((files.after, after.shape[1:]), (files.label, mask.shape)):
        if other != shape:
            raise InputError(
                f"{path} has {_size(other)} px, {files.before} has {_size(shape)}",
                "the pictures of a pair and its mask must be of one size",
            )
    return LabelledPair(before, after, mask)


# --- folders -------------------------------------------------------------------------------------


def _of_folder(folder: Path) -> list[PairFiles]:
    parts = [folder / name for name in (BEFORE, AFTER, LABEL)]
    if missing := [part for part in parts if not part.is_dir()]:
        inner = sorted(path.name for path in folder.iterdir() if (path / BEFORE).is_dir())
        hint = f"name one of its parts: {', '.join(inner)}" if inner else _LAYOUT_HINT
        raise InputError(f"{folder} has no folder {missing[0].name}", hint)
    before, after, label = (pictures_by_name(part) for part in parts)
    for part, names in zip(parts, (before, after, label), strict=True):
        if lacking := sorted((before.keys() | after.keys() | label.keys()) - names.keys()):
            raise InputError(f"{part} has no picture {lacking[0]!r}", _LAYOUT_HINT)
    return [PairFiles(name, name, before[name], after[name], label=label[name]) for name in before]


# --- tables --------------------------------------------------------------------------------------


def _of_table(table: Path) -> list[PairFiles]:
    given = read_table(table)
    if missing := set(COLUMNS) - set(given.columns):
        raise InputError(
            f"{table} has no column {min(missing)!r}", f"columns: {', '.join(COLUMNS)}"
        )
    found = [_of_row(table, number, row) for number, row in given.rows()]
    named = [replace(files, name=f"{number:06d}") for number, files in enumerate(found, start=1)]
    return _with_groups(named)


def _of_row(table: Path, line: int, row: Mapping[str, str]) -> PairFiles:
    before, after, changed = (row[name] for name in COLUMNS)
    if changed.lower() not in _TRUTH:
        raise InputError(
            f"{table}, line {line}: changed is {changed!r}", f"write {' or '.join(_TRUTH)}"
        )
    paths = [table.parent / name for name in (before, after)]
    for name, path in zip((before, after), paths, strict=True):
        if not name or not path.is_file():
            raise InputError(
                f"{table}, line {line}: there is no file {name!r}",
                "paths are relative to the table",
            )
    return PairFiles("", "", paths[0], paths[1], changed=_TRUTH[changed.lower()])


def _with_groups(pairs: list[PairFiles]) -> list[PairFiles]:
    """With the pairs that share a picture, at first or second hand, in one group."""
    first = connected_groups([{pair.before.resolve(), pair.after.resolve()} for pair in pairs])
    return [
        replace(pair, group=pairs[place].name) for pair, place in zip(pairs, first, strict=True)
    ]


# --- pictures ------------------------------------------------------------------------------------


def _mask(path: Path) -> NDArray[np.bool_]:
    """`(height, width)`; palette indexes count, colours of a palette and alpha do not."""
    with open_picture(path) as file:
        is_jpeg = file.format == "JPEG"
        image = upright_picture(file, path)
        flattened = {"LA": "L", "PA": "P", "RGBA": "RGB"}.get(image.mode)
        values = _loaded_pixels(path, image, flattened)
    values = values if values.ndim == 3 else values[..., np.newaxis]
    changed: NDArray[np.bool_] = np.any(values >= (JPEG_CHANGED if is_jpeg else 1), axis=-1)
    return changed


def _loaded_pixels(path: Path, image: Image, mode: str | None) -> NDArray[np.uint8]:
    try:
        return np.asarray(image.convert(mode) if mode else image)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"{path} is damaged: {' '.join(str(error).split())}", "copy or download it again"
        ) from error


def _size(shape: Iterable[int]) -> str:
    height_px, width_px = shape
    return f"{width_px} x {height_px}"
