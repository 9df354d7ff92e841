"""Opens a base for training: as it is, pruned, quantised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from geochg.errors import ModelError
from geochg.files.new_files import make_folder_aside
from geochg.models.library_guards import quiet_libraries
from geochg.models.vlm.loading import How, open_vlm
from geochg.training.finetune.base import Base
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.processes import is_first, made_by_first
from geochg.training.finetune.pruning import Masks, cut, load_masks, magnitude_masks, save_masks
from geochg.training.finetune.run_folder import PRUNED
from geochg.training.finetune.trainable_model import Pupil
from geochg.training.storage import writing_told

_KEPT_WHOLE = tuple(
    rf".*{part}.*"
    for part in ("vision", "dense", "qformer", "relation", "language_projection", "summary")
)
"""Modules of a DeltaVLM that are small, or see, and are not quantised."""

_ANSWER_TOKENS = 128


def open_pupil(base: Base, options: TuneOptions, device: str, work: Path) -> tuple[Pupil, Masks]:
    """The base ready to be adapted, and the masks of what was pruned.

    The order is: prune, keep the masks in the run's folder, quantise. A pruned base that is
    quantised lies there in full precision, since it is needed again when the adapter is merged.

    Args:
        base: Which.
        options: What is pruned and quantised.
        device: Where it runs.
        work: The run's folder.

    Raises:
        ModelError: If it cannot be opened, pruned or quantised.
    """
    if not options.prune:
        return _opened(base, options, device, options.bits), {}
    if options.bits is None:
        pupil = _opened(base, options, device, None)
        masks = load_masks(work)
        if not masks:
            masks = magnitude_masks(pupil.network, options.prune)
            if is_first():
                with writing_told(work):
                    save_masks(masks, work)
        cut(pupil.network, masks)
        return pupil, masks
    made_by_first("pruned base", lambda: _make_pruned(base, options, work))
    pruned = replace(base, folder=work / PRUNED)
    return _opened(pruned, options, device, options.bits), load_masks(work)


def whole_pupil(base: Base, options: TuneOptions, work: Path) -> Pupil:
    """The base in full precision, pruned where that was asked, for an adapter to be merged into."""
    if not options.prune:
        return _opened(base, options, "cpu", None)
    pupil = _opened(pruned_base(base, options, work), options, "cpu", None)
    # The run's folder holds the weights only, not what was exported from the base.
    pupil.folder = base.folder
    return pupil


def pruned_base(base: Base, options: TuneOptions, work: Path) -> Base:
    """The pruned base in the run's folder; made when it is not there."""
    _make_pruned(base, options, work)
    return replace(base, folder=work / PRUNED)


def _make_pruned(base: Base, options: TuneOptions, work: Path) -> None:
    if (work / PRUNED).is_dir():
        return
    with writing_told(work), make_folder_aside(work / PRUNED) as folder:
        pupil = _opened(base, options, "cpu", None)
        masks = magnitude_masks(pupil.network, options.prune)
        cut(pupil.network, masks)
        save_masks(masks, work)
        with quiet_libraries():
            pupil.save(folder)


def _opened(base: Base, options: TuneOptions, device: str, bits: int | None) -> Pupil:
    how = How(device, _dtype(options, device), bits, "", _ANSWER_TOKENS, double=True)
    with _memory_told(bits):
        if base.kind == "vlm":
            from geochg.training.finetune.vlm import engine_pupil

            pupil = engine_pupil(open_vlm(base.folder, how), base.folder, options.max_tokens)
        else:
            pupil = _deltavlm(base, options, how)
    return pupil


def _deltavlm(base: Base, options: TuneOptions, how: How) -> Pupil:
    from geochg.models.deltavlm.loading import check_folder, open_model
    from geochg.models.quantised import quantised_settings
    from geochg.training.finetune.deltavlm import DeltaVLMPupil

    check_folder(base.folder)
    settings = None
    if how.bits is not None:
        settings = quantised_settings(
            how.bits, how.dtype, how.device, _KEPT_WHOLE, double=how.double
        )
    model, processor = open_model(base.folder, how.dtype, how.device, settings)
    return DeltaVLMPupil(model, processor, base.folder, options.max_tokens, options.seeing)


def _dtype(options: TuneOptions, device: str) -> torch.dtype:
    """Of frozen weights: halved on a GPU; weights that are trained need all digits."""
    if device == "cpu" or options.full or options.bf16 is False:
        return torch.float32
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


@contextmanager
def _memory_told(bits: int | None) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        from geochg.models.memory import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        raise ModelError(
            "there is too little memory for the base",
            "add --quantize 4bit" if bits is None else "use a smaller base",
        ) from error
