"""What comes out of a run: an adapter, or a whole model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from geochg.models.library_guards import quiet_libraries
from geochg.models.model_files import UNFINISHED
from geochg.training.finetune.adapters import merge, merge_into, save_adapter
from geochg.training.finetune.base import Base
from geochg.training.finetune.base_loading import whole_pupil
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.pruning import Masks, check_cut, cut, save_masks
from geochg.training.finetune.run_folder import ADAPTER
from geochg.training.finetune.trainable_model import Pupil


def as_it_comes_out(
    pupil: Pupil, base: Base, options: TuneOptions, masks: Masks, work: Path
) -> Pupil:
    """The pupil as `write_tuned` writes it: with its adapter, or merged with what was pruned cut.

    Quantised weights cannot take an adapter without loss, so it is merged into the base in full
    precision, on the CPU; what was pruned is cut again after a merge.

    Args:
        pupil: As it was trained; changed in place where its weights are whole.
        base: What it was.
        options: How it was trained.
        masks: What stays cut.
        work: The run's folder.
    """
    if options.gives_adapter:
        return pupil
    if options.bits is None:
        merge(pupil)
    else:
        shutil.rmtree(work / ADAPTER, ignore_errors=True)
        save_adapter(pupil, work / ADAPTER)
        pupil = whole_pupil(base, options, work)
        merge_into(pupil, work / ADAPTER)
    pupil.eval()
    cut(pupil.network, masks)
    return pupil


def write_tuned(pupil: Pupil, options: TuneOptions, masks: Masks, folder: Path) -> dict[str, Any]:
    """Writes what was learned, and gives what is to be told of it.

    Args:
        pupil: See `as_it_comes_out`; not to be used afterwards.
        options: How it was trained.
        masks: What is cut.
        folder: Where to; carries a mark, so that nobody loads it, until `finished`.

    Raises:
        RunError: If pruned weights grew back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    if options.gives_adapter:
        save_adapter(pupil, folder)
        return {}
    told: dict[str, Any] = {}
    if masks:
        told["sparsity"] = check_cut(pupil.network, masks, options.prune)
        save_masks(masks, folder)
    with quiet_libraries():
        pupil.save(folder)
    pupil.finish(folder)
    return told


def finished(folder: Path) -> None:
    """Takes the mark of what is not whole off a folder."""
    (folder / UNFINISHED).unlink(missing_ok=True)
