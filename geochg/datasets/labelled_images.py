"""Single images with the labels that each of them has: a folder of folders, or a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from geochg.class_list import ClassList, folded_name
from geochg.datasets.example import Origin
from geochg.datasets.frames import PICTURE_SUFFIXES
from geochg.datasets.picture_paths import PicturePaths
from geochg.errors import InputError
from geochg.files.text_file import read_table
from geochg.safety.untrusted_text import cleaned

LABELS_FILE = "labels.csv"
"""The table of a folder of pictures."""

LABEL_MARKS = ";|"
"""What divides the labels of an image in a table."""

_COLUMNS_HINT = "columns: image, labels; several labels with a semicolon between them"
_FOLDER_HINT = f"give a table, a folder with {LABELS_FILE}, or one with a folder for each label"


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and its true labels, as its source writes them.

    Attributes:
        path: The picture file.
        labels: The labels; none where it shows none of them.
        origin: Where its row or file is, for messages.
    """

    path: Path
    labels: tuple[str, ...]
    origin: str


def labelled_images(source: Path, images: Path | None = None) -> list[LabelledImage]:
    """The images of a source, in order.

    Args:
        source: A CSV file with the columns `image` and `labels`, a folder that holds one of the
            name `LABELS_FILE`, or a folder with a subfolder of pictures for each label.
        images: The folder that names of images start from; beside the table when None.

    Raises:
        InputError: If the source cannot be read, or has no image.
    """
    table = source / LABELS_FILE if source.is_dir() else source
    found_images = list(_of_table(table, images) if table.is_file() else _of_folders(source))
    if not found_images:
        raise InputError(f"{source} has no labelled image", _FOLDER_HINT)
    return found_images


def _of_table(file: Path, images: Path | None) -> Iterator[LabelledImage]:
    table = read_table(file)
    if missing := {"image", "labels"} - set(table.columns):
        raise InputError(f"{file} has no column {min(missing)!r}", _COLUMNS_HINT)
    paths = PicturePaths(file, images, must_exist=True)
    for number, row in table.rows():
        origin = Origin(file, number, row["image"], "line")
        text = row["labels"] or ""
        for mark in LABEL_MARKS:
            text = text.replace(mark, "\n")
        labels = (label.strip() for label in text.split("\n"))
        yield LabelledImage(
            paths.path([row["image"]], origin),
            tuple(dict.fromkeys(label for label in labels if label)),
            f"{file}, line {number}",
        )


def _of_folders(folder: Path) -> Iterator[LabelledImage]:
    if not folder.is_dir():
        raise InputError(f"there is no {folder}", _FOLDER_HINT)
    for label_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(label_folder.iterdir()):
            if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
                yield LabelledImage(path, (label_folder.name,), str(path))


def known_labels(
    images: Iterable[LabelledImage], labels: ClassList, *, skip_unknown: bool = False
) -> list[tuple[LabelledImage, frozenset[str]]]:
    """The images with their labels as a list calls them; what it merges is one label.

    Args:
        images: The images.
        labels: The list; names and synonyms of its classes stand for their output class.
        skip_unknown: Whether images with a label that the list has not are left out.

    Raises:
        InputError: If an image has an unknown label and is not to be left out, or none is left.
    """
    names = {
        folded_name(word): item.class_name
        for item in labels.classes
        for word in (item.name, *item.synonyms)
    }
    kept_images: list[tuple[LabelledImage, frozenset[str]]] = []
    for image in images:
        known_names = [names.get(folded_name(label.replace("_", " "))) for label in image.labels]
        if None not in known_names:
            kept_images.append((image, frozenset(name for name in known_names if name)))
        elif not skip_unknown:
            label = _first_unknown(image.labels, known_names)
            raise InputError(
                f"{image.origin} has the label {cleaned(label, 40)!r}, which is not in the list",
                "add it there as a class or a synonym, or leave such images out with "
                "--skip-unknown-labels",
            )
    if not kept_images:
        raise InputError("no image has labels of the list alone", "give the list of these labels")
    return kept_images


def _first_unknown(labels: Sequence[str], names: Sequence[str | None]) -> str:
    return next(label for label, name in zip(labels, names, strict=True) if name is None)
