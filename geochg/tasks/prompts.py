"""Prompts that users give, and the clue that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import OptionError
from geochg.files.text_file import read_toml
from geochg.records import Task

CLUE = "clue"
"""Name of the prompt that holds a clue; `{clue}` in it is the clue itself."""

USUAL_CLUE = "Clue: {clue}"
"""Wording of a clue behind a question; the words are those of UniRS (Li et al.)."""

NAMES = (*map(str, (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)), CLUE)
"""Names of the prompts that can be given."""


def read_prompts(path: Path) -> dict[str, str]:
    """Reads a prompts file: TOML with a text for each task.

    Returns:
        The prompts by name, not yet checked; see `check_prompts`.

    Raises:
        InputError: If the file cannot be read or is not TOML.
        OptionError: If it holds prompts that `check_prompts` refuses.
    """
    values = read_toml(path, "prompts", 'write lines such as `caption = "..."`')
    check_prompts(values)
    return {name: " ".join(text.split()) for name, text in values.items()}


def check_prompts(prompts: Mapping[str, Any]) -> None:
    """Refuses prompts that cannot be asked.

    Args:
        prompts: Texts for some of `NAMES`.

    Raises:
        OptionError: If a name is unknown, a text is none or empty, or there is no place for a clue.
    """
    if unknown := sorted(set(prompts) - set(NAMES)):
        raise OptionError(
            f"there is no prompt {', '.join(map(repr, unknown))}", f"prompts: {', '.join(NAMES)}"
        )
    for name, text in prompts.items():
        if not isinstance(text, str):
            raise OptionError(f"the prompt {name!r} is no text", f'write {name} = "..."')
        if not text.strip():
            raise OptionError(f"the prompt {name!r} is empty", "write what is to be asked")
        if name == CLUE and "{clue}" not in text:
            raise OptionError("the prompt 'clue' has no place for the clue", "write {clue} there")


def clue_sentence(clue: str, prompts: Mapping[str, str]) -> str:
    """The sentence behind a question; empty where there is no clue."""
    line = " ".join(clue.split())
    return prompts.get(CLUE, USUAL_CLUE).replace("{clue}", line) if line else ""
