"""Prompts that users give, and the clue that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import OptionError
from geochg.files.text_file import read_toml
from geochg.records import Task
from geochg.safety.untrusted_text import cleaned
from geochg.tasks.patterns import CELL_FIELD, CLASS_FIELDS, CLASSES_FIELD, fields_of

CLUE = "clue"
"""Name of the prompt that holds a clue; `{clue}` in it is the clue itself."""

USUAL_CLUE = "Clue: {clue}"
"""Wording of a clue behind a question; the words are those of UniRS (Li et al.)."""

NAMES = (*map(str, (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)), CLUE)
"""Names of the prompts that can be given."""

_FIELDS = {
    str(Task.PRESENCE): {CLASSES_FIELD, *CLASS_FIELDS},  # by class about one image only
    str(Task.LOCATE): {CLASSES_FIELD, *CLASS_FIELDS, CELL_FIELD},
    str(Task.COUNT): {CLASSES_FIELD, *CLASS_FIELDS},
    str(Task.CAPTION): {CLASSES_FIELD},
    CLUE: {CLUE},
}
"""Fields that may stand in each prompt."""


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
        _check_fields(name, text)
        if name == CLUE and "{clue}" not in text:
            raise OptionError("the prompt 'clue' has no place for the clue", "write {clue} there")


def _check_fields(name: str, text: str) -> None:
    """Refuses fields that mean nothing in a prompt."""
    fields = fields_of(text)
    if unknown := sorted(fields - _FIELDS[name]):
        raise OptionError(
            f"the prompt {name!r} has an unknown field {{{cleaned(unknown[0], 40)}}}",
            f"fields: {', '.join(f'{{{field}}}' for field in sorted(_FIELDS[name]))}",
        )
    if CELL_FIELD in fields and not fields & CLASS_FIELDS:
        raise OptionError(
            f"the prompt {name!r} asks about one cell, but about no class",
            "write {thing} or {things} where the class is to stand",
        )


def clue_sentence(clue: str, prompts: Mapping[str, str]) -> str:
    """The sentence behind a question; empty where there is no clue."""
    line = " ".join(clue.split())
    return prompts.get(CLUE, USUAL_CLUE).replace("{clue}", line) if line else ""
