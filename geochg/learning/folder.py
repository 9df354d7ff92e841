"""The folder of a head: written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from geochg.errors import InputError, RunError
from geochg.files.new_files import check_file_name, make_folder_aside, write_aside
from geochg.learning.card import CARD_FILE, GRAPH_FILE, README_FILE
from geochg.learning.training import TrainedHead
from geochg.safety.untrusted_text import cleaned

_FILES = {GRAPH_FILE, CARD_FILE, README_FILE}


def check_head_folder(folder: Path) -> None:
    """Refuses a folder that holds anything but a head.

    Raises:
        InputError: If it does, or could not be made.
    """
    check_file_name(folder)
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir() if path.name not in _FILES)
        if others:
            raise InputError(
                f"{folder} holds other files than geochg learn writes, such as {others[0]}",
                "name a new folder",
            )
    elif folder.exists():
        raise InputError(f"{folder} is a file", "name a new folder")
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise InputError(f"the folder {parent} does not exist", "create it first")


def write_head(folder: Path, trained: TrainedHead) -> None:
    """Writes the folder of a head, whole or not at all.

    Raises:
        RunError: If it cannot be written.
    """
    contents = {
        GRAPH_FILE: trained.graph,
        README_FILE: trained.card.readme().encode(),
        CARD_FILE: trained.card.to_json().encode(),
    }
    try:
        if folder.is_dir() and any(folder.iterdir()):
            # A card that was written last does not fit a graph of another head, and is refused.
            for name, content in contents.items():
                with write_aside(folder / name) as path:
                    path.write_bytes(content)
            return
        with make_folder_aside(folder) as partial:
            for name, content in contents.items():
                (partial / name).write_bytes(content)
    except OSError as error:
        raise RunError(
            f"cannot make {folder}: {cleaned(error)}", "make room, or name another folder"
        ) from error
