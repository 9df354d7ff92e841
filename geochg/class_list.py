"""The classes that a user names, for models that take any words: their list, and its file."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from geochg.asked_class import AskedClass
from geochg.classes import CLASS_BY_NAME, CLASSES
from geochg.errors import InputError, OptionError
from geochg.files.text_file import read_toml
from geochg.noun_forms import singular_of
from geochg.safety.untrusted_text import cleaned, printable

LONGEST_NAME = 60
"""Most characters of a name or a synonym."""

LONGEST_PHRASE = 200
"""Most characters of a prompt or a template."""

LONGEST_DESCRIPTION = 400
"""Most characters of a description."""

MOST_CLASSES = 200
"""Most classes of a list, synonyms of a class and templates."""

_ENTRY_KEYS = ("name", "synonyms", "description", "color", "prompt", "class")
_FILE_KEYS = ("templates", "complete", "classes")
_HINT = (
    f"each [[classes]] needs a name and may have {', '.join(_ENTRY_KEYS[1:])}; see docs/models.md"
)
_PALETTE = (
    *("#7b3294", "#56b4e9", "#a6761d", "#e7298a", "#1b9e77", "#b2182b", "#66a61e", "#40004b"),
    *("#80cdc1", "#8c510a", "#c51b7d", "#4575b4", "#fdae61", "#01665e", "#f46d43", "#5e4fa2"),
)
"""Colors of classes without one; unlike those of geochg's own."""

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_RESERVED = frozenset("none no yes nothing change changes changed unchanged any all".split())
"""Words that answers hold for themselves."""


@dataclass(frozen=True, slots=True)
class ListedClass:
    """A class as a user names it.

    Attributes:
        name: Its name, unlike that of any other.
        synonyms: Other words for it.
        description: How it looks from above, for prompts; may be empty.
        color: Its color on maps, `#rrggbb`; empty where the user gives none.
        prompt: A noun phrase for it, for texts that images are compared with, such as `a meadow`;
            empty where the user gives none, see `phrase`.
        class_name: The output class that it stands for; mostly its own name.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    description: str = ""
    color: str = ""
    prompt: str = ""
    class_name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_name", self.class_name or self.name)

    @classmethod
    def from_dict(cls, values: object, origin: str) -> Self:
        """Reads one entry of a class file.

        Args:
            values: As TOML gives them.
            origin: The file and the entry, for the messages.

        Raises:
            InputError: If the name is missing, a key is unknown, or a text makes no sense.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"{origin} is no table", _HINT)
        _refuse_unknown(values, _ENTRY_KEYS, origin)
        if "name" not in values:
            raise InputError(f"{origin} has no 'name'", _HINT)
        synonyms = _texts(values, "synonyms", LONGEST_NAME, origin)
        listed_class = cls(
            name=_name(values["name"], "name", origin),
            synonyms=tuple(_name(synonym, "synonyms", origin) for synonym in synonyms),
            description=_without_braces(
                _optional_text(values, "description", LONGEST_DESCRIPTION, origin),
                "description",
                origin,
            ),
            color=_optional_text(values, "color", LONGEST_NAME, origin).lower(),
            prompt=_optional_text(values, "prompt", LONGEST_PHRASE, origin),
            class_name=_name(values["class"], "class", origin) if "class" in values else "",
        )
        if listed_class.color and not _COLOR.fullmatch(listed_class.color):
            raise InputError(
                f"{origin} has the color {cleaned(listed_class.color, 40)!r}",
                'write it as color = "#1f4e79"',
            )
        return listed_class

    @property
    def phrase(self) -> str:
        """The noun phrase that stands for it in texts which images are compared with."""
        return self.prompt or _with_article(self.name)

    def to_dict(self) -> dict[str, Any]:
        """The entry as `from_dict` reads it."""
        values: dict[str, Any] = {"name": self.name}
        if self.synonyms:
            values["synonyms"] = list(self.synonyms)
        texts = {"description": self.description, "color": self.color, "prompt": self.prompt}
        values |= {key: text for key, text in texts.items() if text}
        if self.class_name != self.name:
            values["class"] = self.class_name
        return values


@dataclass(frozen=True, slots=True)
class ClassList:
    """The classes that a user names, in order.

    Names and synonyms are told apart whatever their case and number: "Solar panel" and "solar
    panels" are one.

    Attributes:
        classes: The classes.
        templates: Sentences with `{}` in the place of a class, for models that compare images with
            texts; empty where the user gives none.
        complete: Whether nothing else is to be told apart, by models that otherwise compare the
            classes with kinds of ground of their own.

    Raises:
        InputError: If two classes have a name or a synonym in common.
    """

    classes: tuple[ListedClass, ...]
    templates: tuple[str, ...] = ()
    complete: bool = False

    def __post_init__(self) -> None:
        _refuse_clashes(self.classes, "the class list")

    @classmethod
    def of_names(cls, names: Iterable[str], origin: str = "--classes") -> Self:
        """The classes of some names, without further words about them.

        Args:
            names: The names.
            origin: The option that holds them, for the messages.

        Raises:
            OptionError: If a name is empty, too long or given twice.
        """
        try:
            return cls._of_names(names, origin)
        except InputError as error:
            raise OptionError(error.message, error.hint) from error

    @classmethod
    def _of_names(cls, names: Iterable[str], origin: str) -> Self:
        listed_classes = tuple(ListedClass(_name(name, "name", origin)) for name in names)
        _refuse_too_many(listed_classes, origin)
        _refuse_clashes(listed_classes, origin)
        return cls(listed_classes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], origin: str) -> Self:
        """The classes as a file holds them.

        Args:
            values: As TOML gives them.
            origin: The file, for the messages.

        Raises:
            InputError: If a key is unknown, there is no class, or an entry makes no sense.
        """
        _refuse_unknown(values, _FILE_KEYS, origin)
        entries = values.get("classes", [])
        if not isinstance(entries, list):
            raise InputError(f"'classes' of {origin} is no list of tables", _HINT)
        _refuse_too_many(entries, origin)
        classes = tuple(
            ListedClass.from_dict(entry, f"{origin}, class {number},")
            for number, entry in enumerate(entries, start=1)
        )
        _refuse_clashes(classes, origin)
        _refuse_unknown_outputs(classes, origin)
        templates = _texts(values, "templates", LONGEST_PHRASE, origin)
        for template in templates:
            if template.count("{}") != 1:
                raise InputError(
                    f"the template {template!r} of {origin} has no single place for a class",
                    "write {} there, once",
                )
        complete = values.get("complete", False)
        if not isinstance(complete, bool):
            raise InputError(f"'complete' of {origin} is no true or false", "write true or false")
        return cls(classes, templates, complete)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a class file: TOML with `[[classes]]` and, where wanted, `templates`.

        Raises:
            InputError: If it cannot be read, is not TOML, or makes no sense.
        """
        return cls.from_dict(read_toml(path, "class", _HINT), str(path))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the output classes, each once, in order."""
        return tuple(dict.fromkeys(listed_class.class_name for listed_class in self.classes))

    @property
    def colors(self) -> dict[str, str]:
        """Color of each output class: as given or known, else one that no other has yet."""
        known_colors = {
            name: CLASS_BY_NAME[name].color for name in self.names if name in CLASS_BY_NAME
        }
        given_colors = {
            listed_class.class_name: listed_class.color
            for listed_class in reversed(self.classes)
            if listed_class.color
        }
        colors = known_colors | given_colors
        # Where the user took all of the palette, colors come twice.
        free_colors = itertools.cycle([c for c in _PALETTE if c not in colors.values()] or _PALETTE)
        return {name: colors.get(name) or next(free_colors) for name in self.names}

    def asked_classes(self) -> tuple[AskedClass, ...]:
        """The output classes in the words of questions."""
        return tuple(self._asked_class(name) for name in self.names)

    def _asked_class(self, name: str) -> AskedClass:
        entries = [entry for entry in self.classes if entry.class_name == name]
        words = [_prompt_noun(entry.name) for entry in entries]
        words += [synonym for entry in entries for synonym in entry.synonyms]
        if name in (entry.name for entry in entries) and name in CLASS_BY_NAME:
            words += CLASS_BY_NAME[name].nouns
        descriptions = [entry.description for entry in entries if entry.description]
        nouns = tuple(dict.fromkeys(map(singular_of, words)))
        return AskedClass(name, nouns, "; ".join(descriptions), len(entries))

    def of_outputs(self, names: Iterable[str], origin: str) -> Self:
        """The list with some output classes alone.

        Args:
            names: Their names.
            origin: The file, for the message.

        Raises:
            InputError: If one of them is not among the list's.
        """
        wanted_names = set(names)
        if unknown := sorted(wanted_names - set(self.names)):
            raise InputError(
                f"{origin} has no class {unknown[0]!r}", f"its classes: {', '.join(self.names)}"
            )
        kept_entries = (entry for entry in self.classes if entry.class_name in wanted_names)
        return replace(self, classes=tuple(kept_entries))

    def to_dict(self) -> dict[str, Any]:
        """The list as `from_dict` reads it."""
        values: dict[str, Any] = {"classes": [entry.to_dict() for entry in self.classes]}
        values |= {"templates": list(self.templates)} if self.templates else {}
        return values | ({"complete": True} if self.complete else {})


def _prompt_noun(name: str) -> str:
    """What prompts call a class: `vegetation area` for geochg's `vegetation`."""
    return CLASS_BY_NAME[name].singular if name in CLASS_BY_NAME else name


def folded_name(text: str) -> str:
    """A name by which those that differ in case, width or number of its last word are alike."""
    return singular_of(unicodedata.normalize("NFKC", text).casefold().replace("-", " "))


def _with_article(name: str) -> str:
    if name != singular_of(name):  # of several: solar panels
        return name
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _text(value: object, key: str, longest: int, origin: str) -> str:
    """A text on one line, which can be shown anywhere."""
    if not isinstance(value, str):
        raise InputError(f"{key!r} of {origin.rstrip(',')} is no text", _HINT)
    text = unicodedata.normalize("NFC", " ".join(value.split()))
    if not text:
        raise InputError(f"{key!r} of {origin.rstrip(',')} is empty", "write some words, or none")
    if len(text) > longest:
        raise InputError(
            f"{key!r} of {origin.rstrip(',')} has {len(text)} characters: {cleaned(text, 40)!r}",
            f"write at most {longest}",
        )
    if text != printable(text):
        raise InputError(
            f"{key!r} of {origin.rstrip(',')} has letters that cannot be printed", "write it anew"
        )
    return text


def _name(value: object, key: str, origin: str) -> str:
    """A name or a synonym."""
    name = _text(value, key, LONGEST_NAME, origin)
    if not any(letter.isalpha() for letter in name) or name.casefold() in _RESERVED:
        raise InputError(f"{origin.rstrip(',')} has the {key} {name!r}", "name what is to be seen")
    name = _without_braces(name, key, origin)
    # Names of geochg's own classes are written as in every layer.
    return name.lower() if name.lower() in CLASSES else name


def _without_braces(text: str, key: str, origin: str) -> str:
    """A text that goes into prompts, whose fields stand in braces."""
    if set(text) & set("{}"):
        raise InputError(f"{origin.rstrip(',')} has braces in the {key} {text!r}", "write words")
    return text


def _optional_text(values: Mapping[str, Any], key: str, longest: int, origin: str) -> str:
    return _text(values[key], key, longest, origin) if key in values else ""


def _texts(values: Mapping[str, Any], key: str, longest: int, origin: str) -> tuple[str, ...]:
    texts = values.get(key, [])
    if not isinstance(texts, list) or len(texts) > MOST_CLASSES:
        raise InputError(
            f"{key!r} of {origin.rstrip(',')} is no list of at most {MOST_CLASSES} texts",
            f'write {key} = ["..."]',
        )
    return tuple(_text(text, key, longest, origin) for text in texts)


def _refuse_unknown(values: Mapping[str, Any], keys: Iterable[str], origin: str) -> None:
    if unknown := sorted(map(str, set(values) - set(keys))):
        raise InputError(
            f"{origin} has an unknown key {cleaned(unknown[0], 40)!r}",
            f"known keys: {', '.join(keys)}",
        )


def _refuse_too_many(entries: Sized, origin: str) -> None:
    if not 0 < len(entries) <= MOST_CLASSES:
        raise InputError(
            f"{origin} has {len(entries) or 'no'} class{'es' if entries else ''}",
            f"name from 1 to {MOST_CLASSES}",
        )


def _refuse_unknown_outputs(classes: Iterable[ListedClass], origin: str) -> None:
    """A class may stand for one of geochg's or of the list; anything else is likely a slip."""
    listed_classes = tuple(classes)
    known_names = {*CLASSES, *(listed_class.name for listed_class in listed_classes)}
    for number, listed_class in enumerate(listed_classes, start=1):
        if listed_class.class_name not in known_names:
            raise InputError(
                f"{origin}, class {number}, has the class {listed_class.class_name!r}",
                f"classes: {', '.join(CLASSES)}, or a name of the file",
            )


def _refuse_clashes(classes: tuple[ListedClass, ...], origin: str) -> None:
    """Refuses words that would mean two classes."""
    owners: dict[str, tuple[int, str]] = {}
    for index, word in _words(classes):
        owner, known_word = owners.setdefault(folded_name(word), (index, word))
        if owner != index:
            alike = "twice" if word == known_word else f"and {word!r}, which mean the same"
            raise InputError(f"{origin} names {known_word!r} {alike}", "keep one of them")


def _words(classes: tuple[ListedClass, ...]) -> Iterator[tuple[int, str]]:
    """Names and synonyms with the index of their class."""
    for index, listed_class in enumerate(classes):
        for word in (listed_class.name, *listed_class.synonyms):
            yield index, word
