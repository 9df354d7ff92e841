"""Options of the analysis as the cells of a table hold them."""

from __future__ import annotations

from functools import cache
from typing import Any

from geochg.errors import OptionError
from geochg.files.text_file import parsed_json
from geochg.options import AnalyzeOptions, OptionSpec
from geochg.safety.untrusted_text import cleaned

OF_THE_WHOLE = frozenset({"resume", "overwrite", "layer", "tiles_layer"})
"""Options of `analyze` that no single pair of a list can have."""

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


@cache
def _specs() -> dict[str, OptionSpec]:
    return {
        spec.name: spec
        for spec in AnalyzeOptions.specs()
        if spec.facts.commands is None
        or "analyze" in spec.facts.commands
        or not spec.facts.commands
        if spec.name not in OF_THE_WHOLE
    }


@cache
def option_names() -> dict[str, str]:
    """The option that each name of a column stands for: `tile_size_px`, `tile-size`, `tile size`.

    Names are in lower case.
    """
    names: dict[str, str] = {}
    for name, spec in _specs().items():
        flag = spec.flag.removeprefix("--")
        names |= dict.fromkeys((name, flag, flag.replace("-", " "), flag.replace("-", "_")), name)
    return names


def option_of_cell(name: str, text: str) -> Any:  # noqa: ANN401
    """The value of an option in a cell, which is not empty.

    Args:
        name: Name of the option.
        text: The cell: a list has commas between its values, an object is JSON.

    Raises:
        OptionError: If the text is no value of its type.
    """
    kind = _specs()[name].type
    try:
        if kind == "boolean":
            if text.lower() not in (*_TRUE, *_FALSE):
                raise ValueError
            return text.lower() in _TRUE
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        if kind == "object":
            return parsed_json(text)
    except ValueError:
        words = {"boolean": "true or false", "integer": "a whole number", "number": "a number"}
        raise OptionError(
            f"{name} cannot be {cleaned(text, 40)!r}",
            f"write {words.get(kind, 'an object of JSON')}",
        ) from None
    if kind == "array":
        return [part.strip() for part in text.split(",")]
    return text
