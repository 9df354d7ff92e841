"""Labelled pairs of pictures on disk, in the layout that most change-detection sets share.

A folder has `A/`, `B/` and `label/` with files of equal names (suffixes may differ): before, after
and a mask. Where a pair has one label for the whole picture, a CSV file with the columns `before`,
`after` and `changed` names the files, relative to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.captions.truth import split_unknown
from geochg.datasets.frames import check_sizes, open_picture, picture, upright_pixels
from geochg.datasets.group_columns import group_columns
from geochg.datasets.picture_paths import pictures_by_side
from geochg.datasets.splits import connected_groups
from geochg.datasets.table import TRUTH
from geochg.errors import InputError
from geochg.files.text_file import read_table

BEFORE, AFTER, LABEL = "A", "B", "label"
COLUMNS = ("before", "after", "changed")
JPEG_CHANGED = 128
"""A pixel of a JPEG mask is changed from here on: compression leaves specks above zero."""

_PLACED_SUFFIXES = (".tif", ".tiff")
"""Suffixes of the masks of `geochg dataset build` that may be unknown in parts."""

_LAYOUT_HINT = f"it needs {BEFORE}/, {AFTER}/ and {LABEL}/ with files of equal names, or a CSV file"


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The files of a pair, and its label where the whole pair has one.

    Attributes:
        name: Name, unlike that of any other pair.
        group: Name of the group of pairs that share a picture.
        before: The earlier picture.
        after: The later picture.
        label: The mask; None where the whole pair has a label.
        changed: Label of the whole pair; None where there is a mask, or no label at all.
        columns: Further columns of its row in a table, by name.
        partner: Name of the pair which the later picture is of, where these were exchanged.
    """

    name: str
    group: str
    before: Path
    after: Path
    label: Path | None = None
    changed: bool | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    partner: str = ""

    @property
    def is_labelled(self) -> bool:
        """Whether it is known if the pair changed."""
        return self.label is not None or self.changed is not None


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPair:
    """The pixels of a pair and its mask.

    Attributes:
        before: `(3, height, width)` uint8: red, green, blue.
        after: As `before`.
        mask: `(height, width)` bool, true where it changed; everywhere or nowhere where the whole
            pair has a label, nowhere where it has none.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def pair_files(source: Path, *, needs_labels: bool = True) -> list[PairFiles]:
    """The pairs of a folder or CSV file, by name.

    Args:
        source: The folder or file.
        needs_labels: Refuse pairs without a label.

    Raises:
        InputError: If there is no such folder or file, it has no pairs, or a file of a pair is
            missing.
    """
    if source.is_dir():
        pairs = _of_folder(source, needs_labels)
    elif source.is_file():
        pairs = _of_table(source, needs_labels)
    else:
        raise InputError(f"there is no folder or file {source}", "check the path")
    if not pairs:
        raise InputError(f"{source} has no pairs", _LAYOUT_HINT)
    return sorted(pairs, key=lambda files: files.name)


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
    check_sizes(files.before, shape, [(files.after, after.shape[1:]), (files.label, mask.shape)])
    return LabelledPair(before, after, mask)


# --- folders -------------------------------------------------------------------------------------


def _of_folder(folder: Path, needs_labels: bool) -> list[PairFiles]:
    has_labels = needs_labels or (folder / LABEL).is_dir()
    sides = (BEFORE, AFTER, LABEL) if has_labels else (BEFORE, AFTER)
    if missing := [side for side in sides if not (folder / side).is_dir()]:
        splits = sorted(path.name for path in folder.iterdir() if (path / BEFORE).is_dir())
        hint = f"name one of its splits: {', '.join(splits)}" if splits else _LAYOUT_HINT
        raise InputError(f"{folder} has no folder {missing[0]}", hint)
    by_side = pictures_by_side(folder, sides, _LAYOUT_HINT)
    labels = by_side.get(LABEL, {})
    return [
        PairFiles(name, name, before, by_side[AFTER][name], label=labels.get(name))
        for name, before in by_side[BEFORE].items()
    ]


# --- tables --------------------------------------------------------------------------------------


def _of_table(table: Path, needs_labels: bool) -> list[PairFiles]:
    rows = read_table(table)
    needed_columns = set(COLUMNS if needs_labels else COLUMNS[:2])
    if missing := needed_columns - set(rows.columns):
        raise InputError(
            f"{table} has no column {min(missing)!r}", f"columns: {', '.join(COLUMNS)}"
        )
    pairs = [
        replace(_of_row(table, line, row, needs_labels), name=f"{number:06d}")
        for number, (line, row) in enumerate(rows.rows(), start=1)
    ]
    return _with_groups(pairs)


def _of_row(table: Path, line: int, row: Mapping[str, str], needs_label: bool) -> PairFiles:
    before, after, changed = (row.get(name, "") for name in COLUMNS)
    if changed.lower() not in TRUTH and (changed or needs_label):
        raise InputError(
            f"{table}, line {line}: changed is {changed!r}", f"write {' or '.join(TRUTH)}"
        )
    paths = [table.parent / name for name in (before, after)]
    for name, path in zip((before, after), paths, strict=True):
        if not name or not path.is_file():
            raise InputError(
                f"{table}, line {line}: there is no file {name!r}",
                "paths are relative to the table",
            )
    columns = {name: value for name, value in row.items() if name not in COLUMNS}
    label = TRUTH.get(changed.lower())
    return PairFiles("", "", paths[0], paths[1], changed=label, columns=group_columns(columns))


def _with_groups(pairs: list[PairFiles]) -> list[PairFiles]:
    """The pairs, with those that share a picture, directly or by a chain of pairs, in one group."""
    first = connected_groups([{pair.before.resolve(), pair.after.resolve()} for pair in pairs])
    return [replace(p, group=pairs[index].name) for p, index in zip(pairs, first, strict=True)]


# --- pictures ------------------------------------------------------------------------------------


def _mask(path: Path) -> NDArray[np.bool_]:
    """`(height, width)`; palette indexes count, colours of a palette and alpha do not."""
    with open_picture(path) as file:
        is_jpeg = file.format == "JPEG"
        mode = {"LA": "L", "PA": "P", "RGBA": "RGB"}.get(file.mode)
        values = upright_pixels(file, path, mode)
    if values.ndim == 2 and path.suffix.lower() in _PLACED_SUFFIXES:
        values = split_unknown(values)[0]
    values = values if values.ndim == 3 else values[..., np.newaxis]
    changed: NDArray[np.bool_] = np.any(values >= (JPEG_CHANGED if is_jpeg else 1), axis=-1)
    return changed
