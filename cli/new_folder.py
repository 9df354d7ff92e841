"""Folders that a command is to make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geochg.errors import InputError, OptionError, RunError
from geochg.files.new_files import check_file_name
from geochg.safety.untrusted_text import cleaned

from .interrupts import interrupts_raised


def check_new_folder(folder: Path) -> None:
    """Refuses a folder that could not be made at the end of the run.

    Raises:
        InputError: If it exists, or there is no folder to make it in.
    """
    check_file_name(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already", "name a new folder")
    _check_parent(folder)


def check_apart(output: Path, work_folder: Path) -> None:
    """Refuses an output folder that is, holds or lies in the folder for work on the way.

    A run writes there long before its output, and clears up at the end.

    Raises:
        OptionError: If one of the two folders lies in the other.
    """
    paths = output.resolve(), work_folder.resolve()
    if paths[0].is_relative_to(paths[1]) or paths[1].is_relative_to(paths[0]):
        raise OptionError(
            f"the output {output} and the work folder {work_folder} lie in each other",
            "name two folders side by side",
        )


def check_sweep_folder(folder: Path) -> None:
    """Refuses what cannot be the folder of a sweep's runs; it may hold some already.

    Raises:
        InputError: If it is a file, or there is no folder to make it in.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", "name the folder of the runs")
    _check_parent(folder)


def _check_parent(folder: Path) -> None:
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise InputError(f"the folder {parent} does not exist", "create it first")


@contextmanager
def failures_named(folder: Path) -> Iterator[None]:
    """Turns an `OSError` while a folder is made into an error that names it.

    Ctrl-C raises within the block, so that what is half made is removed.

    Raises:
        RunError: If the folder cannot be made.
    """
    try:
        with interrupts_raised():
            yield
    except OSError as error:
        raise RunError(
            f"cannot make {folder}: {cleaned(error)}", "make room, or name another folder"
        ) from error
