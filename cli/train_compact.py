"""`geochg train compact`: the recipe of the model that comes with geochg."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from geochg.errors import InputError, ModelError, OptionError
from geochg.training.builtin.options import CompactOptions

from .interrupts import interrupts_raised
from .new_folder import check_apart, check_new_folder
from .shared_options import Command, json_option
from .terminal import echo

NEEDED = ("accelerate", "tensorboard", "onnx", "onnxscript")


def _stage(flag: str, text: str) -> Callable[[Command], Command]:
    default = getattr(CompactOptions, flag.removeprefix("--").replace("-", "_"))
    return click.option(
        flag, type=click.IntRange(min=1), default=default, show_default=True, help=text
    )


@click.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The model folder to make; must not exist.",
)
@click.option(
    "--work",
    required=True,
    type=click.Path(path_type=Path),
    help="For pairs, checkpoints and TensorBoard logs; the same again goes on from there.",
)
@click.option(
    "--real-dir",
    metavar="FOLDER",
    required=True,
    help="Labelled imagery, laid out as docs/training.md says.",
)
@click.option("--start", metavar="FOLDER", help="A compact model whose vision part to start from.")
@_stage("--frozen-steps", "Batches of the vision stage with the encoder as it came.")
@_stage("--opened-steps", "Batches of the vision stage with the encoder's deep half open.")
@_stage("--batch-size", "Pairs in a batch of the vision stage.")
@_stage("--pairs", "Pairs for the language stage.")
@_stage("--language-steps", "Batches of the language stage.")
@_stage("--vocabulary", "Tokens of the tokenizer.")
@_stage("--workers", "Processes that make pairs.")
@json_option("what was found")
def compact(output: Path, work: Path, as_json: bool, **given: Any) -> None:  # noqa: ANN401
    """Make a compact DeltaVLM: vision stage, calibration, language stage, export.

    On two CPU cores this takes hours, on a GPU minutes; the defaults are the recipe of the model
    that comes with geochg. A run that was stopped goes on where it was.

    \b
    Examples:
      geochg train compact -o model --work training --real-dir imagery --workers 2
      geochg train compact -o model --work more --real-dir imagery --start last-model
    """
    check_new_folder(output)
    check_apart(output, work)
    _check_folders(given)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ModelError(
            f"training needs {missing[0]}, which is not installed",
            "install it with: pip install 'geochg[train]'",
        )
    from geochg.training.builtin.recipe import train_compact
    from geochg.writers.staging import Staging

    with interrupts_raised(), Staging() as staging:
        with staging.write(output) as folder:
            found = train_compact(work, folder, CompactOptions(**given), _say)
        staging.commit()
    made = {"folder": str(output), "calibration": found}
    echo(json.dumps(made) if as_json else str(output))


def _say(text: str) -> None:
    echo(text, err=True)


def _check_folders(given: dict[str, Any]) -> None:
    for name in ("real_dir", "start"):
        if given[name] is not None and not Path(given[name]).is_dir():
            raise InputError(
                f"there is no folder {given[name]}", f"check --{name.replace('_', '-')}"
            )
    if given["start"] is not None and not (Path(given["start"]) / "model.safetensors").is_file():
        raise OptionError(f"{given['start']} holds no model.safetensors", "check --start")
