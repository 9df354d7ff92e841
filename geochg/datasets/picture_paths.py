"""The picture files that rows name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PureWindowsPath

from geochg.datasets.example import Origin
from geochg.datasets.frames import PICTURE_SUFFIXES
from geochg.errors import InputError
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned


def ignore_name(name: str) -> None:
    """Ignores a name that leads elsewhere."""


class PicturePaths:
    """Finds files by the names that rows give them.

    Args:
        source: The file that holds the rows.
        images: The folder that names start from; when None, that of the rows, its folder
            `images`, and the folder above (rows often lie beside or below their pictures).
        must_exist: Refuse names of which there is no file; else the first guess is taken.
        on_outside: Called with each name that leads out of those folders, and its row.
    """

    def __init__(
        self,
        source: Path,
        images: Path | None,
        must_exist: bool,
        on_outside: Callable[[str], None] = ignore_name,
    ) -> None:
        source_folder = source.parent
        self.roots = (
            (images,)
            if images is not None
            else (source_folder, source_folder / "images", source_folder.parent)
        )
        self.must_exist = must_exist
        self.on_outside = on_outside
        self._found: dict[tuple[str, ...], Path] = {}

    def path(self, names: Sequence[str], origin: Origin) -> Path:
        """The file that one of the names leads to.

        Args:
            names: Name that a row gives, or several that a format may mean by it.
            origin: Origin of the row, for errors.

        Raises:
            InputError: If the file does not exist and it must.
        """
        key = tuple(names)
        if key not in self._found:
            self._found[key] = self._first(key, origin)
            for name in filter(_leads_out, key):
                self.on_outside(f"{origin}: {cleaned(name, LONGEST_TEXT)}")
        return self._found[key]

    def _first(self, names: tuple[str, ...], origin: Origin) -> Path:
        if any("\0" in name or not name.strip() for name in names):
            raise origin.fault("an image has no name", "name a file")
        guesses = [root / name for name in names for root in self.roots]
        for guess in guesses:
            if _is_there(guess):
                return guess
        if self.must_exist:
            raise origin.fault(
                f"there is no file {guesses[0]}", "name the folder that image names start from"
            )
        return guesses[0]


def _leads_out(name: str) -> bool:
    """Whether a name is none within a folder on some system, such as `/a.png` or `C:a.png`."""
    drive, parts = PureWindowsPath(name).drive, PureWindowsPath(name).parts
    return bool(drive) or name.startswith(("/", "\\")) or ".." in parts


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, or one that the file system does not take
        return False


def pictures_by_name(folder: Path) -> dict[str, Path]:
    """The picture files of a folder by their names without suffix, in order.

    Raises:
        InputError: If two files have one name.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
            if path.stem in files:
                raise InputError(f"{folder} has {path.stem!r} twice", "keep one of them")
            files[path.stem] = path
    return files


def pictures_by_side(folder: Path, sides: Sequence[str], hint: str) -> dict[str, dict[str, Path]]:
    """The picture files of several subfolders, which must have the same names.

    Args:
        folder: Folder of the subfolders.
        sides: Names of the subfolders.
        hint: Hint of the errors.

    Returns:
        Files by subfolder and name without suffix.

    Raises:
        InputError: If a subfolder or a picture is missing, or two files have one name.
    """
    files = {}
    for side in sides:
        if not (folder / side).is_dir():
            raise InputError(f"there is no folder {folder / side}", hint)
        files[side] = pictures_by_name(folder / side)
    names = set().union(*files.values())
    for side, of_side in files.items():
        if lacking := sorted(names - of_side.keys()):
            raise InputError(f"{folder / side} has no picture {lacking[0]!r}", hint)
    return files
