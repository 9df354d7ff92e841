"""Questions in one's own words, and the clue that goes with them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import InputError, OptionError
from geochg.records import Task
from geochg.tasks import SPECS, TURN_BREAK

CLUE = "clue"
"""Name under which the wording of a clue is given; `{clue}` in it is the clue itself."""

USUAL_CLUE = "Clue: {clue}"
"""How a clue is put behind a question (Li et al., UniRS)."""

NAMES = (*(str(task) for task in Task if task is not Task.QUESTION), CLUE)
"""What can be worded."""


def read_wording(path: Path) -> dict[str, str]:
    """Reads a prompts file: TOML with a text for each task, three for the dialogue.

    Returns:
        As `check_wording` takes it.

    Raises:
        InputError: If the file cannot be read or is not TOML.
        OptionError: As `check_wording`.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot read the prompts file {path}: {error.strerror}", "check the path"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a TOML file: {error}", 'write lines such as `caption = "..."`'
        ) from error
    found = {name: _text(name, value) for name, value in values.items()}
    check_wording(found)
    return found


def check_wording(wording: Mapping[str, str]) -> None:
    """Refuses what cannot be asked.

    Args:
        wording: A text for some of `NAMES`; that of the dialogue has a turn a line.

    Raises:
        OptionError: If a name is unknown, a text empty, a dialogue not of three turns, or a clue
            without its place.
    """
    if unknown := sorted(set(wording) - set(NAMES)):
        raise OptionError(
            f"there is no prompt {', '.join(map(repr, unknown))}", f"prompts: {', '.join(NAMES)}"
        )
    for name, text in wording.items():
        if not isinstance(text, str) or not text.strip():
            raise OptionError(f"the prompt {name!r} is empty", "write what is to be asked")
        if name == CLUE:
            if "{clue}" not in text:
                raise OptionError("the prompt 'clue' has no place for it", "write {clue} there")
            continue
        wanted = len(SPECS[Task(name)].prompts)
        if len(text.split(TURN_BREAK)) != wanted:
            raise OptionError(
                f"the prompt {name!r} has not {wanted} lines",
                'write a dialogue as three texts: dialogue = ["...", "...", "..."]'
                if wanted > 1
                else "write it on one line",
            )


def clue_sentence(clue: str, wording: Mapping[str, str]) -> str:
    """What goes behind a question; nothing where there is no clue."""
    line = " ".join(clue.split())
    return wording.get(CLUE, USUAL_CLUE).replace("{clue}", line) if line else ""


def _text(name: str, value: Any) -> str:  # noqa: ANN401
    """One text, from several where they are the turns of a dialogue."""
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise OptionError(f"the prompt {name!r} is no text", f'write {name} = "..."')
    return TURN_BREAK.join(" ".join(text.split()) for text in texts)
