"""Coordinate reference systems in JSON that are to be fetched, found without reading it whole.

GDAL takes more for JSON than Python does: comments, single quotes, one object after another.
"""

from __future__ import annotations

import json
import re

LONGEST_SYSTEM = 2**16
"""Characters of the longest CRS that is looked through; a longer one is none to be trusted."""

_SYSTEM = re.compile(r"""["'](?:c|\\u00[46]3)(?:r|\\u00[57]2)(?:s|\\u00[57]3)["']""", re.IGNORECASE)
_TOKEN = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|/\*.*?\*/|//[^\n]*|[{}\[\]:,]""", re.DOTALL
)


def is_linked_system(system: object) -> bool:
    """Whether a CRS in GeoJSON, of a collection or of any shape in it, is one to be fetched."""
    if not isinstance(system, dict):
        return False
    kinds = (str(value).lower() for name, value in system.items() if name.lower() == "type")
    return any(kind in ("link", "url") for kind in kinds)


def has_linked_system(text: str) -> bool:
    """Whether a part of a text in JSON holds a CRS that is to be fetched."""
    return any(_is_link_at(text, match.end()) for match in _SYSTEM.finditer(text))


def _is_link_at(text: str, start: int) -> bool:
    """Whether what stands from `start` on, behind `"crs"`, is an object whose `type` is a link."""
    depth, name, last = 0, "", ""
    for match in _TOKEN.finditer(text, start, start + LONGEST_SYSTEM):
        token = match[0]
        if token.startswith("/"):
            continue
        if not last and token != ":":
            return False
        if last == ":" and not depth and token != "{":
            return False
        depth += (token in "{[") - (token in "}]")
        is_member = last == ":" and depth == 1 and _plain(name) == "type"
        if is_member and _plain(token) in ("link", "url"):
            return True
        if last and depth <= 0:
            return False
        name = name if token == ":" else token
        last = token
    return len(text) - start >= LONGEST_SYSTEM


def _plain(token: str) -> str:
    """A string without its quotes and escapes, in lower case."""
    try:
        return str(json.loads(f'"{token[1:-1]}"')).lower()
    except ValueError:
        return token[1:-1].lower()
