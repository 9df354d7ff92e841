"""The options that `analyze` and `info` share, and how they become `AnalyzeOptions`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from geochg.errors import OptionError
from geochg.options import (
    MOST_REFINED,
    USUAL_OVERLAP_PX,
    AnalyzeOptions,
    Dtype,
    Quantize,
)

from .shared_options import Command, device_option, model_options, setting

_FIELDS = {"tile_size": "tile_size_px", "overlap": "overlap_px", "min_area": "min_area_m2"}
"""Command-line names that leave out the unit."""

_OWN = ("model_options", "clue_options")
"""Fields that hold options of a model's own."""

_SHORT = ("revision", "adapter", "quantize", "dtype")
"""Options of models' own that can be written without `--model-option`."""

_DEFAULTS = AnalyzeOptions()


class CommaSeparated(click.ParamType[tuple[str, ...], tuple[str, ...]]):
    """A list written with commas."""

    name = "list"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Splits at commas and drops blanks."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def pair_options(command: Command) -> Command:
    """Adds the options that say how a pair is read and by which model."""
    return _with(_PAIR_OPTIONS, command)


def finer_options(command: Command) -> Command:
    """Adds the options that make more of a model that answers by the 3x3 grid."""
    return _with(_FINER_OPTIONS, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


_FINER_OPTIONS = (
    click.option(
        "--refine",
        type=click.IntRange(0, MOST_REFINED),
        default=_DEFAULTS.refine,
        show_default=True,
        help="Ask again about each cell that changed, enlarged, this many times; for models that "
        "answer by the 3x3 grid.",
    ),
    click.option(
        "--vote/--no-vote",
        default=_DEFAULTS.vote,
        help="Let tiles overlap by half and vote on each place; for models that answer by the 3x3 "
        "grid.",
    ),
)

_PAIR_OPTIONS = (
    click.argument("before"),
    click.argument("after"),
    model_options(_DEFAULTS.model),
    click.option("--revision", help="Branch, tag or commit of a hub id."),
    click.option("--adapter", metavar="FOLDER", help="A PEFT adapter (LoRA) to put on the model."),
    click.option(
        "--quantize",
        type=click.Choice([each.value for each in Quantize]),
        help="Hold the model's weights in 4 or 8 bits; needs bitsandbytes.",
    ),
    click.option(
        "--dtype",
        type=click.Choice([each.value for each in Dtype]),
        help="Number type of the model's weights.",
    ),
    click.option(
        "--prompts",
        "prompts_file",
        type=click.Path(path_type=Path),
        metavar="FILE.toml",
        help="Ask in your own words: a text for presence, locate, count, caption or clue.",
    ),
    click.option(
        "--clue",
        is_flag=True,
        help="Let the model describe each tile first, and tell it so with each question.",
    ),
    click.option(
        "--clue-model",
        default=_DEFAULTS.clue_model,
        help="Let another model describe each tile for it, NAME or NAME:SOURCE.",
    ),
    click.option(
        "--clue-option",
        "clue_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of that model's own; may be given several times.",
    ),
    click.option(
        "--bands",
        type=CommaSeparated(),
        metavar="LIST",
        help="Bands to use, by number, name, colour or role=number: `4,3,2`, `red,green,blue`, "
        "`red=1,green=2,blue=3,nir=4`; `gray` makes one of the colours, for a date in black and "
        "white against one in colour.",
    ),
    click.option("--resolution", type=float, help="Pixel size in units of the CRS."),
    click.option("--crs", help="CRS of the grid, such as EPSG:32633, instead of BEFORE's."),
    click.option(
        "--aoi",
        help="Area of interest: a vector file (`FILE|layername=NAME` where it has several layers), "
        "`west,south,east,north` or WKT, in longitude and "
        "latitude unless a CRS stands before it: `EPSG:26914;485900,5205000,489000,5208000`.",
    ),
    setting(
        "--align",
        _DEFAULTS.align,
        "Measure a residual shift between the dates and correct it when it is clear, leave "
        "it, or only report it.",
    ),
    click.option(
        "--match/--no-match",
        default=_DEFAULTS.match,
        help="Match the values of AFTER to those of BEFORE, band by band.",
    ),
    click.option(
        "--keep-collars",
        is_flag=True,
        help="Take black or white that fills up an image to its frame for ground.",
    ),
    click.option(
        "--allow-remote",
        is_flag=True,
        help="Let files on this machine name rasters elsewhere (a VRT of an address), and fetch "
        "those.",
    ),
    click.option(
        "--dates-as-given",
        is_flag=True,
        help="Take the dates in the order given although the files say that BEFORE is the newer.",
    ),
    setting("--tile-size", _DEFAULTS.tile_size_px, "Side of the square the model sees, in pixels."),
    click.option(
        "--overlap",
        type=int,
        show_default=f"{USUAL_OVERLAP_PX}, with --vote half a tile",
        help="Overlap of neighbouring tiles, in pixels.",
    ),
    device_option(_DEFAULTS.device),
    click.option("--batch-size", type=int, help="Tiles answered in one call."),
    click.option("--workers", type=int, help="Reading threads."),
    click.option(
        "--options",
        "options_file",
        type=click.Path(path_type=Path),
        metavar="FILE.toml",
        help="Read options from a file; those given on the command line win.",
    ),
)


def options_of(ctx: click.Context) -> AnalyzeOptions:
    """The options of a command: the file's, and over them what was given by hand.

    Raises:
        OptionError: If an option is unknown or makes no sense.
        InputError: If the options file cannot be read.
    """
    file = ctx.params.get("options_file")
    base = AnalyzeOptions.from_toml(file).to_dict() if file else {}
    known = AnalyzeOptions.__dataclass_fields__
    for name, value in ctx.params.items():
        field = _FIELDS.get(name, name)
        if field in known and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            base[field] = named_values(value) if field in _OWN else value
    short = {name: ctx.params[name] for name in _SHORT if ctx.params.get(name) is not None}
    if short:
        base["model_options"] = {**base.get("model_options", {}), **short}
    if ctx.params.get("prompts_file"):
        from geochg.tasks.prompts import read_prompts

        base["prompts"] = read_prompts(ctx.params["prompts_file"])
    return AnalyzeOptions.from_dict(base)


def named_values(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Options of a model's own, each given as `NAME=VALUE`.

    Raises:
        OptionError: If one has no value.
    """
    return dict(_model_option(pair) for pair in pairs)


def _model_option(pair: str) -> tuple[str, Any]:
    """`name=value`; the value as TOML where it is TOML (`3`, `true`, `[1, 2]`), else as text."""
    name, separator, text = pair.partition("=")
    if not separator:
        raise OptionError(f"model option {pair!r} has no value", "write it as NAME=VALUE")
    try:
        return name, tomllib.loads(f"value = {text}")["value"]
    # Beside TOML's own error: whole numbers of thousands of digits, and lists nested as deep.
    except (ValueError, RecursionError):
        return name, text
