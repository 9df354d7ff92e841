"""Outputs that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from geochg.errors import InputError, OptionError, RunError


class Output(NamedTuple):
    """A file that is to be written, and the suffixes (`.gpkg`, lower case) its writer knows."""

    path: Path
    suffixes: tuple[str, ...]


class Staging:
    """A set of outputs that are written aside and moved to their places together.

    Each output is written under its own name in a hidden folder beside its place, so that moving
    it is a rename. Leaving the `with` block without `commit` leaves nothing behind and what was
    there before untouched. A target that is a link keeps being one: the file it leads to is
    replaced.

        with Staging() as staging:
            with staging.write(target) as path:
                write_features(frame, path, metadata)
            staging.commit()
    """

    def __init__(self) -> None:
        self._staged: dict[Path, Path] = {}
        self._folders: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def write(self, target: Path) -> Iterator[Path]:
        """Gives the path to write to instead of `target`.

        Raises:
            RunError: If the folder takes no file, or if writing, inside the block, fails with an
                `OSError`.
        """
        place = target.resolve()
        with _failures_named(target):
            folder = place.with_name(f".geochg-{place.name}")
            # A run that was killed while writing left its own behind.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            self._folders.append(folder)
            self._staged[place] = folder / place.name
            yield self._staged[place]

    def commit(self) -> None:
        """Moves everything written to its place; what was there is replaced.

        Raises:
            RunError: If a file cannot be moved; then none is, and what was there before stays.
        """
        undo: list[Callable[[], None]] = []
        try:
            for place, staged in self._staged.items():
                with _failures_named(place):
                    _replace(place, staged, undo)
        except RunError:
            for step in reversed(undo):
                step()
            raise
        self._staged.clear()


def _replace(place: Path, staged: Path, undo: list[Callable[[], None]]) -> None:
    """Moves a staged file to its place; `undo` learns how to take that back."""
    former = staged.parent / f"{staged.name}.former"
    if place.exists():
        _keep(place, former)
        undo.append(lambda: os.replace(former, place))
    else:
        undo.append(lambda: place.unlink(missing_ok=True))
    os.replace(staged, place)


def _keep(place: Path, former: Path) -> None:
    """Keeps a file under a second name; by a link, so that it never leaves its place."""
    try:
        former.hardlink_to(place)
    except OSError:
        # File systems without links (FAT, some network shares).
        shutil.copy2(place, former)


@contextmanager
def _failures_named(target: Path) -> Iterator[None]:
    """Turns an `OSError` into an error that names the file and the remedy."""
    try:
        yield
    except PermissionError as error:
        raise RunError(
            f"cannot write {target}: {error.strerror or error}",
            "close it in other programs, or choose a folder you may write to",
        ) from error
    except OSError as error:
        raise RunError(
            f"cannot write {target}: {error.strerror or error}",
            "make room on that disk, or choose another folder",
        ) from error


# --- checks before the run -----------------------------------------------------------------------


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path]) -> None:
    """Refuses outputs that could not be written at the end of the run.

    Args:
        outputs: All files the run is to write.
        inputs: All files it reads; those that are no local files are passed over.

    Raises:
        OptionError: If a suffix is not known to its writer.
        InputError: If a folder is missing or not writable, a target is a folder, one of the
            inputs, or named twice.
    """
    sources = [path for path in inputs if _is_there(path)]
    for index, output in enumerate(outputs):
        _check_suffix(output)
        _check_place(output.path)
        if any(_is_same(output.path, source) for source in sources):
            raise InputError(
                f"the output {output.path} is one of the inputs", "choose another output file"
            )
        if any(_is_same(output.path, other.path) for other in outputs[:index]):
            raise InputError(
                f"the output {output.path} is asked for twice", "give each output its own file"
            )


def _check_suffix(output: Output) -> None:
    suffix = output.path.suffix.lower()
    if suffix not in output.suffixes:
        what = f"the suffix {suffix!r}" if suffix else "a name without a suffix"
        raise OptionError(
            f"cannot tell the format of {output.path} from {what}",
            f"known suffixes: {', '.join(output.suffixes)}",
        )


def _check_place(path: Path) -> None:
    folder = path.resolve().parent
    if path.is_dir():
        raise InputError(f"the output {path} is a folder", "name a file in it")
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist", "create it first")
    try:
        # Asking for permission says little on Windows and on read-only disks; trying tells.
        with tempfile.TemporaryDirectory(prefix=".geochg-", dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {folder}: {error.strerror}",
            "choose a folder you may write to",
        ) from error


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a GDAL name or WKT that no file system takes
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, which need not exist."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return os.path.normcase(one.resolve()) == os.path.normcase(other.resolve())
