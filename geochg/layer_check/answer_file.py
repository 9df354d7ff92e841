"""Answers of a model about single polygons, kept beside the output until the check is complete."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from geochg.errors import InputError
from geochg.files.text_file import parsed_json
from geochg.records import Label

_HEAD = "geochg_check"


def answer_path(output: Path) -> Path:
    """Where the answers of a check with this output lie."""
    return output.with_name(f"{output.name}.answers")


@dataclass
class AnswerFile:
    """Answers by the key of what was asked about; in memory alone where there is no file.

    Attributes:
        path: The file; None for none.
        answers: The answers so far.
    """

    path: Path | None
    answers: dict[str, Label] = field(default_factory=dict)
    _stream: IO[str] | None = None

    @classmethod
    def open(cls, path: Path | None, fingerprint: str, *, resume: bool) -> Self:
        """Opens the answers of a check.

        Args:
            path: The file; None for none.
            fingerprint: What tells this check from others.
            resume: Whether to go on with answers that are there.

        Raises:
            InputError: If there are answers and the check is not to go on, or they are those of
                another check.
        """
        if path is None:
            return cls(None)
        known_answers: dict[str, Label] = {}
        if path.exists():
            known_answers = _read(path, fingerprint, resume=resume)
        answers = cls(path, known_answers)
        try:
            answers._stream = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror or error}", "choose another output"
            ) from error
        answers._write({_HEAD: fingerprint})
        for key, label in known_answers.items():
            answers._write_answer(key, label)
        answers._stream.flush()
        return answers

    def add(self, new_answers: dict[str, Label]) -> None:
        """Keeps some answers."""
        self.answers |= new_answers
        if self._stream is not None:
            for key, label in new_answers.items():
                self._write_answer(key, label)
            self._stream.flush()

    def close(self) -> None:
        """Closes the file, which stays."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def remove(self) -> None:
        """Deletes the file: the check is complete."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _write_answer(self, key: str, label: Label) -> None:
        self._write({"key": key, "present": label.present, "probability": label.probability})

    def _write(self, row: dict[str, object]) -> None:
        assert self._stream is not None
        self._stream.write(json.dumps(row) + "\n")


def _read(path: Path, fingerprint: str, *, resume: bool) -> dict[str, Label]:
    if not resume:
        raise InputError(
            f"{path} holds the answers of an unfinished check",
            "add --resume to go on with it, or delete that file",
        )
    try:
        lines = path.read_text("utf-8").splitlines()
        head = parsed_json(lines[0]) if lines else {}
    except (OSError, ValueError) as error:
        raise _damage(path) from error
    if not isinstance(head, dict) or head.get(_HEAD) != fingerprint:
        raise InputError(
            f"{path} holds the answers of another check",
            "give the same layer, image, model and class, or delete that file",
        )
    answers = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            row = parsed_json(line)
            present, probability = row["present"], row["probability"]
            if present not in (True, False, None):
                raise ValueError(present)
            if probability is not None and not 0 <= probability <= 1:
                raise ValueError(probability)
            answers[str(row["key"])] = Label(present, probability)
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):  # a line that was being written
                break
            raise _damage(path) from error
    return answers


def _damage(path: Path) -> InputError:
    return InputError(f"{path} is damaged", "delete that file, and check anew")
