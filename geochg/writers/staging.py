"""Outputs that appear whole or not at all, over nothing that geochg did not write."""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from geochg.errors import RunError
from geochg.files.sidecars import sidecar_files
from geochg.files.sqlite import has_locks
from geochg.writers.checks import Output, check_existing
from geochg.writers.geopackage import LayerChange, is_geopackage

MARK = "geochg writes its outputs here"
"""A file of this name tells the folders that outputs are written in from a user's own."""


class _Staged(NamedTuple):
    """A file that was written aside, and the output that it is."""

    path: Path
    output: Output


class Staging:
    """A set of outputs that are written aside and moved to their places together.

    Each output is written under its own name in a hidden folder beside its place, so that moving
    it is a rename. A layer of a GeoPackage that is there already is put into it in a transaction
    instead. Leaving the `with` block without `commit` leaves nothing behind and what was there
    before untouched. A target that is a link keeps being one: the file it leads to is replaced,
    and keeps its permissions and its owner.

    What may be replaced is checked before a run, see `checks.check_outputs`, and once more at the
    end of it.

        with Staging() as staging:
            with staging.write(target) as path:
                write_features(frame, path, metadata)
            staging.commit()

    Args:
        overwrite: Whether what geochg did not write may be replaced.
    """

    def __init__(self, *, overwrite: bool = False) -> None:
        self._overwrite = overwrite
        self._staged: dict[Path, list[_Staged]] = {}
        self._folders: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def write(self, target: Path, layer: str = "") -> Iterator[Path]:
        """Gives the path to write to instead of `target`.

        Args:
            target: The output.
            layer: The layer that is written, where a GeoPackage may hold others.

        Raises:
            RunError: If the folder takes no file, or if writing, inside the block, fails with an
                `OSError`.
        """
        resolved = target.resolve()
        with _failures_named(target):
            folder = _make_aside(resolved, self._folders)
            self._folders.append(folder)
            # A link may have another suffix than the file it leads to; writers go by that of the
            # link.
            staged = folder / target.name
            self._staged.setdefault(resolved, []).append(_Staged(staged, Output(target, (), layer)))
            yield staged

    def commit(self) -> None:
        """Moves everything written to its place; what was there is replaced.

        Raises:
            InputError: If what lies there now may not be replaced.
            RunError: If a file cannot be moved; then none is, and what was there before stays.
        """
        for target, staged in self._staged.items():
            if not target.is_dir():
                check_existing(staged[0].output, overwrite=self._overwrite)
        undo: list[Callable[[], object]] = []
        try:
            changes: list[LayerChange] = []
            for target, staged in self._staged.items():
                if (change := _layer_change(target, staged)) is not None:
                    changes.append(change)
                    undo.append(change.close)
                    continue
                with _failures_named(target):
                    _replace(target, staged[0], undo)
            for change in changes:
                change.commit()
        except BaseException:
            for step in reversed(undo):
                step()
            raise
        self._staged.clear()


def write_output(
    target: Path, write: Callable[[Path], object], *, overwrite: bool = False, layer: str = ""
) -> None:
    """Writes one output, whole or not at all.

    Args:
        target: The output, a file or a folder.
        write: Writes it at the path that it is given.
        overwrite: Whether what geochg did not write may be replaced.
        layer: The layer that is written, where the output is one of features.

    Raises:
        InputError: If what lies there may not be replaced.
        RunError: If it cannot be written.
    """
    with Staging(overwrite=overwrite) as staging:
        with staging.write(target, layer) as path:
            write(path)
        staging.commit()


def _layer_change(target: Path, staged: list[_Staged]) -> LayerChange | None:
    """What puts layers into the GeoPackage in its place; None where a file is to be moved there.

    Where there is no GeoPackage yet, or it cannot be locked, the first staged file gets all layers.
    """
    if not staged[0].output.is_layer:
        return None
    layers = {staged_file.output.layer: staged_file.path for staged_file in staged}
    whole_file = staged[0].path
    with _failures_named(target):
        if target.exists() and target.stat().st_size and is_geopackage(target):
            if has_locks(target.parent):
                return LayerChange(target, layers)
            layers[staged[0].output.layer] = whole_file.replace(whole_file.with_name("first.gpkg"))
            shutil.copyfile(target, whole_file)
        else:
            del layers[staged[0].output.layer]
    if layers:
        LayerChange(whole_file, layers, locks=False).commit()
    return None


def _make_aside(target: Path, folders_in_use: list[Path]) -> Path:
    """Makes a hidden folder beside an output; its name is short however long that of the output."""
    folder = target.with_name(f".geochg-{zlib.crc32(os.fsencode(target.name)):08x}")
    if folder not in folders_in_use and (folder / MARK).is_file():
        # A run that was killed while writing left its own behind.
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
    except FileExistsError:
        folder = Path(tempfile.mkdtemp(prefix=".geochg-", dir=target.parent))
    (folder / MARK).touch()
    return folder


def _replace(target: Path, staged: _Staged, undo: list[Callable[[], object]]) -> None:
    """Moves a staged file to its place; `undo` learns how to take that back."""
    staged_folder = staged.path.parent
    former = staged_folder / "former"
    if target.exists():
        _keep(target, former)
        undo.append(lambda: os.replace(former, target))
        _copy_owner(target, staged.path)
    else:
        undo.append(lambda: target.unlink(missing_ok=True))
    # Statistics and masks of the former file would be taken for those of the new one.
    for number, sidecar in enumerate(sidecar_files(target, staged.output.path.suffix)):
        kept_file = staged_folder / f"sidecar{number}"
        os.replace(sidecar, kept_file)
        undo.append(partial(os.replace, kept_file, sidecar))
    os.replace(staged.path, target)


def _keep(target: Path, former: Path) -> None:
    """Keeps a file under a second name; by a link, so that it never leaves its place."""
    try:
        former.hardlink_to(target)
    except OSError:
        # File systems without links (FAT, some network shares).
        shutil.copy2(target, former)


def _copy_owner(target: Path, staged: Path) -> None:
    """Gives a file the permissions of the one it replaces, and its owner where that is allowed."""
    if target.is_dir():
        return
    former = target.stat()
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root gives files away; their group may still be kept
            os.chown(staged, -1, former.st_gid)
        with suppress(OSError):
            os.chown(staged, former.st_uid, -1)
    with suppress(OSError):
        # After the owner: changing that takes set-user-id bits away.
        shutil.copymode(target, staged)


@contextmanager
def _failures_named(target: Path) -> Iterator[None]:
    """Turns an `OSError` into an error that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        hint = "make room on that disk, or choose another folder"
        if isinstance(error, PermissionError):
            hint = "close it in other programs, or choose a folder you may write to"
        raise RunError(f"cannot write {target}: {error.strerror or error}", hint) from error
