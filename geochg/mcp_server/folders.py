"""Paths in calls, kept to the folders that the server was started with.

Whoever calls may be led astray by what it has read, so a path is only taken as the plain name of a
file: never as one of GDAL's own names, which can lead anywhere, and never through a link out of the
folders. Files that are there may be swapped between the check and their use by who can write there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath

from geochg.errors import InputError
from geochg.safety.untrusted_text import printable

_DRIVER = re.compile(r"[A-Za-z][A-Za-z0-9_+]+:")
"""How names of GDAL's begin that are no paths; one letter is a drive of Windows."""

_FORBIDDEN = re.compile(r"""[<>"|?*]""")
"""What no path here has: GDAL puts it around a file, and Windows takes it in no name."""

_WRITTEN_BESIDE = (".journal", ".journal-journal", ".journal-wal", "-journal", "-wal", "-shm")
"""What a run, or SQLite, writes beside an output, behind its name."""

_MOST_VISITED = 100_000
_FORM = "name a file by its plain path within the folders of the server"


class AllowedFolders:
    """The folders that calls may read from and write to.

    Args:
        folders: The folders.

    Raises:
        InputError: If one is no folder, or none is given.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        if not folders:
            raise InputError("no folder is named", "name the folders that calls may use")
        for folder in folders:
            if not folder.is_dir():
                raise InputError(f"{folder} is no folder", "name folders that are there")
        self.paths = tuple(dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders))
        # As they were named too: a path may be written through a link that leads to a folder.
        self._named = tuple(
            dict.fromkeys([*self.paths, *(folder.absolute() for folder in folders)])
        )

    def file(self, name: str) -> Path:
        """A file that is there and may be read, by its path without links.

        Args:
            name: An absolute path, or one that starts from any of the folders.

        Raises:
            InputError: If it is no plain path, lies outside, or is no regular file; also if two of
                the folders have such a file.
        """
        matches = [path for path in self._candidates(name) if _is_regular(path)]
        if not matches:
            raise InputError(
                f"there is no file {_quoted_name(name)} in the folders of the server", _FORM
            )
        if len(matches) > 1:
            raise InputError(
                f"{_quoted_name(name)} is in more than one folder of the server",
                f"name its whole path, such as {matches[0]}",
            )
        return matches[0]

    def new_file(self, name: str) -> Path:
        """A file that may be written, by its path without links.

        Args:
            name: An absolute path, or one that starts from the first of the folders.

        Raises:
            InputError: If it is no plain path, or lies outside.
        """
        path = self._candidates(name)[0]
        # A journal or log that is a link would be written where it leads.
        for neighbour in (path.with_name(f"{path.name}{ending}") for ending in _WRITTEN_BESIDE):
            if neighbour.is_symlink() and not self.holds(neighbour):
                raise InputError(f"{neighbour} leads out of the folders of the server", "remove it")
        return path

    def folder(self, name: str) -> Path:
        """A folder that is there, by its path without links.

        Raises:
            InputError: If it is no plain path, lies outside, or is no folder.
        """
        for path in self._candidates(name):
            if path.is_dir():
                return path
        raise InputError(f"the folders of the server have no folder {_quoted_name(name)}", _FORM)

    def holds(self, path: str | Path) -> bool:
        """Whether a path, with all links followed, lies within the folders."""
        real_path = Path(os.path.realpath(path))
        return any(real_path.is_relative_to(folder) for folder in self.paths)

    def path_in_folder(self, path: str | Path) -> str:
        """A path as it starts from its folder, with slashes, for lists."""
        for folder in self.paths:
            if Path(path).is_relative_to(folder):
                return Path(path).relative_to(folder).as_posix()
        return str(path)

    def files(
        self, suffixes: Sequence[str], limit: int, folder: Path | None = None
    ) -> Iterator[Path]:
        """Files with some suffixes, in order of their names; hidden ones and links are left out.

        Of folders with very many files not all are looked at.

        Args:
            suffixes: Suffixes in lower case.
            limit: Most files.
            folder: One that `folder` gave; None for all.
        """
        visited_count = 0
        for root in self.paths if folder is None else (folder,):
            for parent, names, file_names in os.walk(root):
                visited_count += len(file_names)
                names[:] = sorted(name for name in names if not name.startswith("."))
                for name in sorted(file_names):
                    path = Path(parent, name)
                    is_wanted = path.suffix.lower() in suffixes and not name.startswith(".")
                    if is_wanted and _is_regular(path) and not path.is_symlink():
                        yield path
                        limit -= 1
                        if not limit:
                            return
                if visited_count > _MOST_VISITED:
                    return

    def _candidates(self, name: str) -> list[Path]:
        """The paths that a name may stand for, all within the folders."""
        path = _plain_path(name)
        paths = [path] if path.is_absolute() else [folder / path for folder in self.paths]
        # First by the words alone, so that no server of a network is asked about a path.
        near = [path for path in paths if any(map(path.is_relative_to, self._named))]
        if inside := [Path(os.path.realpath(path)) for path in near if self.holds(path)]:
            return list(dict.fromkeys(inside))
        raise InputError(f"{_quoted_name(name)} lies outside the folders of the server", _FORM)


def _plain_path(name: str) -> Path:
    """A name as a path.

    Raises:
        InputError: If GDAL or the system would take it for anything but a path from where it
            starts downwards.
    """
    if not name.strip() or name != printable(name) or "\n" in name or "\t" in name:
        raise InputError(f"{_quoted_name(name)} is no path", _FORM)
    if "://" in name or name.startswith(("//", "\\\\")):
        raise InputError(f"{_quoted_name(name)} lies on another machine", _FORM)
    is_special = name.lower().lstrip("\\/").startswith("vsi") and name[0] in "\\/"
    if is_special or _DRIVER.match(name) or _FORBIDDEN.search(name):
        raise InputError(f"{_quoted_name(name)} is more than a path", _FORM)
    if name.startswith("~"):
        raise InputError(f"{_quoted_name(name)} starts from a home folder", _FORM)
    path = Path(name)
    # Backslashes part folders on Windows only, yet mean nothing good in a name elsewhere.
    if ".." in path.parts or ".." in PureWindowsPath(name).parts:
        raise InputError(f"{_quoted_name(name)} leads upwards", _FORM)
    if PureWindowsPath(name).drive and not path.is_absolute():
        raise InputError(f"{_quoted_name(name)} starts from a drive", _FORM)
    return path


def _is_regular(path: Path) -> bool:
    """Whether there is such a file; what only looks like one, such as a pipe, would never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _quoted_name(name: str) -> str:
    return repr(name if len(name) <= 200 else f"{name[:197]}...")
