"""`geochg models`: which change models there are, and released weights made into one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geochg.errors import InputError, RunError

from .interrupts import interrupts_raised
from .new_folder import check_new_folder
from .shared_options import PATH, json_option, output_option, path_option
from .terminal import echo

if TYPE_CHECKING:
    from geochg.models.deltavlm.release.convert import Release


@click.group(invoke_without_command=True)
@json_option("the models")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the change models that --model takes, or convert released weights into one.

    \b
    Examples:
      geochg models
      geochg models --json
      geochg models convert deltavlm --help
    """
    if ctx.invoked_subcommand is None:
        _list(as_json)
    elif as_json:
        raise click.UsageError("--json belongs behind the command", ctx)


def _list(as_json: bool) -> None:
    from geochg.models.registry import backends

    infos = backends()
    if as_json:
        echo(json.dumps([info.to_dict() for info in infos]))
        return
    width = max((len(info.name) for info in infos), default=0)
    for info in infos:
        text = f"broken: {info.broken}" if info.broken else info.summary
        echo(f"{info.name:{width}}  {text}")


@models.group()
def convert() -> None:
    """Make a model folder from the files of a release."""


@convert.command()
@click.argument("checkpoint", type=PATH)
@path_option("--eva", "The weights of EVA-ViT-g, a .pth.", "FILE", required=True)
@path_option("--vicuna", "Vicuna-7B-v1.5, as on the hub.", "FOLDER", required=True)
@path_option(
    "--bert", "bert-base-uncased, of which only the tokenizer is read.", "FOLDER", required=True
)
@output_option("The model folder to make; must not exist.", "FOLDER", required=True)
@json_option("what was made")
def deltavlm(
    checkpoint: Path, eva: Path, vicuna: Path, bert: Path, output: Path, as_json: bool
) -> None:
    """Make the released DeltaVLM, CHECKPOINT, into a folder for --model deltavlm:FOLDER.

    Nothing is downloaded, and no file is read in a way that could run code. The folder holds half
    precision, about 16 GB; making it takes about 20 GB of memory.

    \b
    Example:
      geochg models convert deltavlm checkpoint_best.pth --eva eva_vit_g.pth \\
          --vicuna vicuna-7b-v1.5 --bert bert-base-uncased -o deltavlm-7b
    """
    _check_exists("CHECKPOINT", checkpoint, is_folder=False)
    _check_exists("--eva", eva, is_folder=False)
    _check_exists("--vicuna", vicuna, is_folder=True)
    _check_exists("--bert", bert, is_folder=True)
    check_new_folder(output)
    from geochg.models.deltavlm.release.convert import Release

    _convert(Release(checkpoint, eva, vicuna, bert), output)
    model = f"deltavlm:{output}"
    if as_json:
        echo(json.dumps({"folder": str(output), "model": model}))
    else:
        echo(f"{output}\nuse it with --model {model}")


def _check_exists(name: str, path: Path, *, is_folder: bool) -> None:
    if not (path.is_dir() if is_folder else path.is_file()):
        kind = "folder" if is_folder else "file"
        raise InputError(f"there is no {kind} {path}", f"check {name}")


def _convert(release: Release, output: Path) -> None:
    """Makes the folder beside its place, and moves it there when it is whole."""
    from rich.console import Console
    from safetensors import SafetensorError

    from geochg.models.deltavlm.release.convert import convert_release
    from geochg.models.library_guards import quiet_libraries
    from geochg.writers.staging import Staging

    status = Console(stderr=True).status("converting, which takes minutes")
    with interrupts_raised(), Staging() as staging, status, quiet_libraries():
        try:
            with staging.write(output) as path:
                convert_release(release, path)
        except SafetensorError as error:
            raise RunError(f"cannot write {output}: {error}", "make room on that disk") from error
        staging.commit()
