"""Georeferenced pairs with masks of what changed, in folders kind by kind.

A kind is a folder of pairs: `kind/pair/before.tif`, `after.tif` and `mask.tif`. A `kind.json`
beside the pairs may name the only classes that the masks cover: `{"classes": "building,road"}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geochg.errors import InputError
from geochg.files.text_file import json_value, read_text

BEFORE, AFTER, MASK, NOTE = "before.tif", "after.tif", "mask.tif", "kind.json"
LAYOUT_HINT = f"a kind needs folders that hold {BEFORE}, {AFTER} and {MASK}"
_NOTE_HINT = 'write it as {"classes": "building,road"}'


@dataclass(frozen=True, slots=True)
class MaskedPair:
    """The files of a pair and its mask; they need not exist.

    Attributes:
        name: Name of its folder, unlike that of any other pair of the kind.
        before: The earlier raster.
        after: The later raster.
        mask: Mask of the change: 1 changed, 0 unchanged, 255 unknown.
    """

    name: str
    before: Path
    after: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class Kind:
    """Pairs of one kind of imagery and change.

    Attributes:
        name: The name of its folder.
        classes: The only classes that the masks cover; empty for whatever changed.
        pairs: Its pairs, by name.
    """

    name: str
    classes: tuple[str, ...]
    pairs: tuple[MaskedPair, ...]


def holds_kinds(folder: Path) -> bool:
    """Whether a folder is a kind, or a folder of kinds, by the masks in it."""
    return folder.is_dir() and bool(_kind_folders(folder))


def kinds_of(folder: Path) -> list[Kind]:
    """The kinds in a folder, by name; one where the folder is a kind itself.

    Raises:
        InputError: If there is none, or a `kind.json` makes no sense.
    """
    if not (folders := _kind_folders(folder)):
        raise InputError(f"{folder} holds no kind of pairs", LAYOUT_HINT)
    return [_kind(kind) for kind in folders]


def _kind_folders(folder: Path) -> list[Path]:
    if next(folder.glob(f"*/{MASK}"), None) is not None:
        return [folder]
    return sorted({mask.parent.parent for mask in folder.glob(f"*/*/{MASK}")})


def _kind(folder: Path) -> Kind:
    """A kind with every pair of which there is a mask or both images.

    A pair that lacks a file is reported where it is scored, and not passed over.
    """
    mask_folders = {mask.parent for mask in folder.glob(f"*/{MASK}")}
    imaged = {date.parent for date in folder.glob(f"*/{BEFORE}") if (date.parent / AFTER).is_file()}
    pairs = tuple(
        MaskedPair(pair_dir.name, pair_dir / BEFORE, pair_dir / AFTER, pair_dir / MASK)
        for pair_dir in sorted(mask_folders | imaged)
    )
    return Kind(folder.resolve().name, _covered_classes(folder / NOTE), pairs)


def _covered_classes(note: Path) -> tuple[str, ...]:
    """The classes that a `kind.json` names; none where there is no such file."""
    if not note.is_file():
        return ()
    values = json_value(read_text(note), note, _NOTE_HINT)
    classes = values.get("classes", "") if isinstance(values, dict) else None
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        classes = ",".join(classes)
    if not isinstance(classes, str):
        raise InputError(f"{note} names no classes", _NOTE_HINT)
    return tuple(name.strip() for name in classes.split(",") if name.strip())
