"""The recipe of the compact model: draw, learn to see, calibrate, learn to speak, save.

Each stage leaves its result in the work folder, so a recipe that was stopped goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from geochg.datasets.world.options import WorldOptions
from geochg.errors import ModelError, OptionError
from geochg.models.deltavlm.export import export
from geochg.models.deltavlm.folding import fold_batch_norms, settle_batch_norms
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.presets import compact_config, compact_generation
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.saved import first_line, saved_json
from geochg.options import Options
from geochg.training.augment import Augmentation
from geochg.training.calibrate import Calibration, calibrate
from geochg.training.checkpoints import AGAIN, write_whole, written_whole
from geochg.training.drawn import DrawnPairs, draw
from geochg.training.seeing import SeeingOptions, learn_to_see
from geochg.training.speaking import SpeakingOptions, learn_to_speak, speaking_tokenizer
from geochg.training.storage import writing_told

CALIBRATION_SEED = 10_000_000
"""First seed of the pairs that thresholds are found on; training stays below it."""

CROP_PX = 128
"""Side of what the first pass of seeing looks at: a quarter of a pair, so four times as many."""

MILD = Augmentation(
    side_px=CROP_PX,
    shrink=2.0,
    color=0.3,
    mixing=0.08,
    gamma=1.4,
    gray_share=0.05,
    blur_share=0.2,
    coarse_share=0.2,
    noise=0.035,
)
"""Of the first pass; the second, on whole pairs, is varied a little more strongly."""

FACTS = "recipe.json"
"""What a work folder was begun with."""

_START = "start from a compact DeltaVLM, as geochg train compact makes it"

_SEEN, _WHOLE = "seen.safetensors", "whole.safetensors"

Say = Callable[[str], None]


@dataclass(frozen=True)
class CompactOptions(Options):
    """How a compact model is made; for one like the one that ships unless told otherwise.

    Attributes:
        pairs: Drawn to learn from.
        calibration_pairs: Drawn to find thresholds on: other seeds, held-out textures.
        crop_steps: Batches of the first pass of seeing, on crops.
        crop_batch: Crops in a batch.
        whole_steps: Batches of the second pass, on whole pairs.
        whole_batch: Pairs in a batch.
        speak_steps: Batches of the language stage.
        vocabulary: Tokens of the tokenizer.
        real_dir: Folder of real imagery, see `WorldOptions`; None to draw all.
        start: A folder whose vision part and dense head the first pass starts from.
        workers: How it runs: processes that draw.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "pairs": (1, 10**9),
        "calibration_pairs": (1, 10**9),
        "crop_steps": (1, 10**9),
        "whole_steps": (1, 10**9),
        "speak_steps": (1, 10**9),
        "crop_batch": (1, 65_536),
        "whole_batch": (1, 65_536),
        "vocabulary": (1, 10**6),
        "workers": (1, 1_024),
    }

    pairs: int = 10_000
    calibration_pairs: int = 400
    crop_steps: int = 12_000
    crop_batch: int = 16
    whole_steps: int = 2000
    whole_batch: int = 8
    speak_steps: int = 2500
    vocabulary: int = 2000
    real_dir: str | None = None
    start: str | None = None
    workers: int = 1

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("workers",)


def make_compact(work: Path, output: Path, options: CompactOptions, say: Say) -> Calibration:
    """Makes a compact model.

    Args:
        work: For pairs, checkpoints and logs; a run that stopped goes on from what is there.
        output: The model folder.
        options: How.
        say: Told which stage begins.

    Raises:
        OptionError: If the work folder was begun with other options.
        ModelError: If what it notes of them cannot be read.
        RunError: If a disk takes no more.
    """
    _begin(work, options)
    world = WorldOptions(real_dir=options.real_dir, real_share=0.4, coarse_share=0.3)
    held_out = replace(world, validation=True)
    say("drawing pairs")
    pairs = draw(work / "pairs", options.pairs, world, workers=options.workers)
    others = draw(
        work / "calibration",
        options.calibration_pairs,
        held_out,
        first_seed=CALIBRATION_SEED,
        workers=options.workers,
    )
    processor = _processor(pairs, options.vocabulary)
    torch.manual_seed(0)
    model = DeltaVLMForConditionalGeneration(compact_config(options.vocabulary))
    if options.start is not None:
        load_eyes(model, Path(options.start) / "model.safetensors")
    say("learning to see")
    _see(model, pairs, work, options)
    say("calibrating")
    found = calibrate(model, processor, others)
    say("learning to speak")
    speaking = SpeakingOptions(steps=options.speak_steps)
    learn_to_speak(model, processor, pairs, work / "speaking", speaking)
    with writing_told(output, AGAIN):
        save_compact(model, processor, output)
    facts = {"options": options.to_dict(), "calibration": asdict(found)}
    write_whole(work / "made.json", json.dumps(facts, indent=2))
    return found


def _begin(work: Path, options: CompactOptions) -> None:
    """Notes the options, or refuses others: what a stage has left would be taken for theirs."""
    work.mkdir(parents=True, exist_ok=True)
    file, now = work / FACTS, options.shaping()
    was = saved_json(file, f"remove {work}, and start anew")
    if other := next((name for name in now if name in was and was[name] != now[name]), ""):
        raise OptionError(
            f"{work} was begun with --{other.replace('_', '-')} {was[other]}, not {now[other]}",
            "give what it was begun with, or name another folder with --work",
        )
    if not was:
        write_whole(file, json.dumps(now, indent=1))


def save_compact(
    model: DeltaVLMForConditionalGeneration, processor: DeltaVLMProcessor, folder: Path
) -> None:
    """Writes a model folder with weights in half precision, and their exports beside them.

    The model is moved to the CPU, its weights are rounded and its batch norms folded, in place.
    """
    model.generation_config = compact_generation()
    settle_batch_norms(model.cpu().eval())  # type: ignore[no-untyped-call]
    model.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    processor.save_pretrained(folder)
    model.float().eval()  # type: ignore[no-untyped-call]
    export(fold_batch_norms(model), folder)


def load_eyes(model: DeltaVLMForConditionalGeneration, file: Path) -> None:
    """Takes vision part and dense head from a weights file.

    Raises:
        ModelError: If they are not those of such a model.
    """
    eyes = ("vision.", "dense.")
    try:
        found = {name: part for name, part in load_file(file).items() if name.startswith(eyes)}
        missing = model.load_state_dict(found, strict=False).missing_keys
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{file} cannot be used: {first_line(error)}", _START) from error
    if lacking := [name for name in missing if name.startswith(eyes)]:
        raise ModelError(f"{file} has no {lacking[0]}", _START)


def _processor(pairs: DrawnPairs, vocabulary: int) -> DeltaVLMProcessor:
    tokenizer = speaking_tokenizer(pairs, vocabulary)
    return DeltaVLMProcessor(compact_config(vocabulary), tokenizer, tokenizer)


def _see(
    model: DeltaVLMForConditionalGeneration, pairs: DrawnPairs, work: Path, options: CompactOptions
) -> None:
    """Both passes; each is left out when its weights are there."""
    if (work / _WHOLE).exists():
        load_eyes(model, work / _WHOLE)
        return
    if (work / _SEEN).exists():
        load_eyes(model, work / _SEEN)
    else:
        crops = SeeingOptions(options.crop_steps, options.crop_batch, learning_rate=1e-3)
        learn_to_see(model, pairs, work / "seeing", crops, MILD)
        _save_eyes(model, work / _SEEN)
    whole = SeeingOptions(options.whole_steps, options.whole_batch, learning_rate=5e-4)
    learn_to_see(model, pairs, work / "whole", whole)
    _save_eyes(model, work / _WHOLE)


def _save_eyes(model: DeltaVLMForConditionalGeneration, file: Path) -> None:
    parts = {
        name: part.contiguous()
        for name, part in model.state_dict().items()
        if name.startswith(("vision.", "dense."))
    }
    with writing_told(file, AGAIN), written_whole(file) as aside:
        save_file(parts, aside)
