"""What is known before a run of outputs that could not be written at its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from geochg.errors import InputError, OptionError
from geochg.extras import require_packages
from geochg.files.sidecars import DATABASE_SUFFIXES, sidecar_files
from geochg.writers.geopackage import check_layer, check_layer_name, is_geopackage
from geochg.writers.recognition import PARQUET_SUFFIXES, is_ours
from geochg.writers.reviews import refuse_reviewed_file

OVERWRITE_HINT = "choose another file, or add --overwrite to replace it"
"""What to do about a file that geochg did not write."""


class Output(NamedTuple):
    """A file that is to be written.

    Attributes:
        path: The file.
        suffixes: Suffixes that its writer knows, such as `.gpkg`, lower case.
        layer: The layer that is written, of a GeoPackage that may hold others; empty where the
            file is written as a whole.
    """

    path: Path
    suffixes: tuple[str, ...]
    layer: str = ""

    @property
    def is_layer(self) -> bool:
        """Whether it shares its file with other layers."""
        return bool(self.layer) and self.path.suffix.lower() == ".gpkg"


def check_outputs(
    outputs: Sequence[Output], inputs: Iterable[Path], *, overwrite: bool = False
) -> None:
    """Refuses outputs that could not be written at the end of the run, or not without loss.

    Args:
        outputs: All files the run is to write.
        inputs: All files it reads; those that are no local files are passed over.
        overwrite: Whether files and layers may be replaced that geochg did not write, or that
            hold decisions of a review.

    Raises:
        OptionError: If a suffix is not known to its writer, or a name is none of a layer.
        InputError: If a folder is missing or not writable, a target is a folder, one of the
            inputs, or named twice; if what lies there is not geochg's, or another program has it
            open.
    """
    sources = [path for path in inputs if _is_there(path)]
    for index, output in enumerate(outputs):
        _check_suffix(output)
        _check_place(output.path)
        if any(_is_same(output.path, source) for source in sources):
            raise InputError(
                f"the output {output.path} is one of the inputs", "choose another output file"
            )
        for other_path in outputs[:index]:
            _check_apart(output, other_path)
        check_existing(output, overwrite=overwrite)


def _check_suffix(output: Output) -> None:
    suffix = output.path.suffix.lower()
    if suffix not in output.suffixes:
        ending = f"the suffix {suffix!r}" if suffix else "a name without a suffix"
        raise OptionError(
            f"cannot tell the format of {output.path} from {ending}",
            f"known suffixes: {', '.join(output.suffixes)}",
        )
    if suffix in PARQUET_SUFFIXES:
        require_packages("parquet", "pyarrow")
    if output.is_layer:
        check_layer_name(output.layer)


def _check_place(path: Path) -> None:
    try:
        folder = path.resolve().parent
    except (OSError, RuntimeError) as error:  # Python before 3.13 raises RuntimeError
        raise InputError(f"the output {path} is a link to itself", "name another file") from error
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


def _check_apart(output: Output, other_path: Output) -> None:
    if not _is_same(output.path, other_path.path):
        return
    if not (output.is_layer and other_path.is_layer) or not _has_same_name(
        output.path, other_path.path
    ):
        raise InputError(
            f"the output {output.path} is asked for twice", "give each output its own file"
        )
    if output.layer.lower() == other_path.layer.lower():
        raise OptionError(
            f"the layer {output.layer!r} of {output.path} is asked for twice",
            "choose another --layer, or give each output its own file",
        )


def check_existing(output: Output, *, overwrite: bool) -> None:
    """Refuses to replace what geochg did not write, what was reviewed, and what is open elsewhere.

    Raises:
        InputError: If something lies there that may not be replaced.
    """
    path = output.path
    try:
        if not path.exists():
            _check_no_orphans(path, overwrite=overwrite)
            return
        if not path.is_file():
            raise InputError(
                f"the output {path} is not a regular file", "choose another output file"
            )
        if not os.access(path, os.W_OK):
            raise InputError(
                f"the output {path} is read-only", "make it writable, or choose another file"
            )
        if output.is_layer and path.stat().st_size and is_geopackage(path):
            check_layer(path, output.layer, overwrite=overwrite)
            return
        if not overwrite and not is_ours(path):
            raise InputError(f"{path} is there already and geochg did not write it", OVERWRITE_HINT)
        if not overwrite:
            refuse_reviewed_file(path)
        if output.is_layer:
            _check_no_orphans(path, overwrite=overwrite)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", OVERWRITE_HINT) from error


def _check_no_orphans(path: Path, *, overwrite: bool) -> None:
    """Refuses a place beside which lies what would be taken for a part of the new file."""
    for sidecar in sidecar_files(path.resolve(), path.suffix):
        problem = f"{sidecar} would be taken for a part of the output {path}"
        if sidecar.name.endswith(DATABASE_SUFFIXES):
            raise InputError(
                problem, "close QGIS and other programs that have it open, or choose another output"
            )
        if not overwrite:
            raise InputError(problem, "remove it, choose another output, or add --overwrite")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a GDAL name or WKT that no file system takes
        return False


def _is_same(path: Path, other_path: Path) -> bool:
    """Whether two paths lead to one file, which need not exist."""
    if path.exists() and other_path.exists():
        return path.samefile(other_path)
    return os.path.normcase(path.resolve()) == os.path.normcase(other_path.resolve())


def _has_same_name(path: Path, other_path: Path) -> bool:
    """Whether two paths that lead to one file name it alike, so that it is meant."""
    return os.path.normcase(path.name) == os.path.normcase(other_path.name)
