"""Checkpoints that are whole or not there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from torch import nn
from transformers import Trainer

from geochg.training.storage import RESUMED, writing_told

_NAME = re.compile(r"checkpoint-(\d+)")
ASIDE = ".saving"
"""Folder in which a checkpoint is written before it is moved to its place."""

WHOLE = "whole"
"""The file that is written last."""


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint of a run's folder; None where there is none."""
    return max(whole(folder), key=step_of, default=None)


def whole(folder: Path) -> list[Path]:
    """All whole checkpoints, in no order."""
    return [path for path in folder.glob("checkpoint-*") if (path / WHOLE).is_file()]


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else -1


def settle(folder: Path, step: int, keep: int) -> None:
    """Moves a checkpoint that was written aside to its place, and drops the oldest ones.

    Args:
        folder: Of the run.
        step: Of the checkpoint.
        keep: How many to keep.
    """
    place, written = folder / f"checkpoint-{step}", folder / ASIDE / f"checkpoint-{step}"
    (written / WHOLE).touch()
    # What lies there is of the same step: half written, or just as good.
    shutil.rmtree(place, ignore_errors=True)
    written.replace(place)
    for old in sorted(whole(folder), key=step_of)[:-keep]:
        (old / WHOLE).unlink()
        shutil.rmtree(old, ignore_errors=True)


AGAIN = "give the same command again"
"""How one goes on with a recipe that goes on by itself, after a disk was full."""


class WholeTrainer(Trainer):
    """transformers' Trainer, whose checkpoints are whole or not there.

    Args:
        keep: Checkpoints kept.
        resumed: How one goes on after a disk was full, for the message.
        **settings: As of `transformers.Trainer`.
    """

    def __init__(self, keep: int = 2, resumed: str = RESUMED, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(**settings)
        self.keep = keep
        self.resumed = resumed
        self._saving = False

    def go_on(self) -> None:
        """Trains from the last whole checkpoint, or from the start where there is none."""
        checkpoint = newest(Path(self.args.output_dir or ""))
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def _get_output_dir(self, trial: Any) -> str:  # noqa: ANN401
        folder = str(super()._get_output_dir(trial))
        return str(Path(folder) / ASIDE) if self._saving else folder

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401
        """Writes a checkpoint aside and moves it to its place when all processes have written."""
        folder = Path(self.args.output_dir or "")
        self._saving = True
        try:
            if self.is_world_process_zero():
                shutil.rmtree(folder / ASIDE, ignore_errors=True)
            self.accelerator.wait_for_everyone()
            with writing_told(folder, self.resumed):
                super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                with writing_told(folder, self.resumed):
                    settle(folder, self.state.global_step, self.keep)
        finally:
            self._saving = False
        self.accelerator.wait_for_everyone()
