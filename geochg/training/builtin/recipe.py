"""The recipe of the built-in model: vision stage, calibration, language stage, export.

Each stage leaves its result in the work folder, so a recipe that was stopped goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from geochg.datasets.ground.labelled import LabelledGround
from geochg.datasets.ground.series import all_grounds, shares_by_kind, split_grounds
from geochg.errors import InputError, ModelError
from geochg.files.new_files import write_aside, write_text_aside
from geochg.files.same_run import refuse_another_run
from geochg.models.deltavlm.detector import Detector
from geochg.models.deltavlm.export import export
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.models.deltavlm.sizes import compact_config, compact_generation
from geochg.models.model_files import first_line, saved_json
from geochg.models.pretrained import refuse_broken_weights
from geochg.training.builtin.calibration import color_weight_factor, fit_calibration
from geochg.training.builtin.language_pairs import make_language_pairs
from geochg.training.builtin.language_stage import LanguageOptions, pairs_tokenizer, train_language
from geochg.training.builtin.options import CompactOptions
from geochg.training.builtin.pretrained import load_imagenet_weights
from geochg.training.builtin.quantisation import quantise_compact
from geochg.training.builtin.vision_stage import VisionOptions, train_vision
from geochg.training.checkpoints import REPEAT, check_work_dir, explain_write_errors

RECIPE_STATE = "recipe.json"
"""What a work folder was begun with."""

FROZEN, OPENED = "frozen", "opened"
"""The passes of the vision stage: with the encoder as it came, and with its deep half open."""

HEAD_RATE, OPENED_HEAD_RATE, OPENED_ENCODER_RATE = 2e-3, 5e-4, 5e-5
"""Highest learning rates of the two passes."""

CALIBRATION_SEED = 1

VISION_WEIGHTS = ("vision.", "dense.")

_START = "start from a compact DeltaVLM, as `geochg train compact` makes it"


def train_compact(
    work_dir: Path, output: Path, options: CompactOptions, report: Callable[[str], None]
) -> dict[str, Any]:
    """Makes a compact model.

    Args:
        work_dir: Folder for pairs, checkpoints and logs; a run that stopped goes on from what is
            there.
        output: The model folder.
        options: Options of the recipe.
        report: Gets a line about each stage that begins.

    Returns:
        The calibration, see `postprocessing.Calibration`.

    Raises:
        InputError: If the folder of imagery holds no labelled ground, or the work folder is that of
            something else.
        OptionError: If the work folder was begun with other options.
        ModelError: If what it notes of them cannot be read, or the ImageNet weights are missing.
        RunError: If a disk takes no more.
    """
    grounds = all_grounds(Path(options.real_dir))
    if not grounds:
        raise InputError(
            f"{options.real_dir} holds no labelled imagery",
            "docs/training.md says how it is laid out",
        )
    begin_recipe(work_dir, options)
    training_grounds, held_out = split_grounds(grounds)
    kinds = ", ".join(
        f"{kind} {share:.1%}" for kind, share in shares_by_kind(training_grounds).items()
    )
    report(f"vision stage on {len(training_grounds)} grounds ({kinds})")
    torch.manual_seed(0)
    model = DeltaVLMForConditionalGeneration(compact_config(options.vocabulary))
    load_imagenet_weights(model.vision.model)
    if options.start is not None:
        load_vision(model, Path(options.start) / "model.safetensors")
    _train_vision(model, training_grounds, work_dir, options)
    report("calibration")
    calibrate(model.eval(), held_out or training_grounds)  # type: ignore[no-untyped-call]
    report("pairs for the language stage")
    pairs = make_language_pairs(
        work_dir / "language_pairs", options.pairs, training_grounds, workers=options.workers
    )
    tokenizer = pairs_tokenizer(pairs, options.vocabulary)
    processor = DeltaVLMProcessor(model.config, tokenizer, tokenizer)
    report("language stage")
    stage = LanguageOptions(steps=options.language_steps)
    train_language(model, processor, pairs, work_dir / "language", stage)
    with explain_write_errors(output, REPEAT):
        save_compact(model, processor, output)
        report("int8 files")
        quantise_compact(output, training_grounds)
    calibration: dict[str, Any] = model.config.dense_config.calibration
    facts = {"options": options.to_dict(), "calibration": calibration}
    write_text_aside(work_dir / "made.json", json.dumps(facts, indent=2))
    return calibration


def calibrate(model: DeltaVLMForConditionalGeneration, grounds: Sequence[LabelledGround]) -> None:
    """Fits the weight of the colours and the cuts of a model's dense head, in its configuration."""
    vision = TorchVision(model, DeltaVLMProcessor(model.config, None, None))
    assert vision.head is not None
    config = model.config.dense_config
    config.calibration = None
    factor = color_weight_factor(Detector(vision, vision.head), grounds, CALIBRATION_SEED)
    # Exports keep it in half precision.
    config.color_weight = float(np.float16(config.color_weight * factor))
    config.calibration = fit_calibration(
        Detector(vision, vision.head), grounds, CALIBRATION_SEED
    ).to_dict()


def save_compact(
    model: DeltaVLMForConditionalGeneration, processor: DeltaVLMProcessor, folder: Path
) -> None:
    """Writes a model folder with weights in half precision, and their exports beside them.

    The model is moved to the CPU and its weights are rounded, in place.
    """
    model.generation_config = compact_generation()
    model.cpu().half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    processor.save_pretrained(folder)
    export(model.float().eval(), folder)  # type: ignore[no-untyped-call]


def load_vision(model: DeltaVLMForConditionalGeneration, file: Path, hint: str = _START) -> None:
    """Loads vision part and dense head from a weights file.

    Args:
        model: The model that gets them, in place.
        file: The weights.
        hint: What the user does about a file that cannot be used.

    Raises:
        ModelError: If they are not those of such a model.
    """
    try:
        weights = {
            name: part for name, part in load_file(file).items() if name.startswith(VISION_WEIGHTS)
        }
        refuse_broken_weights(weights.items(), file)
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{file} cannot be used: {first_line(error)}", hint) from error
    if lacking := [name for name in missing if name.startswith(VISION_WEIGHTS)]:
        raise ModelError(f"{file} has no {lacking[0]}", hint)


def begin_recipe(work_dir: Path, options: CompactOptions) -> None:
    """Notes the options, or refuses others: what a stage has left would be taken for theirs."""
    check_work_dir(work_dir, RECIPE_STATE)
    work_dir.mkdir(parents=True, exist_ok=True)
    file, shaping = work_dir / RECIPE_STATE, options.shaping()
    anew = f"remove {work_dir}, and start anew"
    former_shaping = saved_json(file, anew)
    is_new = all(path.name in (RECIPE_STATE, f".{RECIPE_STATE}") for path in work_dir.iterdir())
    if not is_new and not former_shaping.keys() & shaping.keys():
        raise InputError(f"{file} does not tell what {work_dir} was begun with", anew)
    if former_shaping:
        refuse_another_run(_flags(former_shaping, shaping), _flags(shaping, shaping), work_dir)
    else:
        write_text_aside(file, json.dumps(shaping, indent=1))


def _flags(options: Mapping[str, Any], asked_options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by the names that a user types; what another version did not know counts as asked."""
    return {
        f"--{name.replace('_', '-')}": options.get(name, asked_options[name])
        for name in asked_options
    }


def _train_vision(
    model: DeltaVLMForConditionalGeneration,
    grounds: Sequence[LabelledGround],
    work_dir: Path,
    options: CompactOptions,
) -> None:
    """Trains both passes; each is left out when its weights are there."""
    passes = {
        FROZEN: VisionOptions(
            options.frozen_steps, options.batch_size, HEAD_RATE, workers=options.workers
        ),
        OPENED: VisionOptions(
            options.opened_steps,
            options.batch_size,
            OPENED_HEAD_RATE,
            OPENED_ENCODER_RATE,
            workers=options.workers,
            seed=1,
        ),
    }
    for name, settings in passes.items():
        file = work_dir / f"{name}.safetensors"
        if not file.exists():
            train_vision(model, grounds, work_dir / name, settings)
            _save_vision(model, file)
        load_vision(model, file, f"remove {file}, and {REPEAT}")


def _save_vision(model: DeltaVLMForConditionalGeneration, file: Path) -> None:
    parts = {
        name: part.contiguous()
        for name, part in model.state_dict().items()
        if name.startswith(VISION_WEIGHTS)
    }
    with explain_write_errors(file, REPEAT), write_aside(file) as new_file:
        save_file(parts, new_file)
