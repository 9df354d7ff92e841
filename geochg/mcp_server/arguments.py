"""Arguments of calls, described as JSON Schema and brought to the types the library takes.

Options are those of the command line, by the names of their fields; their types, ranges and help
are the fields' own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from geochg.errors import OptionError
from geochg.geometry.vector_file import is_vector_name
from geochg.mcp_server.grants import Grants
from geochg.options import AnalyzeOptions, Options, OptionSpec
from geochg.safety.untrusted_text import cleaned

Schema = dict[str, Any]
OptionsT = TypeVar("OptionsT", bound=Options)

_CODE = re.compile(r"[A-Za-z]{2,10}:[0-9]{1,7}")
_CODE_HINT = "name it by its code, such as EPSG:32633"
_NUMBERS = re.compile(r"[-+0-9.eE,\s]+")
_POLYGON = re.compile(r"\s*(?:MULTI)?POLYGON\b", re.IGNORECASE)
_LONGEST_TEXT = 100_000
_FARTHEST = 10**6  # degrees from which on a number is no longitude and no latitude

BEFORE: Schema = {
    "type": "string",
    "description": "The earlier raster: a path within the folders of the server.",
}
AFTER: Schema = {"type": "string", "description": "The later raster, likewise."}
LATER: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Rasters of further dates, in order, for a series of three dates or more.",
}


@dataclass(frozen=True)
class OfferedOptions(Generic[OptionsT]):
    """The options of a command that calls may set.

    New options are left out until it is clear that they lead nowhere. What a model is given and
    what runs cost is settled by whoever starts the server; options that read files are offered only
    with a check of their paths, as `aoi` and `zones` have; `allow_remote` and `overwrite` would
    lead out of the folders, and over files of others.

    Attributes:
        kind: The class of the options.
        command: The command.
        names: Names of the options.
    """

    kind: type[OptionsT]
    command: str
    names: frozenset[str]

    def specs(self) -> list[OptionSpec]:
        """The options that the command takes of these."""
        return [
            spec
            for spec in self.kind.specs()
            if spec.name in self.names
            and (spec.facts.commands is None or self.command in spec.facts.commands)
        ]

    def schemas(self, grants: Grants) -> Schema:
        """The schemas of the options by name."""
        schemas = {spec.name: _option_schema(spec) for spec in self.specs()}
        if "model" in schemas:
            schemas["model"] |= {
                "enum": list(grants.models),
                "default": next(iter(grants.models)),
                "description": "The model.",
            }
        if "crs" in schemas:
            schemas["crs"]["pattern"] = f"^{_CODE.pattern}$"
        return schemas

    def values(self, arguments: Mapping[str, Any], grants: Grants) -> dict[str, Any]:
        """The options that a call sets, by name.

        Raises:
            OptionError: If one names what calls may not use.
            InputError: If the area of interest or the zones name a file that calls may not.
        """
        names = {spec.name for spec in self.specs()}
        values = {name: value for name, value in arguments.items() if name in names}
        if "model" in values:
            values["model"] = grants.model(text_of(values, "model"))
        if "crs" in values and not _CODE.fullmatch(text_of(values, "crs")):
            raise OptionError(f"{cleaned(values['crs'], 60)!r} is no code of a CRS", _CODE_HINT)
        if "aoi" in values:
            values["aoi"] = _area(text_of(values, "aoi"), grants)
        if values.get("zones"):
            values["zones"] = grants.shapes(text_of(values, "zones"))
        return values


MAP_OPTIONS = frozenset(
    """
    model bands resolution crs aoi align match tile_size_px overlap_px refine vote classes
    sensitivity min_confidence min_area_m2 max_area_m2 geometry regularize regularize_share nodata
    keep_collars dates dates_as_given in_turn zones zone_name layer tiles_layer
    allow_failed_tiles resume
    """.split()
)


def map_options(command: str) -> OfferedOptions[AnalyzeOptions]:
    """The options of `info`, `analyze` or `ask` that calls may set."""
    return OfferedOptions(AnalyzeOptions, command, MAP_OPTIONS)


def check_arguments(arguments: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The arguments of a call by name, without those that are null.

    Args:
        arguments: The arguments as they came.
        schema: The schema of the tool's arguments.

    Raises:
        OptionError: If one is unknown, or one is missing that must be there.
    """
    known_names = schema["properties"]
    if unknown := sorted(set(arguments) - set(known_names)):
        raise OptionError(
            f"unknown argument {', '.join(cleaned(repr(name), 60) for name in unknown[:5])}",
            f"arguments: {', '.join(known_names)}",
        )
    # Clients that know no optional arguments send null.
    given_values = {name: value for name, value in arguments.items() if value is not None}
    if missing := [name for name in schema.get("required", ()) if name not in given_values]:
        raise OptionError(f"the argument {missing[0]!r} is missing", "give it")
    return given_values


def options_of(arguments: Mapping[str, Any], command: str, grants: Grants) -> AnalyzeOptions:
    """The options of a run: the server's, and over them those of a call.

    Raises:
        OptionError: If an option makes no sense, or names what calls may not use.
        InputError: If one names a file that calls may not.
    """
    values, base = map_options(command).values(arguments, grants), grants.options
    if values.get("model", base.model) != base.model:
        # What was given for one model says nothing to another.
        base = replace(base, model_options={}, prompts={}, clue_options={}, clue_model="")
    return AnalyzeOptions.from_dict({**base.to_dict(), **values})


def images_of(arguments: Mapping[str, Any], grants: Grants) -> list[str]:
    """The rasters that a call names, the earliest first, as GDAL opens them.

    Raises:
        OptionError: If one is no text.
        InputError: If calls may not name one.
    """
    names = [text_of(arguments, name) for name in ("before", "after") if name in arguments]
    return [grants.raster(name) for name in (*names, *texts_of(arguments, "later"))]


def new_files_of(
    arguments: Mapping[str, Any], names: Mapping[str, str], grants: Grants
) -> dict[str, Path]:
    """The files that a call wants written, by the outputs that they are.

    Args:
        arguments: The arguments of the call.
        names: Names of arguments by the outputs that they name.
        grants: What calls may use.

    Raises:
        OptionError: If one is no text.
        InputError: If calls may not write one.
    """
    return {
        output: grants.folders.new_file(text_of(arguments, name))
        for output, name in names.items()
        if name in arguments
    }


def text_of(arguments: Mapping[str, Any], name: str) -> str:
    """A text that says something.

    Raises:
        OptionError: If it is none.
    """
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TEXT:
        raise OptionError(f"the argument {name!r} is no text", "give a text")
    return value


def texts_of(arguments: Mapping[str, Any], name: str) -> Sequence[str]:
    """A list of texts; empty where none is given.

    Raises:
        OptionError: If it is something else.
    """
    values = arguments.get(name, [])
    if not isinstance(values, list):
        raise OptionError(f"the argument {name!r} is no list", "give a list of texts")
    return [text_of({name: value}, name) for value in values]


def flag_of(arguments: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Whether something is wanted.

    Raises:
        OptionError: If it is neither true nor false.
    """
    value = arguments.get(name, default)
    if not isinstance(value, bool):
        raise OptionError(f"the argument {name!r} is neither true nor false", "give one of these")
    return value


def point_of(arguments: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """Longitude and latitude in degrees, or None.

    Raises:
        OptionError: If it is neither.
    """
    value = arguments.get(name)
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))):
        raise OptionError(f"the argument {name!r} is no place", "give [longitude, latitude]")
    return float(value[0]), float(value[1])


def in_argument_names(text: str) -> str:
    """A message of the library with the names of arguments in place of flags."""
    for spec in sorted(AnalyzeOptions.specs(), key=lambda spec: -len(spec.flag)):
        text = re.sub(rf"{re.escape(spec.flag)}(?![\w-])", spec.name, text)
    return text


def _is_number(value: object) -> bool:
    """Whether a value is a number that degrees may be; whole ones may be longer than a float."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -_FARTHEST <= value <= _FARTHEST  # type: ignore[operator]


def _option_schema(spec: OptionSpec) -> Schema:
    facts = spec.facts
    usual = f" Default: {facts.usual}." if facts.usual else ""
    unit = f" In {facts.unit}." if facts.unit else ""
    schema: Schema = {
        "type": spec.type,
        "description": in_argument_names(facts.help) + unit + usual,
    }
    if spec.type == "array":
        schema["items"] = {"type": "string"}
    if spec.choices:
        schema["enum"] = list(spec.choices)
    if spec.default not in (None, "", []):
        schema["default"] = spec.default
    bounds = {"minimum": facts.least, "maximum": facts.greatest}
    return schema | {key: bound for key, bound in bounds.items() if bound is not None}


def _area(text: str, grants: Grants) -> str:
    """An area of interest: a box or polygon as it is, or a file that calls may name."""
    head, mark, place = text.partition(";")
    body = place if mark else text
    if _NUMBERS.fullmatch(body) or _POLYGON.match(body):
        if mark and not _CODE.fullmatch(head):
            raise OptionError(f"{cleaned(head, 60)!r} before the area is no code", _CODE_HINT)
        return text
    if not is_vector_name(text):
        raise OptionError(
            f"the area of interest {cleaned(text, 60)!r} is no box, polygon or vector file",
            "give west,south,east,north, WKT or a file within the folders",
        )
    return grants.shapes(text)
