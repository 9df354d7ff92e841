"""The contract of a change model.

A backend is a class derived from `ChangeModel` and named by an entry point of the group
`geochg.models`; ours use the same door. It answers a batch of tile pairs for a list of questions
in one call, so that it can encode each pair once, batch across tiles and questions, and leave out
what is not needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from geochg.errors import GeochgError, ModelError, RunError
from geochg.models.chat.rule_based import ObservedTile, reply
from geochg.options import Options
from geochg.records import (
    CLASSES,
    Answer,
    Caption,
    Counts,
    Exchange,
    Outlines,
    PairFacts,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.safety.finite import finite
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned
from geochg.tasks import ask

USUAL_TILE_PX = 256
"""Side of the tiles that `Capabilities.batch_tiles` counts."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do and what it wants to be given.

    Attributes:
        tasks: The tasks it answers.
        location: How it answers `locate`: `grid` (the nine cells) or `mask` (`Outlines`).
        pixels: `display` for uint8 stretched the same way in every tile, `values` for float32 in
            source units.
        bands: `rgb` for three display bands, `rgb+nir` for these and the near infrared where both
            dates name one, `all` for every band the two dates share.
        classes: The classes its answers can name.
        surveys: Whether it needs a first pass over a sample of the tiles.
        survey_tiles: Most tiles of that sample.
        survey_is_optional: Whether it can answer about single tiles without that pass, each a scene
            of its own.
        video: Whether it can take more than two dates.
        streams: Whether it can stream text.
        clues: Whether it reads `Tile.clue`.
        asked_in_words: The tasks for which the words of the question matter.
        batch_tiles: Tiles it is best asked about in one call when they are of 256 px; of larger
            tiles it is given fewer, so that the pixels stay as many.
    """

    tasks: frozenset[Task]
    location: Literal["grid", "mask"]
    pixels: Literal["display", "values"]
    bands: Literal["rgb", "rgb+nir", "all"]
    classes: tuple[str, ...] = CLASSES
    surveys: bool = False
    survey_tiles: int = 256
    survey_is_optional: bool = False
    video: bool = False
    streams: bool = False
    clues: bool = False
    asked_in_words: frozenset[Task] = frozenset()
    batch_tiles: int = 16

    @property
    def needs_survey(self) -> bool:
        """Whether it cannot answer without a survey."""
        return self.surveys and not self.survey_is_optional

    def tiles_at_once(self, tile_size_px: int) -> int:
        """How many tiles of a size to ask about in one call: `batch_tiles` by their pixels."""
        fewer = self.batch_tiles * USUAL_TILE_PX**2 // tile_size_px**2
        return max(1, min(self.batch_tiles, fewer))


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model gave the answers, for the provenance of the output.

    Attributes:
        id: What `--model` was given, resolved, without secrets.
        checksum: `sha256:...` of the weights, or of the settings where there are no weights.
        adapter: The adapter folder's id, empty when there is none.
    """

    id: str
    checksum: str
    adapter: str = ""

    def __post_init__(self) -> None:
        # Names of models come from servers and folders of others.
        for name in ("id", "adapter"):
            object.__setattr__(self, name, cleaned(getattr(self, name), LONGEST_TEXT))


@contextmanager
def backend_errors(model: ChangeModel) -> Iterator[None]:
    """Turns what a backend did not foresee into an error that names the backend.

    Backends come from anyone, so this is the one place that catches everything.

    Raises:
        RunError: If anything but a `GeochgError` escapes the block.
    """
    try:
        yield
    except GeochgError:
        raise
    except Exception as error:
        raise RunError(
            f"the model {model.name} failed: {type(error).__name__}: {cleaned(error)}",
            "what was done is kept: run again with --resume, or report this to its authors",
        ) from error


class ChangeModel(ABC):
    """A change model, ready to answer.

    What a backend can foresee (a pair it cannot work on, a device it does not have) it raises as a
    `GeochgError`; anything else that escapes it ends the run with an error that names it.

    Class attributes declare the backend without loading anything heavy: a module that defines a
    backend imports torch and the like only inside `load` and later.
    """

    name: ClassVar[str]
    """The backend's name, as in `--model name` or `--model name:source`."""
    summary: ClassVar[str]
    """One line for `geochg models`."""
    capabilities: ClassVar[Capabilities]
    options_type: ClassVar[type[Options]]
    """The frozen dataclass of the backend's own options."""

    @classmethod
    @abstractmethod
    def load(cls, source: str, options: Options, device: str) -> Self:
        """Makes the model ready.

        Args:
            source: What follows the colon of `--model`; empty for backends without weights.
            options: An instance of `options_type`.
            device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

        Raises:
            ModelError: If the source, the options or the device do not fit.
        """

    @classmethod
    def presence_options(cls, options: Options, probability: float) -> Mapping[str, Any]:
        """The options with which a tile changed only above another probability of presence.

        `geochg evaluate --fit-threshold` looks for that probability. With 0 no tile is held back
        but for other reasons than its probability.

        Args:
            options: An instance of `options_type`, with which the probability came about.
            probability: As `Presence.probability`, 0-1.

        Returns:
            What changes in the options; empty where the model has no such option.
        """
        return {}

    @property
    @abstractmethod
    def identity(self) -> ModelIdentity:
        """Which model this is."""

    # Deliberately not abstract: most models need no survey.
    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:  # noqa: B027
        """Looks at a pair before the first tile is answered.

        Called once for a run, always with the same tiles for the same pair and options.

        Args:
            facts: What holds for every tile.
            sample: Tiles spread evenly over the grid (all of them when there are few), given only
                when `capabilities.surveys`; may be iterated once.

        Raises:
            ModelError: If the model cannot work on such a pair (too few bands, say).
        """

    def prompt(self, question: Question) -> str:
        """What is put to the model for a question, for the provenance of the output.

        Args:
            question: As `answer` is given it.
        """
        return question.text

    @abstractmethod
    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile.

        Called on a thread that is not the main one, with one batch at a time, and only after
        `survey` has returned; meanwhile other threads read tiles and work on earlier answers.

        Args:
            tiles: The batch; all of one size.
            questions: Asked of every tile, in order; tasks are among `capabilities.tasks`.

        Returns:
            One entry a tile, in order: a sequence with one answer a question, or a `TileFailure`
            (pixels that are not finite, an answer that never came), which must not spoil the
            other tiles of the batch.
        """

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers a free question about a tile, in a conversation that may have begun before.

        A model that outlines answers from its outlines, counts and captions
        (`models.chat.rule_based`); one that takes free questions is asked without the exchanges.

        Args:
            tile: The pixels of the place that is asked about.
            facts: What holds for the whole pair.
            exchanges: Earlier questions with their answers.
            question: The new question.

        Yields:
            The answer, piece by piece.

        Raises:
            ModelError: If the model cannot answer free questions.
            RunError: If the place cannot be answered about.
        """
        if self.capabilities.location == "mask":
            yield reply(question, self._observed_tile(tile, facts))
        elif Task.QUESTION in self.capabilities.tasks:
            answers = self._answers_about(tile, [Question(Task.QUESTION, question)])
            yield getattr(answers[0], "text", "")
        else:
            raise ModelError(
                f"the model {self.name} cannot answer free questions",
                "choose another, see `geochg models`",
            )

    def _observed_tile(self, tile: Tile, facts: PairFacts) -> ObservedTile:
        wanted = [
            t for t in (Task.LOCATE, Task.COUNT, Task.CAPTION) if t in self.capabilities.tasks
        ]
        answers = self._answers_about(tile, [ask(task) for task in wanted])
        given = dict(zip(wanted, answers, strict=True))
        outlines, counts = given[Task.LOCATE], given.get(Task.COUNT)
        caption = given.get(Task.CAPTION)
        assert isinstance(outlines, Outlines)
        # Where a file holds nothing, a change that is plain to see may be a tiny share of the tile.
        shown = tile.valid & (tile.before.any(axis=0) | tile.after.any(axis=0))
        return ObservedTile(
            outlines,
            tile.valid,
            facts.pixel_area_m2,
            int(np.count_nonzero(shown)),
            counts if isinstance(counts, Counts) else None,
            caption if isinstance(caption, Caption) else None,
        )

    def _answers_about(self, tile: Tile, questions: Sequence[Question]) -> Sequence[Answer]:
        (answers,) = self.answer([tile], questions)
        answers = finite(tile, answers)
        if isinstance(answers, TileFailure):
            raise RunError(f"no answer: {answers.reason}", "ask about another place")
        return answers
