"""Answers kept in a file as they come, so that a run that was interrupted can go on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

from geochg.errors import InputError, RunError
from geochg.evaluation.answers import AnswerRow, AnswerSet, AnswerSetHead
from geochg.evaluation.predictions import KIND, Prediction, prediction_line
from geochg.files.same_run import refuse_another_run
from geochg.writers.staging import write_output

_FIRST_BYTES = json.dumps({"kind": KIND})[:-1].encode()
"""First bytes of a file of answers."""


class PartialAnswers:
    """The answers of a run under way; `finish` turns them into the file that was asked for.

    A context manager; left before `finish`, it leaves the file for `resume`, or nothing when there
    is nothing in it. Where `resume` finds the run at its end already, there is nothing left to ask.

    Args:
        target: The file of predictions; None keeps them in memory.
        head: Head of the file.
        resume: Whether to go on with partial answers.

    Raises:
        InputError: If an unfinished run lies there and `resume` is not set, or it is damaged.
        OptionError: If it asked something else, or another model.
        RunError: If it cannot be written.
    """

    def __init__(self, target: Path | None, head: AnswerSetHead, *, resume: bool) -> None:
        self.head = head
        self.rows: list[AnswerRow] = []
        self.exchanged: list[Prediction] = []
        self._target = target
        self._path = None if target is None else partial_path(target)
        self._file: IO[str] | None = None
        if self._path is not None:
            if _has_content(self._path):
                self._go_on(self._path, resume=resume)
            elif resume and target is not None and target.is_file():
                self._go_on(target, resume=True)
                if self._has_all():
                    return
                # Somebody took lines out of it.
                with _write_errors(self._path):
                    shutil.copyfile(target, self._path)
            self._file = self._open(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            self._file.close()
        if self._path is not None and not self.rows:
            self._path.unlink(missing_ok=True)

    def add(self, rows: Iterable[AnswerRow]) -> None:
        """Keeps answers; they are on disk when this returns.

        Raises:
            RunError: If they cannot be written.
        """
        new = list(rows)
        self.rows += new
        self._write("".join(f"{row.line()}\n" for row in new))

    def add_exchanged(self, rows: Iterable[Prediction]) -> None:
        """Keeps answers about exchanged pairs; they are on disk when this returns.

        Raises:
            RunError: If they cannot be written.
        """
        new = list(rows)
        self.exchanged += new
        self._write("".join(f"{prediction_line(row)}\n" for row in new))

    def _go_on(self, path: Path, *, resume: bool) -> None:
        """Takes up the answers of an earlier run."""
        answers = _resumable_answers(path, self.head, resume=resume)
        self.rows, self.exchanged = list(answers.rows), list(answers.exchanged)

    def _has_all(self) -> bool:
        asked_pairs = self.head.exchange.get("pairs", 0)
        return len(self.rows) == self.head.items and len(self.exchanged) == asked_pairs

    def finish(self) -> AnswerSet:
        """All answers; the file is where it was asked for.

        Raises:
            RunError: If it cannot be moved there.
        """
        if self._file is not None and self._path is not None and self._target is not None:
            self._file.close()
            # What may be replaced was checked before anything was asked.
            write_output(self._target, partial(shutil.copyfile, self._path), overwrite=True)
            self._path.unlink()
        return AnswerSet(self.head, tuple(self.rows), tuple(self.exchanged))

    def _open(self, path: Path) -> IO[str]:
        with _write_errors(path):
            file = path.open("a", encoding="utf-8", newline="\n")
        self._file = file
        if not self.rows and path.stat().st_size == 0:
            self._write(f"{self.head.line()}\n")
        return file

    def _write(self, text: str) -> None:
        if self._file is None or self._path is None:
            return
        with _write_errors(self._path):
            self._file.write(text)
            self._file.flush()
            os.fsync(self._file.fileno())


def partial_path(target: Path) -> Path:
    """The file of partial answers of a run, until all are there."""
    return target.with_name(f"{target.name}.unfinished")


def _has_content(path: Path) -> bool:
    """Whether a file holds a line; half a line, at which a run was killed, is cut off.

    A file that does not begin like one of answers is left as it is; its reader refuses it.
    """
    with _write_errors(path):
        if not path.exists():
            return False
        content = path.read_bytes()
        whole_bytes = content.rfind(b"\n") + 1
        if whole_bytes < len(content) and content.startswith(_FIRST_BYTES[: len(content)]):
            with path.open("r+b") as file:
                file.truncate(whole_bytes)
            return whole_bytes > 0
    return bool(content)


def _resumable_answers(path: Path, head: AnswerSetHead, *, resume: bool) -> AnswerSet:
    partial = AnswerSet.read(path)
    if not resume:
        raise InputError(
            f"{path} holds an unfinished run ({len(partial.rows)} of {partial.head.items} answers)",
            "add --resume to finish it, or delete that file to start again",
        )
    refuse_another_run(_head_values(partial.head), _head_values(head), path)
    return partial


def _head_values(head: AnswerSetHead) -> dict[str, Any]:
    """The values that a run must share with another to go on with it, by name, as JSON."""
    values: dict[str, Any] = json.loads(head.line())
    return {
        "model": [values["model"], values["identity"]],
        "model options": values["model_options"],
        "rows": [values["asked"]],
        "tasks": values["unasked"],
        "clues and prompts": values["wording"],
        "exchange": values["exchange"],
    }


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turns what a disk refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            "make room on that disk, or choose another file; then go on with --resume",
        ) from error
