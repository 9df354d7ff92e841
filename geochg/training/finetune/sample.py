"""Training samples: a pair with questions, answers and the masks that lie beside its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS, split_unknown
from geochg.datasets.examples import Example, load_pair
from geochg.datasets.frames import open_picture, upright_picture
from geochg.errors import InputError
from geochg.geometry.grid_cells import changed_cells
from geochg.records import Locations, Task, Tile
from geochg.tasks.lexicon import ASKED

CLASS_FOLDER, DIRECTION_FOLDER = "label", "direction"
"""Folders of masks beside that of the pictures: classes, and directions where they are known."""

MASK_SUFFIXES = (".png", ".tif", ".tiff")
"""Suffixes of masks whose pictures have another one, in the order in which they are looked for."""

LEVIR_MCI_VALUES = {128: "road", 255: "building"}
"""Values of LEVIR-MCI's masks; class indices are smaller than all of them."""

UNKNOWN = 255
"""The direction of a change of which nobody noted it."""


@dataclass(frozen=True, slots=True, eq=False)
class ChangeMasks:
    """The changed pixels of a pair.

    Attributes:
        classes: `(height, width)` uint8, index into `truth.CLASS_NAMES`, 0 for no change.
        directions: `(height, width)` uint8, index into `truth.DIRECTIONS`, 0 for no change,
            `UNKNOWN` where nobody noted it.
        known: `(height, width)` bool, where it is known whether something changed; None for
            everywhere.
    """

    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    known: NDArray[np.bool_] | None = None

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.classes.any())

    def locations(self, names: Iterable[str] = ASKED) -> Locations:
        """The cells in which more than five percent of the pixels changed, as ChangeChat asks.

        They have no probabilities, as in answers that are read from words.

        Args:
            names: The classes whose cells are wanted, among `CLASS_NAMES`.
        """
        return Locations(
            {
                name: dict.fromkeys(changed_cells(self.classes == CLASS_NAMES.index(name)))
                for name in names
            }
        )


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sample:
    """Images of one place with the questions and answers of a dialogue about them.

    Attributes:
        dates: The images, the earliest first, `(3, height, width)` uint8 each: red, green, blue.
        task: The task of the questions.
        questions: The questions, one a turn.
        answers: As many answers.
        masks: The changed pixels; None where no masks are known or wanted.
    """

    dates: tuple[NDArray[np.uint8], ...]
    task: Task
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    masks: ChangeMasks | None = None

    @property
    def shape_px(self) -> tuple[int, ...]:
        """Height and width of its images."""
        return self.dates[0].shape[1:]

    def tile(self) -> Tile:
        """The images as models are given them: all of it valid, not part of a raster."""
        return Tile.of_dates(self.dates)


def load_sample(example: Example, masks: bool) -> Sample:
    """Reads the pixels of an example.

    Args:
        example: A row of a data set.
        masks: Whether masks beside its pictures are read; a run that does not want them is not
            stopped by masks in another code.

    Raises:
        InputError: If a picture or a mask cannot be read, or their sizes differ.
    """
    before, after = load_pair(example)
    return Sample(
        (before, after),
        example.task or Task.QUESTION,
        tuple(turn.question for turn in example.turns),
        tuple(turn.answer for turn in example.turns),
        load_masks(example, before.shape[1:]) if masks else None,
    )


def load_batches(examples: Sequence[Example], masks: bool, size: int) -> Iterator[list[Sample]]:
    """Reads all examples, a batch at a time, so that a large set needs little memory.

    Args:
        examples: Rows of a data set.
        masks: See `load_sample`.
        size: Samples in a batch; the last may hold fewer.

    Raises:
        InputError: See `load_sample`.
    """
    for start in range(0, len(examples), size):
        yield [load_sample(example, masks) for example in examples[start : start + size]]


# --- masks ---------------------------------------------------------------------------------------


def load_masks(example: Example, shape: tuple[int, ...]) -> ChangeMasks | None:
    """Reads the masks of an example's pair; None where there are none.

    They lie in `label/` (and `direction/`) beside the folder of the earlier picture, under its
    name, as LEVIR-MCI and `geochg dataset build` have it; the suffix may be the picture's own,
    `.png` or `.tif`.

    Args:
        example: A row of a data set.
        shape: Height and width of its pictures in pixels.

    Raises:
        InputError: If a mask cannot be read or has another size.
    """
    if example.before is None:
        return None
    file = _mask_file(example.before, CLASS_FOLDER)
    if file is None:
        return None
    values, is_known = split_unknown(read_mask(file, shape))
    classes = _classes(values, file)
    directions = _directions(classes, example.before, shape)
    return ChangeMasks(classes, directions, None if is_known.all() else is_known)


def has_masks(example: Example) -> bool:
    """Whether masks lie beside the pictures of an example."""
    return example.before is not None and _mask_file(example.before, CLASS_FOLDER) is not None


def read_mask(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Reads a mask of one 8-bit band.

    Raises:
        InputError: If it cannot be read, is something else, or has another height and width.
    """
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


def _classes(values: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    classes = values.copy()
    if values.max(initial=0) >= min(LEVIR_MCI_VALUES):
        for value, name in LEVIR_MCI_VALUES.items():
            classes[values == value] = CLASS_NAMES.index(name)
    if classes.max(initial=0) >= len(CLASS_NAMES):
        raise InputError(
            f"{file} holds the value {classes.max()}, which is no class",
            f"classes are 0 to {len(CLASS_NAMES) - 1}, or {', '.join(map(str, LEVIR_MCI_VALUES))}"
            " as in LEVIR-MCI",
        )
    return classes


def _directions(
    classes: NDArray[np.uint8], picture: Path, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    changed = classes > 0
    file = _mask_file(picture, DIRECTION_FOLDER)
    if file is None:
        return np.where(changed, UNKNOWN, 0).astype(np.uint8)
    directions = np.where(changed, read_mask(file, shape), 0).astype(np.uint8)
    if directions.max(initial=0) >= len(DIRECTIONS):
        raise InputError(
            f"{file} holds the value {directions.max()}, which is no direction",
            f"directions are 0 to {len(DIRECTIONS) - 1}",
        )
    # In a file 0 is "no change" where nothing changed, and elsewhere "nobody noted it".
    return np.where(changed & (directions == 0), UNKNOWN, directions).astype(np.uint8)


@lru_cache(maxsize=65536)
def _mask_file(picture: Path, folder_name: str) -> Path | None:
    """The mask of a picture; cached, since each row of each pass asks again."""
    folder = picture.parent.parent / folder_name
    # Not a JPEG, whose compression changes values.
    own_suffixes = (picture.suffix,) if picture.suffix.lower() in MASK_SUFFIXES else ()
    files = (
        folder / picture.with_suffix(suffix).name for suffix in (*own_suffixes, *MASK_SUFFIXES)
    )
    return next((file for file in files if file.is_file()), None)
