"""Options that stand in several commands, each made in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click

from geochg.errors import OptionError
from geochg.options import Options, OptionSpec

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


class CommaSeparated(click.ParamType[tuple[str, ...], tuple[str, ...]]):
    """A list written with commas."""

    name = "list"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Splits at commas; a blank text is an empty list.

        Raises:
            OptionError: If nothing stands beside a comma.
        """
        if isinstance(value, list | tuple):
            return tuple(value)
        if not str(value).strip():
            return ()
        parts = tuple(part.strip() for part in str(value).split(","))
        if not all(parts):
            name = param.opts[0] if param and param.opts else self.name
            raise OptionError(
                f"nothing stands beside a comma of {value!r} in {name}", "leave the comma out"
            )
        return parts


_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "array": CommaSeparated(),
    "object": str,
}
"""Click's types, by the type of an option."""


def option_of(spec: OptionSpec, *, required: bool = False) -> Callable[[Command], Command]:
    """The option of the command line that stands for a field of the library's options."""
    settings: dict[str, Any] = {"help": spec.facts.help, "required": required}
    if spec.type == "boolean":
        flag = f"{spec.flag}/--no-{spec.flag.removeprefix('--')}"
        return click.option(flag, spec.name, default=spec.default, **settings)
    if spec.facts.metavar or spec.type in ("array", "object"):
        settings["metavar"] = spec.facts.metavar or "LIST"
    settings["type"] = click.Choice(spec.choices) if spec.choices else _TYPES[spec.type]
    if spec.type == "object":
        return click.option(spec.flag, spec.name, multiple=True, **settings)
    if spec.default in (None, "", []):
        settings["show_default"] = spec.facts.usual or False
    else:
        settings |= {"default": spec.default, "show_default": True}
    return click.option(spec.flag, spec.name, **settings)


def field_options(kind: type[Options], *names: str) -> Callable[[Command], Command]:
    """The options of the command line that stand for fields of a class of options.

    Args:
        kind: The class.
        names: Names of the fields; where none is named, all that `option` made but those for
            which commands word options of their own.
    """
    return with_options(
        option_of(spec)
        for spec in kind.specs()
        if spec.name in names or (not names and spec.facts.commands != ())
    )


def with_options(options: Iterable[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """Adds options to a command, which its help page lists in their order."""
    option_list = list(options)

    def add(command: Command) -> Command:
        for option in reversed(option_list):
            command = option(command)
        return command

    return add


def setting(
    flag: str, default: float | str, text: str, field: str | None = None
) -> Callable[[Command], Command]:
    """An option for a setting of the library, which gives its default, type and choices.

    Args:
        flag: As it is written.
        default: Default of the library; a member of an enumeration offers all of its members.
        text: Help of the option.
        field: What the library calls it, where not as the flag.
    """
    value_type: Any = type(default)
    if isinstance(default, StrEnum):
        value_type, default = (
            click.Choice([member.value for member in type(default)]),
            default.value,
        )
    names = (flag,) if field is None else (flag, field)
    return click.option(*names, type=value_type, default=default, show_default=True, help=text)


def path_option(
    flag: str,
    text: str,
    metavar: str | None = None,
    field: str | None = None,
    *,
    required: bool = False,
) -> Callable[[Command], Command]:
    """An option that takes a path.

    Args:
        flag: As it is written.
        text: Help of the option.
        metavar: What stands for the path on the help page; PATH when None.
        field: What the command calls it, where not as the flag.
        required: Whether it must be given.
    """
    names = (flag,) if field is None else (flag, field)
    return click.option(*names, type=PATH, metavar=metavar, required=required, help=text)


def output_option(
    text: str, metavar: str | None = None, *, required: bool = False
) -> Callable[[Command], Command]:
    """`-o` or `--output`, what a command writes; see `path_option`."""
    return path_option("-o", text, metavar, "--output", required=required)


def overwrite_option(command: Command) -> Command:
    """`--overwrite`, of commands that write files over those they wrote before."""
    text = "Also replace files and layers that geochg did not write."
    return click.option("--overwrite", is_flag=True, help=text)(command)


def json_option(result: str) -> Callable[[Command], Command]:
    """`--json`, of what a command gives."""
    text = f"Print {result} as JSON on stdout."
    return click.option("--json", "as_json", is_flag=True, help=text)


def model_options(default: str) -> Callable[[Command], Command]:
    """`--model` and `--model-option` of commands that ask any change model."""

    def add(command: Command) -> Command:
        own_option = click.option(
            "--model-option",
            "model_options",
            multiple=True,
            metavar="NAME=VALUE",
            help="An option of the model's own; may be given several times.",
        )
        model = "The change model, NAME or NAME:SOURCE; see `geochg models`."
        return setting("--model", default, model)(own_option(command))

    return add


prompts_option = path_option(
    "--prompts",
    "Ask in your own words: a text for presence, locate, count, caption or clue.",
    "FILE.toml",
    "prompts_file",
)
"""`--prompts` of commands that ask a model."""


def device_option(
    default: str, text: str = "auto, cpu, cuda, cuda:1 or mps."
) -> Callable[[Command], Command]:
    """`--device`."""
    return setting("--device", default, text)


def images_option(text: str) -> Callable[[Command], Command]:
    """`--images`: where pictures are that rows name."""
    return path_option("--images", text, "FOLDER")
