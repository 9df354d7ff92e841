"""METEOR 1.5, which is a Java program that pycocoevalcap brings; there is no other of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Self

from geochg.errors import RunError


def meteor_lacks() -> str:
    """What METEOR would need and is not here; empty where all is."""
    lacking = []
    if find_spec("pycocoevalcap") is None:
        lacking.append("the package pycocoevalcap")
    if shutil.which("java") is None:
        lacking.append("Java")
    return " and ".join(lacking)


class Meteor:
    """The program, started; a context manager, because it goes on running.

    Raises:
        RunError: If it cannot be started.
    """

    def __init__(self) -> None:
        from pycocoevalcap.meteor.meteor import Meteor as Program

        try:
            self._program: Any = Program()
        except OSError as error:
            raise RunError(f"METEOR cannot be started: {error}", _HINT) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        process, lock = self._program.meteor_p, self._program.lock
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                stream.close()
        if lock.locked():  # left so by an error; its destructor would wait for ever
            lock.release()

    def score(self, said: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
        """The score of all texts together, 0-1, on words, with stems, synonyms and paraphrases.

        Args:
            said: Words of each text; joined by blanks.
            references: Of each, sentences of words joined by blanks.

        Raises:
            RunError: If the program fails.
        """
        given = {number: [" ".join(one)] for number, one in enumerate(said)}
        wanted = {number: list(each) for number, each in enumerate(references)}
        try:
            score, _ = self._program.compute_score(wanted, given)
        except (OSError, ValueError) as error:
            raise RunError(f"METEOR failed: {' '.join(str(error).split())}", _HINT) from error
        return float(score)


_HINT = "check that java runs, or leave METEOR out with --no-meteor"
