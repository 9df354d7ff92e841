"""Questions in one's own words, and the clue that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import OptionError
from geochg.files.text_file import read_toml
from geochg.records import Task

CLUE = "clue"
"""Name under which the wording of a clue is given; `{clue}` in it is the clue itself."""

USUAL_CLUE = "Clue: {clue}"
"""How a clue is put behind a question; the words are those of UniRS (Li et al.)."""

NAMES = (*map(str, (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)), CLUE)
"""What can be worded."""


def read_prompts(path: Path) -> dict[str, str]:
    """Reads a prompts file: TOML with a text for each task.

    Returns:
        As `check_wording` takes it.

    Raises:
        InputError: If the file cannot be read or is not TOML.
        OptionError: As `check_wording`.
    """
    values = read_toml(path, "prompts", 'write lines such as `caption = "..."`')
    check_prompts(values)
    return {name: " ".join(text.split()) for name, text in values.items()}


def check_prompts(wording: Mapping[str, Any]) -> None:
    """Refuses what cannot be asked.

    Args:
        wording: A text for some of `NAMES`.

    Raises:
        OptionError: If a name is unknown, a text is none or empty, or a clue has no place.
    """
    if unknown := sorted(set(wording) - set(NAMES)):
        raise OptionError(
            f"there is no prompt {', '.join(map(repr, unknown))}", f"prompts: {', '.join(NAMES)}"
        )
    for name, text in wording.items():
        if not isinstance(text, str):
            raise OptionError(f"the prompt {name!r} is no text", f'write {name} = "..."')
        if not text.strip():
            raise OptionError(f"the prompt {name!r} is empty", "write what is to be asked")
        if name == CLUE and "{clue}" not in text:
            raise OptionError("the prompt 'clue' has no place for it", "write {clue} there")


def clue_sentence(clue: str, wording: Mapping[str, str]) -> str:
    """What goes behind a question; nothing where there is no clue."""
    line = " ".join(clue.split())
    return wording.get(CLUE, USUAL_CLUE).replace("{clue}", line) if line else ""
