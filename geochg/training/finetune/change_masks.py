"""Masks that lie beside the pictures of a data set: where what changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geochg.datasets.captions.facts import cells_of
from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS
from geochg.datasets.frames import open_picture, upright_picture
from geochg.errors import InputError
from geochg.records import Locations
from geochg.tasks.lexicon import ASKED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.datasets.examples import Example

LABELS, TURNS = "label", "direction"
"""Folders beside that of the pictures: classes, and directions where they are known."""

SUFFIXES = (".png", ".tif", ".tiff")
"""Of masks whose pictures have another one, in the order in which they are looked for."""

MCI = {128: "road", 255: "building"}
"""Values of LEVIR-MCI's masks; they are told apart from indices, which are small, by their size."""

UNKNOWN = 255
"""A direction that nobody noted."""


@dataclass(frozen=True, slots=True, eq=False)
class ChangeMasks:
    """Where what changed.

    Attributes:
        classes: `(height, width)` uint8, index into `truth.CLASS_NAMES`, 0 for no change.
        directions: `(height, width)` uint8, index into `truth.DIRECTIONS`, 0 for no change,
            `UNKNOWN` where nobody noted it.
    """

    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.classes.any())

    def locations(self, names: Iterable[str] = ASKED) -> Locations:
        """The cells in which more than five percent of the pixels changed, as ChangeChat asks.

        Args:
            names: The classes that are told of, among `CLASS_NAMES`.
        """
        return Locations(
            {
                name: dict.fromkeys(cells_of(self.classes == CLASS_NAMES.index(name)), 1.0)
                for name in names
            }
        )


def masks_of(example: Example, shape: tuple[int, ...]) -> ChangeMasks | None:
    """The masks of an example's pair; None where there are none.

    They lie in `label/` (and `direction/`) beside the folder of the earlier picture, under its
    name, as LEVIR-MCI and `geochg dataset build` have it; the suffix may be the picture's own,
    `.png` or `.tif`.

    Args:
        example: Whose.
        shape: Height and width of its pictures in pixels.

    Raises:
        InputError: If a mask cannot be read or has another size.
    """
    if example.before is None:
        return None
    labels = _beside(example.before, LABELS)
    if labels is None:
        return None
    values = _mask(labels, shape)
    turns = _beside(example.before, TURNS)
    return ChangeMasks(_classes(values, labels), _directions(values, turns, shape))


def has_masks(example: Example) -> bool:
    """Whether `masks_of` would find any."""
    return example.before is not None and _beside(example.before, LABELS) is not None


def _classes(values: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    classes = values.copy()
    if values.max(initial=0) >= min(MCI):
        for value, name in MCI.items():
            classes[values == value] = CLASS_NAMES.index(name)
    if classes.max(initial=0) >= len(CLASS_NAMES):
        raise InputError(
            f"{file} holds the value {classes.max()}, which is no class",
            f"classes are 0 to {len(CLASS_NAMES) - 1}, or {', '.join(map(str, MCI))} as in "
            "LEVIR-MCI",
        )
    return classes


def _directions(
    labels: NDArray[np.uint8], file: Path | None, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    if file is None:
        return np.where(labels > 0, UNKNOWN, 0).astype(np.uint8)
    directions = np.where(labels > 0, _mask(file, shape), 0).astype(np.uint8)
    if directions.max(initial=0) >= len(DIRECTIONS):
        raise InputError(
            f"{file} holds the value {directions.max()}, which is no direction",
            f"directions are 0 to {len(DIRECTIONS) - 1}",
        )
    # In a file 0 is "no change" where nothing changed, and elsewhere "nobody noted it".
    return np.where((labels > 0) & (directions == 0), UNKNOWN, directions).astype(np.uint8)


@lru_cache(maxsize=65536)
def _beside(picture: Path, folder: str) -> Path | None:
    """Remembered, since each row of each pass asks again."""
    place = picture.parent.parent / folder
    # Not a JPEG, whose compression changes values.
    own = (picture.suffix,) if picture.suffix.lower() in SUFFIXES else ()
    names = (picture.with_suffix(suffix).name for suffix in (*own, *SUFFIXES))
    return next((place / name for name in names if (place / name).is_file()), None)


def _mask(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    with open_picture(file) as image:
        values = np.asarray(upright_picture(image, file))
    if values.ndim != 2 or values.dtype not in (np.uint8, np.bool_):
        raise InputError(f"{file} is no mask of one 8-bit band", "write it as an 8-bit PNG")
    if values.shape != tuple(shape):
        raise InputError(
            f"{file} has {values.shape[1]} x {values.shape[0]} px, its pictures have "
            f"{shape[1]} x {shape[0]}",
            "masks must be of the size of their pictures",
        )
    return values.astype(np.uint8)
