"""Options as frozen dataclasses whose fields say what they are.

Options round-trip JSON and TOML and refuse unknown keys. A field made by `option` carries its help,
unit, range and so on as metadata; the command line, the worker's `hello` and the QGIS plugin build
their own fields from that (`Options.specs`).
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, Self, TypeVar

from geochg.errors import InputError, OptionError
from geochg.files.text_file import read_toml
from geochg.safety.untrusted_text import cleaned

VERSION_KEY = "geochg_version"
"""Key under which saved options name the version that wrote them."""

_LONG = 10**30  # whole numbers from here on are none that anybody means
_METADATA_KEY = "geochg_option"

_UNIT_ENDINGS = {"px": "_px", "m²": "_m2", "m": "_m", "s": "_s", "°": "_deg"}
"""Endings of fields that the command line leaves out, by unit."""

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", tuple: "array", Mapping: "object"}
"""JSON's names of the types of fields; everything else is a string."""

_TYPES_IN_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'text, such as "abc"',
    Mapping: "a table of names and values",
}
_LISTS_IN_WORDS = {str: 'a list of texts, such as ["0", "1"]', float: "a list of numbers"}
"""What fields take, as messages say it."""

T = TypeVar("T")


@dataclass(frozen=True)
class OptionFacts:
    """What a field of options says of itself beside name, type and default.

    Attributes:
        help: What it is, in whole sentences, for the help page and for tool tips.
        unit: Unit of its numbers (`px`, `m²`); the name of the field ends in it.
        least: Its least value, or that of each of several.
        greatest: Its greatest value, likewise.
        usual: What the default comes to, in words, where None or nothing stands for something.
        metavar: How a value is written, for the help page.
        flag: Name on the command line, where it is not the field's without the unit.
        commands: Commands of `geochg` that take it; None for all that take options of its class,
            empty where commands word an option of their own for it.
        shapes_result: Whether it changes the result, or only how a run gets there.
        is_saved: Whether it goes into a saved file; what belongs to a single run does not.
        is_path: Whether it is the path of a file or folder.
    """

    help: str
    unit: str = ""
    least: float | None = None
    greatest: float | None = None
    usual: str = ""
    metavar: str = ""
    flag: str = ""
    commands: tuple[str, ...] | None = None
    shapes_result: bool = True
    is_saved: bool = True
    is_path: bool = False


@dataclass(frozen=True)
class OptionSpec:
    """An option as a user interface needs to know it.

    Attributes:
        name: Name of the field.
        type: JSON's name of its type: `boolean`, `integer`, `number`, `string`, `array` of
            strings, or `object`.
        default: Default as a plain JSON value.
        choices: Values that it may take; empty for any.
        facts: What the field says of itself.
    """

    name: str
    type: str
    default: Any
    choices: tuple[str, ...]
    facts: OptionFacts

    @property
    def label(self) -> str:
        """Its name in words, without the unit."""
        return self.name.removesuffix(_UNIT_ENDINGS.get(self.facts.unit, "")).replace("_", " ")

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return self.facts.flag or f"--{self.label.replace(' ', '-')}"

    def to_dict(self) -> dict[str, Any]:
        """The option as plain JSON values, for programs that build a field of it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "default": self.default,
            "unit": self.facts.unit,
            "least": self.facts.least,
            "greatest": self.facts.greatest,
            "choices": list(self.choices),
            "usual": self.facts.usual,
            "help": self.facts.help,
            "commands": None if self.facts.commands is None else list(self.facts.commands),
        }


def option(default: T, help: str, **facts: Any) -> T:  # noqa: ANN401
    """A field of a class of options.

    Args:
        default: Its default; mappings are copied.
        help: What it is, in whole sentences.
        **facts: The other attributes of `OptionFacts`.
    """
    metadata = {_METADATA_KEY: OptionFacts(help, **facts)}
    if isinstance(default, Mapping):
        new_field: Any = dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    else:
        new_field = dataclasses.field(default=default, metadata=metadata)
    # Declared as what type checkers see in a class of options: a value of the field's type.
    return typing.cast("T", new_field)


def option_like(kind: type[Options], name: str, **facts: Any) -> Any:  # noqa: ANN401
    """A field as another class of options has it, but for the facts that are given."""
    spec = next(spec for spec in kind.specs() if spec.name == name)
    return option(spec.default, **{**dataclasses.asdict(spec.facts), **facts})


@dataclass(frozen=True)
class Options:
    """Base of all option classes; subclasses add typed fields with defaults."""

    def __post_init__(self) -> None:
        """Checks types and numbers; to be called by those of subclasses.

        Raises:
            OptionError: If a value has another type than its field, or a number is not finite or
                beyond its bounds.
        """
        for name, kind in _field_types(typing.cast("Hashable", type(self))).items():
            # Frozen fields are set once more: 2 becomes 2.0, a list a tuple, "off" a choice.
            object.__setattr__(self, name, typed_value(name, getattr(self, name), kind))
        for name, (least, greatest) in self.bounds().items():
            field_value = getattr(self, name)
            for value in field_value if isinstance(field_value, tuple) else (field_value,):
                # NaN lies nowhere.
                if value is not None and not least <= value <= greatest:
                    raise OptionError(
                        self._in_words(name, value),
                        f"it must lie between {least:,.15g} and {greatest:,.15g}",
                    )

    def _in_words(self, name: str, value: float) -> str:
        """A number with what it is and its unit: `tile size 0 px`."""
        spec = next(spec for spec in self.specs() if spec.name == name)
        return f"{self.written_name(spec)} {_number_in_words(value)} {spec.facts.unit}".strip()

    @classmethod
    def written_name(cls, spec: OptionSpec) -> str:
        """The name of an option in messages: the words of its flag."""
        return spec.label

    @classmethod
    def specs(cls) -> tuple[OptionSpec, ...]:
        """The specifications of the fields that `option` made, in their order."""
        return _specs(typing.cast("Hashable", cls))

    @classmethod
    def bounds(cls) -> dict[str, tuple[float, float]]:
        """The least and the greatest value of each number, or of each of several, in its unit."""
        facts = {spec.name: spec.facts for spec in cls.specs()}
        return {
            name: (fact.least, fact.greatest)
            for name, fact in facts.items()
            if fact.least is not None and fact.greatest is not None
        }

    @classmethod
    def how_it_runs(cls) -> frozenset[str]:
        """The fields that do not change the result."""
        return frozenset(spec.name for spec in cls.specs() if not spec.facts.shapes_result)

    def to_dict(self) -> dict[str, Any]:
        """The options as plain JSON values, without the version."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def shaping(self) -> dict[str, Any]:
        """The options that shape the result, as plain JSON values."""
        return {
            key: value for key, value in self.to_dict().items() if key not in self.how_it_runs()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` or a saved file gives.

        Raises:
            OptionError: If a key is unknown or a value has the wrong type.
        """
        given_values = {key: value for key, value in values.items() if key != VERSION_KEY}
        known_keys = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(given_values) - known_keys):
            raise OptionError(
                f"unknown option {', '.join(map(repr, unknown))}",
                f"known options: {', '.join(sorted(known_keys)) or 'none'}",
            )
        types = _field_types(typing.cast("Hashable", cls))
        return cls(
            **{key: typed_value(key, value, types[key]) for key, value in given_values.items()}
        )

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Reads an options file.

        Raises:
            InputError: If the file cannot be read or is not TOML.
            OptionError: As `from_dict`.
        """
        hint = "write one with --save-options and change that"
        return cls.from_dict(read_toml(path, "options", hint))

    def to_toml(self, path: Path) -> None:
        """Writes an options file that `from_toml` reads; options that are None are left out.

        Raises:
            InputError: If the file cannot be written.
        """
        import tomli_w

        from geochg import __version__

        unsaved = {spec.name for spec in self.specs() if not spec.facts.is_saved}
        values = {
            key: value
            for key, value in self.to_dict().items()
            if value is not None and key not in unsaved
        }
        try:
            path.write_text(tomli_w.dumps({VERSION_KEY: __version__, **values}), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write the options file {path}: {error.strerror}", "choose another path"
            ) from error


@dataclass(frozen=True)
class ModelOptions(Options):
    """Base of the options of backends, which are given by the names of their fields."""

    @classmethod
    def written_name(cls, spec: OptionSpec) -> str:
        """What messages call an option: as `--model-option NAME=VALUE` takes it."""
        return spec.name


@cache
def _field_types(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@cache
def _specs(kind: Any) -> tuple[OptionSpec, ...]:  # noqa: ANN401
    types = _field_types(kind)
    return tuple(
        _spec(field, types[field.name])
        for field in dataclasses.fields(kind)
        if _METADATA_KEY in field.metadata
    )


def _spec(field: dataclasses.Field[Any], hint: Any) -> OptionSpec:  # noqa: ANN401
    """What is known of a field, of its type hint and its metadata."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    is_choice = isinstance(hint, type) and issubclass(hint, StrEnum)
    return OptionSpec(
        field.name,
        _JSON_TYPES.get(typing.get_origin(hint) or hint, "string"),
        {} if field.default is dataclasses.MISSING else _plain(field.default),
        tuple(str(member) for member in hint) if is_choice else (),
        field.metadata[_METADATA_KEY],
    )


def _number_in_words(value: float) -> str:
    """A number; Python writes none of thousands of digits, and nobody reads them."""
    return "of very many digits" if isinstance(value, int) and abs(value) >= _LONG else str(value)


def _check_text(key: str, value: str) -> None:
    """Refuses what no file, CRS or question can hold: a NUL or half of a character."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise OptionError(f"option {key!r} holds half of a character", "write it anew") from None
    if "\0" in value:
        raise OptionError(f"option {key!r} holds a NUL character", "write it anew")


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def typed_value(key: str, value: Any, expected_type: Any) -> Any:  # noqa: ANN401
    """Brings a JSON value to the type of a field.

    Args:
        key: The field's name, for the message.
        value: What stands there.
        expected_type: Its type.

    Raises:
        OptionError: If it has another.
    """
    origin, arguments = typing.get_origin(expected_type), typing.get_args(expected_type)
    if origin in (typing.Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        expected_type = next(argument for argument in arguments if argument is not type(None))
        return typed_value(key, value, expected_type)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(typed_value(key, item, arguments[0]) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        if arguments[1] is str:
            return {name: typed_value(f"{key}.{name}", item, str) for name, item in value.items()}
        return dict(value)
    if (
        isinstance(expected_type, type)
        and issubclass(expected_type, StrEnum)
        and value in list(expected_type)
    ):
        return expected_type(value)
    # Numbers of numpy are numbers too.
    if expected_type is float and isinstance(value, Real) and not isinstance(value, bool):
        if (isinstance(value, int) and abs(value) >= _LONG) or not math.isfinite(value):
            raise OptionError(_in_words(key, value), "it must be a finite number")
        return float(value)
    if expected_type is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(expected_type, type) and type(value) is expected_type:
        if isinstance(value, str):
            _check_text(key, value)
        return value
    shown_value = _number_in_words(value) if isinstance(value, int) else cleaned(repr(value), 80)
    raise OptionError(
        f"option {key!r} cannot be {shown_value}", f"it takes {_type_in_words(expected_type)}"
    )


def _in_words(key: str, value: Any) -> str:  # noqa: ANN401
    """A number with what it is and its unit, by the ending of its field: `tile size 0 px`."""
    for unit, ending in _UNIT_ENDINGS.items():
        if key.endswith(ending):
            return f"{key.removesuffix(ending).replace('_', ' ')} {_number_in_words(value)} {unit}"
    return f"{key.replace('_', ' ')} {_number_in_words(value)}"


def _type_in_words(kind: Any) -> str:  # noqa: ANN401
    """What a field of a type takes, for those who know no Python."""
    if typing.get_origin(kind) is tuple:
        return _LISTS_IN_WORDS.get(typing.get_args(kind)[0], "a list")
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        *others, last = kind
        return f"{', '.join(others)} or {last}"
    return _TYPES_IN_WORDS.get(typing.get_origin(kind) or kind, str(kind))
