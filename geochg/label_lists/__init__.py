"""Lists of labels that come with geochg, as class files; see `geochg.class_list`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

SHIPPED_LISTS = ("mai", "rsicd", "rsscn7", "merged")
"""Names that stand for the lists: of MAI, RSICD and RSSCN7, and of all three merged."""


def shipped_list(name: str) -> Path:
    """The class file of a list that comes with geochg."""
    return Path(str(files(__package__).joinpath(f"{name}.toml")))


def list_path(text: str) -> Path:
    """The class file that a text names: a path, or one of `SHIPPED_LISTS` where no file has it."""
    path = Path(text).expanduser()
    return shipped_list(text) if text in SHIPPED_LISTS and not path.exists() else path
