"""Checkpoints that are whole or not there, and the folders that they lie in."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn
from transformers import Trainer

from geochg.errors import InputError, RunError
from geochg.files.new_files import write_text_aside
from geochg.files.text_file import parsed_json, read_text
from geochg.models.model_files import checksum

_NAME = re.compile(r"checkpoint-(\d+)")
ASIDE = ".saving"
"""Folder in which a checkpoint is written before it is moved to its place."""

WHOLE = "whole"
"""The file that is written last, with the checksums of all others."""


def newest_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint of a run's folder; None where there is none."""
    return max(whole_checkpoints(folder), key=step_of, default=None)


def whole_checkpoints(folder: Path) -> list[Path]:
    """All whole checkpoints, in no order."""
    return [path for path in folder.glob("checkpoint-*") if (path / WHOLE).is_file()]


def write_checksums(folder: Path) -> None:
    """Notes in a folder that all of it was written, and the checksum of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    checksums = {path.relative_to(folder).as_posix(): checksum([path]) for path in files}
    write_text_aside(folder / WHOLE, json.dumps(checksums))


def check_checksums(folder: Path, hint: str) -> None:
    """Refuses a folder of which a file is no longer as it was written.

    Args:
        folder: The folder whose files `write_checksums` noted.
        hint: What the user does about it.

    Raises:
        InputError: If a file is missing or differs; it names the first.
    """
    try:
        checksums = parsed_json(read_text(folder / WHOLE))
    except (InputError, ValueError):
        checksums = None
    damaged = "" if isinstance(checksums, dict) and checksums else WHOLE
    for name, digest in checksums.items() if not damaged else ():
        path = folder / name
        if not path.is_file() or checksum([path]) != digest:
            damaged = damaged or name
    if damaged:
        raise InputError(
            f"{folder} is damaged: {damaged} is missing, or not as it was written", hint
        )


def check_checkpoint(checkpoint: Path) -> None:
    """Refuses a damaged checkpoint.

    Raises:
        InputError: As `check_checksums`.
    """
    check_checksums(checkpoint, "remove that folder, to go on from the checkpoint before it")


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def settle_checkpoint(folder: Path, step: int, keep: int) -> None:
    """Moves a checkpoint that was written aside to its place, and drops the oldest ones.

    Args:
        folder: The run's folder.
        step: Step of the checkpoint.
        keep: Number of checkpoints to keep.
    """
    target, written_folder = folder / f"checkpoint-{step}", folder / ASIDE / f"checkpoint-{step}"
    write_checksums(written_folder)
    # What lies there is of the same step: half written, or just as good.
    shutil.rmtree(target, ignore_errors=True)
    written_folder.replace(target)
    for old in sorted(whole_checkpoints(folder), key=step_of)[:-keep]:
        (old / WHOLE).unlink()
        shutil.rmtree(old, ignore_errors=True)


RESUME, REPEAT = "go on with --resume", "give the same command again"
"""What the user does after a disk was full: with most runs, and with one that goes on by itself."""

_TORCH_WRITERS = ("inline_container", "PytorchStreamWriter", "PytorchFileWriter")
"""Names of the part of torch that writes, in the errors that it raises."""

_SAFETENSORS_FAILURES = ("No space left", "File too large", "I/O error", "IoError", "os error")
"""Words of safetensors where a system call failed, rather than where a file is broken."""


@contextmanager
def explain_write_errors(path: Path, next_step: str = RESUME) -> Iterator[None]:
    """Turns what a disk refuses within the block into an error that says what to do.

    Args:
        path: The file or folder that is written, for the message.
        next_step: What the user does then: `RESUME` or `REPEAT`.

    Raises:
        RunError: If the block could not write; safetensors and torch raise errors of their own.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _is_refused_write(error):
            raise
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise RunError(
            f"cannot write {path}: {reason}", f"make room on that disk and {next_step}"
        ) from error


def _is_refused_write(error: Exception) -> bool:
    text = str(error)
    if isinstance(error, SafetensorError):
        return any(words in text for words in _SAFETENSORS_FAILURES)
    return isinstance(error, OSError) or any(name in text for name in _TORCH_WRITERS)


def check_work_dir(work_dir: Path, state_name: str) -> None:
    """Refuses a folder of something else, in which a run would write and clear up.

    Args:
        work_dir: The folder for checkpoints and logs; it need not exist.
        state_name: Name of the file in which a run notes what it was begun with, before all else.

    Raises:
        InputError: If the folder holds other files and no such note, or is no folder.
    """
    if not work_dir.exists() or (work_dir / state_name).is_file():
        return
    if not work_dir.is_dir():
        raise InputError(f"{work_dir} is a file", "name a folder with --work")
    # A run that was killed at its beginning has left half of its note.
    if strange := sorted(path.name for path in work_dir.iterdir() if path.name != f".{state_name}"):
        raise InputError(
            f"{work_dir} holds {strange[0]}, which no run of geochg made",
            "name another folder with --work",
        )


class WholeTrainer(Trainer):
    """transformers' Trainer, whose checkpoints are whole or not there.

    Args:
        keep: Checkpoints to keep.
        next_step: What the user does after a disk was full: `RESUME` or `REPEAT`.
        **settings: Arguments of `transformers.Trainer`.
    """

    def __init__(self, keep: int = 2, next_step: str = RESUME, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(**settings)
        self.keep = keep
        self.next_step = next_step
        self._saving = False

    def train_on(self) -> None:
        """Trains from the last whole checkpoint, or from the start where there is none.

        Raises:
            InputError: If that checkpoint is damaged.
        """
        checkpoint = newest_checkpoint(Path(self.args.output_dir or ""))
        if checkpoint is not None:
            check_checkpoint(checkpoint)
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
            with explain_write_errors(folder, self.next_step):
                super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                with explain_write_errors(folder, self.next_step):
                    settle_checkpoint(folder, self.state.global_step, self.keep)
        finally:
            self._saving = False
        self.accelerator.wait_for_everyone()
