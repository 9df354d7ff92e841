"""The classes of changes and their colours: those of the geochg that the plugin was made with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent.parent / "classes.json"
"""Written by `make plugin-options` from the table in `geochg/classes.py`."""

CLASS_COLORS = {
    str(row["name"]): str(row["color"]) for row in json.loads(_FILE.read_text(encoding="utf-8"))
}
"""Colour of each class, `#rrggbb`, in the order in which legends list the classes."""

CLASSES = tuple(CLASS_COLORS)

COLORS = "geochg/colors"
"""Property of a result: colours of the classes that its user named, as JSON."""

_COLOR = re.compile(r"#[0-9a-f]{6}")


def colors_of_result(result: Mapping[str, Any]) -> dict[str, str]:
    """Colours of the user's classes, of a result as the worker gives it; what is none is left."""
    return _colors_in(result.get("geochg", {}).get("colors"))


def colors_in_property(value: object) -> dict[str, str]:
    """Colours of all classes: geochg's, and over them those that a layer keeps as `COLORS`."""
    try:
        own_colors = json.loads(str(value or "{}"))
    except ValueError:
        own_colors = {}
    return {**CLASS_COLORS, **_colors_in(own_colors)}


def _colors_in(values: object) -> dict[str, str]:
    """The colours among values by name."""
    pairs = values.items() if isinstance(values, dict) else ()
    return {str(name): str(color) for name, color in pairs if _COLOR.fullmatch(str(color))}
