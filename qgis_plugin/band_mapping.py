"""The option `bands` as a mapping from colours to the band of each date: `red=1,nir=4/5`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

ROLES = ("red", "green", "blue", "nir")
"""The colours that the form asks for, as the worker calls them."""

_TOKEN = re.compile(rf"({'|'.join(ROLES)})=(\d+)(?:/(\d+))?", re.IGNORECASE)
_TWO_DATES = re.compile(r"(?:[^=]*=)?([^/=]+)/([^/=]+)")

_CODES = {"b02": "blue", "b03": "green", "b04": "red", "b08": "nir"}
_WORDS = (
    ("nir", r"nir\d?|near[ _-]*infra[ _-]*red|nahes infrarot"),
    ("red", r"red|rot"),
    ("green", r"green|grün"),
    ("blue", r"blue|blau"),
)
_OTHERS = re.compile(r"edge|swir|short|thermal|infra|narrow", re.IGNORECASE)
_PLAIN = re.compile(r"band[ _]*\d+( \((gray|grey|undefined)\))?", re.IGNORECASE)


def mapped_bands(text: str) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """The band of each date by colour, and what else the option says.

    Args:
        text: The option as it is typed.
    """
    bands: dict[str, tuple[int, int]] = {}
    others = []
    for token in filter(None, (part.strip() for part in text.split(","))):
        match = _TOKEN.fullmatch(token)
        if match is None:
            others.append(token)
        else:
            before = int(match[2])
            bands[match[1].lower()] = before, int(match[3] or before)
    return bands, others


def bands_text(bands: Mapping[str, tuple[int, int]], others: Sequence[str] = ()) -> str:
    """The option that stands for a mapping, as it is typed."""
    tokens = [
        f"{role}={before}" if before == after else f"{role}={before}/{after}"
        for role in ROLES
        if role in bands
        for before, after in [bands[role]]
    ]
    return ",".join([*tokens, *others])


def swapped_bands(text: str) -> str:
    """The option for when the dates change places."""
    tokens = []
    for token in (part.strip() for part in text.split(",")):
        match = _TWO_DATES.fullmatch(token)
        head = token.rpartition("=")[0]
        pair = f"{match[2]}/{match[1]}" if match else ""
        tokens.append((f"{head}={pair}" if head else pair) if match else token)
    return ",".join(tokens)


def is_named(names: Sequence[str]) -> bool:
    """Whether an image says of any band what it shows."""
    return any(_PLAIN.fullmatch(name.strip()) is None for name in names)


def guessed_bands(names: Sequence[str]) -> dict[str, int]:
    """The band that shows each colour, as far as the names of an image's bands tell.

    Of three or four bands without names the first three are red, green and blue.

    Args:
        names: The names as QGIS shows them, in the order of the bands.
    """
    if not is_named(names):
        return dict(zip(ROLES, (1, 2, 3))) if len(names) in (3, 4) else {}
    guess: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        role = _role_of(name)
        if role:
            guess.setdefault(role, number)
    return guess


def _role_of(name: str) -> str:
    text = name.lower()
    for code in re.findall(r"\bb\d\d\b", text):
        if code in _CODES:
            return _CODES[code]
    words = text.replace("_", " ")
    for role, pattern in _WORDS:
        if re.search(rf"(?<![^\W\d])({pattern})(?![^\W\d])", words):
            return "" if role != "nir" and _OTHERS.search(words) else role
    return ""
