"""Whether a run that was begun is the one that is asked for now: the one place that says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import OptionError

_LONGEST_VALUE = 40
"""Characters of the longest value that is shown; options with longer ones are only named."""


def differences(begun_run: Mapping[str, Any], asked_run: Mapping[str, Any]) -> list[str]:
    """What two runs do not share, by name, with both values where they are short.

    Args:
        begun_run: What a run was begun with, by names that a user understands, as JSON keeps it.
        asked_run: The same of the run that is asked for; tuples count as the lists
            that JSON makes of them. A name that only one of the two has is a difference.
    """
    plain = json.loads(json.dumps(asked_run))
    missing = object()
    return [
        _named_difference(name, begun_run.get(name), plain.get(name))
        for name in sorted(begun_run.keys() | plain.keys())
        if begun_run.get(name, missing) != plain.get(name, missing)
    ]


class AnotherRunError(OptionError):
    """What lies there was begun with other inputs or options than those that are given."""


def refuse_another_run(
    begun_run: Mapping[str, Any], asked_run: Mapping[str, Any], path: Path
) -> None:
    """Does nothing where the run that was begun is the one that is asked for.

    Args:
        begun_run: As of `differences`.
        asked_run: As of `differences`.
        path: The file or folder that holds the run that was begun.

    Raises:
        AnotherRunError: If it is another one; it names what differs.
    """
    if names := differences(begun_run, asked_run):
        raise AnotherRunError(
            f"the run in {path} differs in {', '.join(names)}",
            f"give what it was begun with, or delete {path} to start again",
        )


def _named_difference(name: str, begun_value: object, asked_value: object) -> str:
    values = (begun_value, asked_value)
    if not all(type(value) in (str, int, float) for value in values):
        return name
    texts = [str(value) for value in values]
    is_short = all(0 < len(text) <= _LONGEST_VALUE and text.isprintable() for text in texts)
    return f"{name} ({texts[0]}, not {texts[1]})" if is_short else name
