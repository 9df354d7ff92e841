"""The words of questions: patterns with the names of classes and cells in them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from geochg.records import AskedClass
from geochg.tasks.lexicon import lexicon_of

CLASSES_FIELD, THING_FIELD, THINGS_FIELD, CELL_FIELD = "classes", "thing", "things", "cell"
"""Fields of patterns: all classes; one class, as one or as several; a cell of the 3x3 grid."""

CLASS_FIELDS = {THING_FIELD, THINGS_FIELD}
"""Fields of patterns that are asked once for each class."""

_FIELD = re.compile(r"\{([a-z_]+)\}")


def fields_of(pattern: str) -> set[str]:
    """Names of the fields `{name}` in a pattern."""
    return set(_FIELD.findall(pattern))


def worded_pattern(pattern: str, **values: str) -> str:
    """A pattern with some of its fields replaced; what is filled in is not read again."""
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), pattern)


def with_classes(pattern: str, classes: tuple[AskedClass, ...]) -> str:
    """A pattern with the names of classes in the place of `{classes}`.

    Args:
        pattern: The pattern.
        classes: The classes; roads and buildings where it is empty.
    """
    lexicon = lexicon_of(classes)
    names = [lexicon.countable[name][1] for name in lexicon.asked]
    return worded_pattern(pattern, **{CLASSES_FIELD: in_a_row(names)})


def about_class(pattern: str, name: str, classes: tuple[AskedClass, ...], cell: str = "") -> str:
    """A pattern about one class, and the note on that class behind it.

    Args:
        pattern: The pattern, with the fields `{thing}`, `{things}` and `{cell}`.
        name: The class.
        classes: The classes that are asked about, see `with_classes`.
        cell: A cell of the 3x3 grid, in words.
    """
    singular, plural = lexicon_of(classes).countable[name]
    fields = {THING_FIELD: singular, THINGS_FIELD: plural, CELL_FIELD: cell}
    text = worded_pattern(pattern, **fields)
    return with_notes(text, [item for item in classes if item.name == name])


def with_notes(text: str, classes: Iterable[AskedClass]) -> str:
    """A question and, in parentheses, what is known of its classes beside their names."""
    notes = [note for item in classes if (note := _note(item))]
    return f"{text} ({' '.join(notes)})" if notes else text


def in_a_row(names: list[str]) -> str:
    """Names with commas and an "and" between them."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _note(item: AskedClass) -> str:
    """A sentence such as `solar panels: dark blue panels in rows.`; empty without a description."""
    _, plural = lexicon_of((item,)).countable[item.name]
    return f"{plural}: {item.description.rstrip('.')}." if item.description else ""
