"""Text metrics that need packages or programs beside geochg: BERTScore and METEOR."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from geochg.errors import InputError, ModelError, RunError
from geochg.extras import install_command, is_installed, missing_extra

_ENCODER_HINT = (
    "name a folder with the config.json, weights and tokenizer of an encoder such as BERT"
)
_METEOR_HINT = "check that java runs, or leave METEOR out with --no-meteor"


def metric_module(name: str) -> Any:  # noqa: ANN401
    """A module of the packages behind the text metrics.

    Raises:
        MissingExtraError: If the package is not installed.
        ModelError: If it cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        broken = ModelError(f"{name} cannot be imported: {error}", "install the package again")
        raise missing_extra(error) or broken from error


# --- BERTScore -----------------------------------------------------------------------------------


def bert_layers(folder: Path) -> int:
    """The layer that is compared: the one bert-score knows as best by the name, else the last.

    Raises:
        InputError: If the folder holds no encoder.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers = config["num_hidden_layers"]
    except OSError as error:
        raise InputError(f"{folder} holds no model: {error.strerror}", _ENCODER_HINT) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'config.json'} describes no encoder", _ENCODER_HINT) from error
    if "t5" in str(folder) or str(folder).startswith("scibert"):
        # bert-score goes by what the path looks like.
        raise InputError(
            f"bert-score takes {folder} for another kind of model, by its name", "rename the folder"
        )
    layer_counts: dict[str, int] = metric_module("bert_score.utils").model2layers
    return layer_counts.get(folder.resolve().name, int(layers))


def bert_f1(texts: Sequence[str], references: Sequence[Sequence[str]], folder: Path) -> list[float]:
    """BERTScore F (Zhang et al. 2020) of each text, about 0-1, the best over its references.

    An empty text has 0. Not rescaled: the score of two unrelated sentences depends on the encoder.

    Args:
        texts: Texts to score.
        references: References of each text; at least one.
        folder: Folder of the encoder.

    Raises:
        InputError: If there is no encoder in the folder.
        MissingExtraError: If bert-score is not installed.
    """
    layers = bert_layers(folder)
    from geochg.models.library_guards import quiet_libraries

    bert_score = metric_module("bert_score")
    scores = [0.0] * len(texts)
    indexes = [index for index, text in enumerate(texts) if text.strip()]
    if not indexes:
        return scores
    try:
        with quiet_libraries():
            _, _, f1 = bert_score.score(
                [texts[index] for index in indexes],
                [list(references[index]) for index in indexes],
                model_type=str(folder),
                num_layers=layers,
            )
    except (OSError, ValueError, AssertionError, OverflowError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{folder} cannot be used as an encoder: {line}", _ENCODER_HINT) from error
    for index, value in zip(indexes, f1.tolist(), strict=True):
        scores[index] = value
    return scores


# --- METEOR --------------------------------------------------------------------------------------


def missing_for_meteor() -> str:
    """What METEOR needs and this machine lacks, in words; empty where it lacks nothing."""
    missing = []
    if not is_installed("pycocoevalcap"):
        missing.append(f"pycocoevalcap ({install_command('meteor')})")
    if shutil.which("java") is None:
        missing.append("Java")
    return " and ".join(missing)


class Meteor:
    """METEOR 1.5, a Java program that pycocoevalcap brings; a context manager that ends it.

    Raises:
        RunError: If it cannot be started.
    """

    def __init__(self) -> None:
        from pycocoevalcap.meteor.meteor import Meteor as Program

        try:
            self._program: Any = Program()
        except OSError as error:
            raise RunError(f"METEOR cannot be started: {error}", _METEOR_HINT) from error

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

    def score(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """The score of all texts together, 0-1, on words, with stems, synonyms and paraphrases.

        Args:
            texts: Texts of words joined by blanks.
            references: References of each text, also of words joined by blanks.

        Raises:
            RunError: If the program fails.
        """
        try:
            score, _ = self._program.compute_score(
                {number: list(group) for number, group in enumerate(references)},
                {number: [text] for number, text in enumerate(texts)},
            )
        except (OSError, ValueError) as error:
            line = " ".join(str(error).split())
            raise RunError(f"METEOR failed: {line}", _METEOR_HINT) from error
        return float(score)


@dataclass(frozen=True)
class OptionalMetrics:
    """The metrics that only some machines can compute.

    Attributes:
        meteor: The started program; None where METEOR is left out.
        bert: Folder of an encoder; None where BERTScore is left out.
        notes: Sentences on what is left out, and why.
    """

    meteor: Meteor | None = None
    bert: Path | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def start(cls, stack: ExitStack, bert: Path | None, *, meteor: bool = True) -> Self:
        """Starts the metrics of this machine, which end with the stack.

        Raises:
            RunError: If METEOR is installed and cannot be started.
        """
        missing = missing_for_meteor() if meteor else "you (--no-meteor)"
        program = None if missing else stack.enter_context(Meteor())
        notes = [f"METEOR is left out: it needs {missing}"] if missing and meteor else []
        if bert is None:
            notes.append("BERTScore is left out: name an encoder's folder with --bert")
        return cls(program, bert, tuple(notes))
