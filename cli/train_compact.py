"""`geochg train compact`: the recipe of the model that comes with geochg."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geochg.errors import InputError, OptionError
from geochg.extras import require_packages
from geochg.training.builtin.options import CompactOptions

from .interrupts import interrupts_raised
from .new_folder import check_apart, check_new_folder
from .shared_options import json_option, option_of, output_option, path_option, with_options
from .terminal import echo

NEEDED = (
    *("torch", "transformers", "accelerate", "tensorboard"),
    *("cv2", "onnx", "onnxscript", "scipy"),
)


@click.command()
@output_option("The model folder to make; must not exist.", required=True)
@path_option(
    "--work",
    "Folder of pairs, checkpoints and TensorBoard logs; given again, the run goes on from it.",
    field="work_dir",
    required=True,
)
@with_options(option_of(spec, required=spec.name == "real_dir") for spec in CompactOptions.specs())
@json_option("what was made")
def compact(output: Path, work_dir: Path, as_json: bool, **params: Any) -> None:  # noqa: ANN401
    """Make a compact DeltaVLM: vision stage, calibration, language stage, export.

    On two CPU cores this takes hours, on a GPU minutes; the defaults are the recipe of the model
    that comes with geochg. A run that was stopped goes on where it was.

    \b
    Examples:
      geochg train compact -o model --work training --real-dir imagery --workers 2
      geochg train compact -o model --work more --real-dir imagery --start last-model
    """
    check_new_folder(output)
    check_apart(output, work_dir)
    _check_folders(params)
    require_packages("train", *NEEDED)
    from geochg.training.builtin.recipe import train_compact
    from geochg.writers.staging import Staging

    with interrupts_raised(), Staging() as staging:
        with staging.write(output) as folder:
            calibration = train_compact(
                work_dir, folder, CompactOptions(**params), lambda line: echo(line, err=True)
            )
        staging.commit()
    result = {"folder": str(output), "calibration": calibration}
    echo(json.dumps(result) if as_json else str(output))


def _check_folders(params: dict[str, Any]) -> None:
    for name in ("real_dir", "start"):
        if params[name] is not None and not Path(params[name]).is_dir():
            raise InputError(
                f"there is no folder {params[name]}", f"check --{name.replace('_', '-')}"
            )
    if params["start"] is not None and not (Path(params["start"]) / "model.safetensors").is_file():
        raise OptionError(f"{params['start']} holds no model.safetensors", "check --start")
