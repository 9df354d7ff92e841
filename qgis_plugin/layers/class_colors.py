"""The classes of changes and their colours: those of the geochg that the plugin was made with."""

from __future__ import annotations

import json
from pathlib import Path

_FILE = Path(__file__).parent.parent / "classes.json"
"""Written by `make plugin-options` from the table in `geochg/classes.py`."""

CLASS_COLORS = {
    str(row["name"]): str(row["color"]) for row in json.loads(_FILE.read_text(encoding="utf-8"))
}
"""Colour of each class, `#rrggbb`, in the order in which legends list the classes."""

CLASSES = tuple(CLASS_COLORS)
