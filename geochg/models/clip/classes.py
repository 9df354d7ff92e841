"""The classes by which each date of a place is classified."""

import tomllib
from importlib.resources import files
from pathlib import Path

from geochg.class_list import ClassList, ListedClass, folded_name
from geochg.classes import CHANGE_CLASSES
from geochg.errors import InputError

USUAL_FILE = "classes.toml"
"""In this package: the classes used where the user names none."""

SHIPPED = {"thesis": "thesis.toml"}
"""Further files in this package, by the name that is given in place of a path."""


def usual_classes() -> ClassList:
    """The classes that come with geochg.

    A class of change to which none of the file's belongs is looked for by its captions' nouns.
    """
    class_list = _shipped(USUAL_FILE)
    names = {item.class_name for item in class_list.classes}
    added_classes = tuple(
        ListedClass(noun, class_name=row.name)
        for row in CHANGE_CLASSES
        if row.name not in names
        for noun in row.caption_nouns
    )
    added_names = {folded_name(item.name) for item in added_classes}
    kept_classes = (
        item for item in class_list.classes if folded_name(item.name) not in added_names
    )
    return ClassList((*kept_classes, *added_classes), class_list.templates)


def read_classes(source: str) -> ClassList:
    """The classes of a file.

    Args:
        source: A path, or a name of `SHIPPED`.

    Raises:
        InputError: If it cannot be read or makes no sense, or has fewer than two classes, which
            leave nothing to tell apart.
    """
    path = Path(source).expanduser()
    if path.name in SHIPPED and not path.exists():
        return _shipped(SHIPPED[path.name])
    class_list = ClassList.read(path)
    if len(class_list.classes) < 2:
        raise InputError(f"{path} has fewer than two classes", "name what else may be there")
    phrases = [item.phrase for item in class_list.classes]
    for phrase in phrases:
        if phrases.count(phrase) > 1:
            raise InputError(
                f"{path} has the prompt {phrase!r} {phrases.count(phrase)} times",
                "keep one of them",
            )
    return class_list


def _shipped(name: str) -> ClassList:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return ClassList.from_dict(tomllib.loads(text), name)
