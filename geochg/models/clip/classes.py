"""The classes by which each date of a place is classified."""

import tomllib
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from geochg.classes import CHANGE_CLASSES, CLASSES
from geochg.errors import InputError
from geochg.files.text_file import read_toml

USUAL_FILE = "classes.toml"
"""In this package: the classes used where the user names none."""

_KEYS = ("name", "prompt", "class")
_HINT = f"each [[classes]] needs {', '.join(_KEYS)}; see docs/models.md"


@dataclass(frozen=True, slots=True)
class LandClass:
    """A kind of ground that a picture from above may show.

    Attributes:
        name: Its name, unlike that of any other.
        prompt: A noun phrase with its article, such as `a meadow`; stands in prompts and captions.
        class_name: One of `geochg.classes.CLASSES`, to which it belongs.
    """

    name: str
    prompt: str
    class_name: str

    @classmethod
    def from_dict(cls, values: object, origin: str) -> Self:
        """Reads one entry of a classes file.

        Args:
            values: As TOML gives them.
            origin: The file and the entry, for the messages.

        Raises:
            InputError: If a key is missing or unknown, a text is empty, or there is no such class.
        """
        if not isinstance(values, dict):
            raise InputError(f"{origin} is no table", _HINT)
        for key in _KEYS:
            if not isinstance(values.get(key), str) or not values[key].strip():
                raise InputError(f"{origin} has no {key!r}", _HINT)
            if not values[key].isprintable():
                raise InputError(f"{origin} has letters in {key!r} that cannot be printed", _HINT)
        if unknown := sorted(map(str, set(values) - set(_KEYS))):
            raise InputError(f"{origin} has an unknown key {unknown[0]!r}", _HINT)
        if values["class"] not in CLASSES:
            raise InputError(
                f"{origin} has the class {values['class']!r}", f"classes: {', '.join(CLASSES)}"
            )
        name, prompt = (" ".join(values[key].split()) for key in ("name", "prompt"))
        return cls(name, prompt, values["class"])


def usual_classes() -> tuple[LandClass, ...]:
    """The classes that come with geochg.

    A class of change to which none of the file's belongs is looked for by its captions' nouns.
    """
    text = files(__package__).joinpath(USUAL_FILE).read_text(encoding="utf-8")
    classes = _classes(tomllib.loads(text), USUAL_FILE)
    names = {item.class_name for item in classes}
    return classes + tuple(
        LandClass(noun, f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}", row.name)
        for row in CHANGE_CLASSES
        if row.name not in names
        for noun in row.caption_nouns
    )


def read_classes(path: Path) -> tuple[LandClass, ...]:
    """The classes of a file.

    Raises:
        InputError: If it cannot be read, is not TOML, has fewer than two classes or one twice, or
            an entry makes no sense.
    """
    values = read_toml(path, "classes", _HINT)
    return _classes(values, str(path))


def _classes(values: dict[str, Any], origin: str) -> tuple[LandClass, ...]:
    if unknown := sorted(set(values) - {"classes"}):
        raise InputError(f"{origin} has an unknown key {unknown[0]!r}", _HINT)
    entries = values.get("classes", [])
    if not isinstance(entries, list) or len(entries) < 2:
        raise InputError(f"{origin} has fewer than two classes", _HINT)
    classes = tuple(
        LandClass.from_dict(entry, f"{origin}, class {number},")
        for number, entry in enumerate(entries, start=1)
    )
    for key in ("name", "prompt"):
        value, times = Counter(getattr(item, key) for item in classes).most_common(1)[0]
        if times > 1:
            raise InputError(f"{origin} has the {key} {value!r} {times} times", "keep one of them")
    return classes
