"""Examples of every format: the one reader of training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from geochg.datasets.example import Example, ExampleTurn, Origin, SceneWindow
from geochg.datasets.frames import load_pair
from geochg.datasets.json_rows import JSON_SUFFIXES, json_examples
from geochg.datasets.picture_paths import PicturePaths, ignore_name
from geochg.datasets.splits import SPLITS
from geochg.datasets.table import TABLE_SUFFIX, table_examples
from geochg.errors import InputError
from geochg.records import PairFacts

__all__ = [
    "PICTURES",
    "Example",
    "ExampleTurn",
    "Origin",
    "SceneWindow",
    "iter_examples",
    "load_pair",
    "read_examples",
    "row_files",
]

PICTURES = PairFacts(("red", "green", "blue"), float("nan"), "uint8")
"""Facts of pictures, which have no place on the ground, hence no size there."""


def read_examples(
    source: Path, images: Path | None = None, *, must_exist: bool = True
) -> list[Example]:
    """All examples of a file or folder.

    Takes ChangeChat-105k (instruction and caption rows), LEVIR-CC captions, LLaVA-format JSON with
    two images or a video of two frames, JSON lines of these, CSV, and the folders that
    `geochg dataset build` and `pairs` make; which it is shows in what it holds.

    Args:
        source: The file; or a folder with `train.json`, `val.json` or `test.json`.
        images: The folder that image names start from; when None, they are looked for beside the
            rows.
        must_exist: Refuse rows whose pictures are not there.

    Raises:
        InputError: If the file does not exist, it is malformed (file and line), or a row lacks
            something (file, row, id and what).
    """
    return list(iter_examples(source, images, must_exist=must_exist))


def iter_examples(
    source: Path,
    images: Path | None = None,
    *,
    must_exist: bool = True,
    on_outside: Callable[[str], None] = ignore_name,
) -> Iterator[Example]:
    """The same, one example at a time; `on_outside` is called with names that lead elsewhere."""
    if images is not None and not images.is_dir():
        raise InputError(f"there is no folder {images}", "check where the images are")
    for source_file in row_files(source):
        paths = PicturePaths(source_file, images, must_exist, on_outside)
        read_file = table_examples if source_file.suffix.lower() == TABLE_SUFFIX else json_examples
        yield from read_file(source_file, paths)


def row_files(source: Path) -> tuple[Path, ...]:
    """The files of rows that a path means.

    Raises:
        InputError: If there is none.
    """
    suffixes = (*JSON_SUFFIXES, TABLE_SUFFIX)
    if source.is_file():
        if source.suffix.lower() not in suffixes:
            raise InputError(
                f"cannot tell the format of {source}", f"known suffixes: {', '.join(suffixes)}"
            )
        return (source,)
    if not source.is_dir():
        raise InputError(f"there is no file or folder {source}", "check the path")
    paths = (source / f"{split}.json" for split in SPLITS)
    files = tuple(path for path in paths if path.is_file())
    if not files:
        others = sorted(path.name for path in source.iterdir() if path.suffix.lower() in suffixes)
        hint = (
            f"name one of its files: {', '.join(others[:9])}" if others else "it needs train.json"
        )
        raise InputError(f"{source} is not a folder of examples", hint)
    return files
