"""The contract of a change model.

A backend is a class derived from `ChangeModel` and named by an entry point of the group
`geochg.models`; ours use the same door. It answers a batch of tiles for a list of questions
in one call, so that it can encode each tile once, batch across tiles and questions, and leave out
what is not needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, get_args

from geochg.class_list import ClassList
from geochg.classes import CLASSES
from geochg.errors import GeochgError, ModelError, RunError
from geochg.options import Options
from geochg.records import (
    Answer,
    Exchange,
    PairFacts,
    Question,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.safety.finite import finite_answers
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    OptionsT = TypeVar("OptionsT", bound=Options, default=Any)
else:
    from typing import TypeVar

    OptionsT = TypeVar("OptionsT", bound=Options)

USUAL_TILE_PX = 256
"""Side of the tiles that `Capabilities.batch_tiles` counts."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The abilities of a backend, and the input that it takes.

    Attributes:
        tasks: The tasks it answers.
        location: The form of its answers to `locate`: `grid` (nine cells) or `mask` (`Outlines`).
        pixels: The pixels that it takes: `display` for uint8 stretched the same way in every tile,
            `values` for float32 in source units.
        bands: The bands that it takes: `rgb` for three display bands, `rgb+nir` for these and the
            near infrared where both dates name one, `all` for every band the two dates share.
        radar: Treatment of bands that say that they are radar: `taken` as any other, `doubtful`
            where it was made for pictures and its user is told, `refused`, or `needed` where it
            takes no others. None for `taken` by models that take all bands, else for `doubtful`.
        classes: The classes its answers can name; see `ChangeModel.classes_of`.
        surveys: Whether it needs a first pass over a sample of the tiles.
        survey_tiles: Most tiles of that sample.
        survey_is_optional: Whether it can answer about single tiles without that pass, each a scene
            of its own.
        fewest_dates: Least number of dates in a tile: 1 for models that tell of one image too.
        tasks_of_one: The tasks that it answers about a single image, by `describe`; presence stands
            for labels, and empty means that it takes pairs only.
        most_dates: Greatest number of dates in a tile. Series of more are shown to it in pairs, one
            step after the other.
        streams: Whether it can stream text.
        clues: Whether it reads `Tile.clue`.
        asked_in_words: The tasks for which the words of the question matter.
        free_classes: Whether it takes any words for classes: `Question.classes`, and for models
            that are not asked in words `ChangeModel.class_options`.
        asked_by_class: The tasks that it may be asked about class by class, by patterns with
            `{thing}` or `{things}` in a prompt.
        tells_land_cover: Whether its outlines tell the land cover, from which counts and captions
            of features follow, so that it need not be asked about them.
        keeps_names: Whether classes of its outlines stand as they are; else changes whose class
            their land cover does not bear out are of class `other`, see `features.naming`.
        gives_features: Whether its outlines come with dense features where they are asked for.
        batch_tiles: Tiles it is best asked about in one call when they are of 256 px; of larger
            tiles it is given fewer, so that the pixels stay as many.
    """

    tasks: frozenset[Task]
    location: Literal["grid", "mask"]
    pixels: Literal["display", "values"]
    bands: Literal["rgb", "rgb+nir", "all"]
    radar: Literal["taken", "doubtful", "refused", "needed"] | None = None
    classes: tuple[str, ...] = CLASSES
    surveys: bool = False
    survey_tiles: int = 256
    survey_is_optional: bool = False
    fewest_dates: int = 2
    tasks_of_one: frozenset[Task] = frozenset()
    most_dates: int = 2
    streams: bool = False
    clues: bool = False
    asked_in_words: frozenset[Task] = frozenset()
    free_classes: bool = False
    asked_by_class: frozenset[Task] = frozenset()
    tells_land_cover: bool = False
    keeps_names: bool = False
    gives_features: bool = False
    batch_tiles: int = 16

    @property
    def of_radar(self) -> Literal["taken", "doubtful", "refused", "needed"]:
        """Treatment of bands that say that they are radar; see `radar`."""
        return self.radar or ("taken" if self.bands == "all" else "doubtful")

    @property
    def needs_survey(self) -> bool:
        """Whether it cannot answer without a survey."""
        return self.surveys and not self.survey_is_optional

    def tiles_at_once(self, tile_size_px: int) -> int:
        """Number of tiles of a size for one call: `batch_tiles` by their pixels."""
        fewer = self.batch_tiles * USUAL_TILE_PX**2 // tile_size_px**2
        return max(1, min(self.batch_tiles, fewer))


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The model that gave the answers, for the provenance of the output.

    Attributes:
        id: The value of `--model`, resolved, without secrets.
        checksum: `sha256:...` of the weights, or of the settings where there are no weights.
        adapter: The adapter folder's id, empty when there is none.
        precision: The numbers that it runs in where these are not those of its weights: `int8`.
    """

    id: str
    checksum: str
    adapter: str = ""
    precision: str = ""

    def __post_init__(self) -> None:
        # Names of models come from servers and folders of others.
        for name in ("id", "adapter"):
            object.__setattr__(self, name, cleaned(getattr(self, name), LONGEST_TEXT))


@contextmanager
def backend_errors(model: ChangeModel) -> Iterator[None]:
    """Turns an exception that a backend did not foresee into an error that names the backend.

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


class ChangeModel(ABC, Generic[OptionsT]):
    """A change model, ready to answer; `ChangeModel[MyOptions]` takes options of that class.

    What a backend can foresee (a pair it cannot work on, a device it does not have) it raises as a
    `GeochgError`; anything else that escapes it ends the run with an error that names it.

    Class attributes tell what holds for every model of a backend, without loading anything heavy:
    a module that defines a backend imports torch and the like only inside `load` and later. What a
    model can do that was loaded stands in its `capabilities`.
    """

    name: str
    """The backend's name, as in `--model name` or `--model name:source`."""
    summary: str
    """One line for `geochg models`."""
    backend_capabilities: ClassVar[Capabilities]
    """Capabilities of the backend's models, as far as they are known before one is loaded."""
    options_type: ClassVar[type[Options]]
    """The frozen dataclass of the backend's own options; that of `ChangeModel[...]`."""
    folder_types: ClassVar[frozenset[str]] = frozenset()
    """The `model_type`s, as `config.json` names them, of the model folders that it opens."""

    def __init_subclass__(cls, **settings: Any) -> None:
        """Takes the class of options of the bases' parameters.

        Backends of others may still call their `backend_capabilities` `capabilities`.
        """
        super().__init_subclass__(**settings)
        own_attributes = vars(cls)
        parameters = (get_args(base) for base in own_attributes.get("__orig_bases__", ()))
        kinds = [kind for kind, *_ in filter(None, parameters) if isinstance(kind, type)]
        if kinds and "options_type" not in own_attributes and issubclass(kinds[0], Options):
            cls.options_type = kinds[0]
        if isinstance(own_attributes.get("capabilities"), Capabilities):
            cls.backend_capabilities = own_attributes["capabilities"]

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of this model: those of its backend, unless a loaded model has fewer."""
        return self.backend_capabilities

    @property
    def answers_by_rules(self) -> bool:
        """Whether free questions are answered by rules, from outlines or from a map."""
        return type(self).converse is ChangeModel.converse and self.capabilities.location == "mask"

    @property
    def how_it_runs(self) -> frozenset[str]:
        """Options of its own that do not change its answers."""
        return self.options_type.how_it_runs()

    @classmethod
    @abstractmethod
    def load(cls, source: str, options: OptionsT, device: str) -> Self:
        """Makes the model ready.

        Args:
            source: The part of `--model` behind the colon; empty for backends without weights.
            options: An instance of `options_type`.
            device: The device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

        Raises:
            ModelError: If the source, the options or the device do not fit.
        """

    @classmethod
    def inspect_folder(cls, folder: Path) -> Capabilities:
        """Capabilities of the model in a folder of one of `folder_types`; loads no weights.

        Raises:
            ModelError: If the model cannot be used, as far as its files tell.
        """
        return cls.backend_capabilities

    @classmethod
    def presence_options(cls, options: OptionsT, probability: float) -> Mapping[str, Any]:
        """The options with which a tile changed only above another probability of presence.

        `geochg evaluate --fit-threshold` looks for that probability. With 0 no tile is held back
        but for other reasons than its probability.

        Args:
            options: An instance of `options_type`, with which the probability came about.
            probability: The probability, 0-1, as `Presence.probability`.

        Returns:
            The options that change; empty where the model has no such option.
        """
        return {}

    @classmethod
    def class_options(cls, options: OptionsT, class_list: ClassList) -> Mapping[str, Any]:
        """The options with which a model tells the classes of a user apart.

        Only for backends with `free_classes`; those that are asked in words need none, since each
        question carries its classes.

        Args:
            options: An instance of `options_type`.
            class_list: The classes of the user.

        Returns:
            The options that change.
        """
        return {}

    @property
    def tokens_so_far(self) -> Mapping[str, int]:
        """Tokens that a server says it has read and written for this model since it was loaded.

        `prompt`, `completion`, and `untold`: answers whose tokens it did not tell. Empty for
        models that run here.
        """
        return {}

    @property
    @abstractmethod
    def identity(self) -> ModelIdentity:
        """The identity of this model."""

    def classes_of(self, facts: PairFacts) -> tuple[str, ...]:
        """The classes that its answers can name in a pair: fewer where bands are missing.

        Args:
            facts: Facts about the pair.
        """
        return self.capabilities.classes

    # Deliberately not abstract: most models need no survey.
    def survey(self, facts: PairFacts, sample: Iterable[Tile]) -> None:
        """Looks at a pair before the first tile is answered.

        Called once for a run, always with the same tiles for the same pair and options.

        Args:
            facts: Facts about the pair, which hold for every tile.
            sample: Tiles spread evenly over the grid (all of them when there are few), given only
                when `capabilities.surveys`; may be iterated once.

        Raises:
            ModelError: If the model cannot work on such a pair (too few bands, say).
        """

    def prompt(self, question: Question) -> str:
        """The prompt of the model for a question, for the provenance of the output."""
        return question.text

    @abstractmethod
    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile.

        Called on a thread that is not the main one, with one batch at a time, and only after
        `survey` has returned; meanwhile other threads read tiles and work on earlier answers.

        Args:
            tiles: The batch; all of one size.
            questions: The questions about every tile, in order, of `capabilities.tasks`.

        Returns:
            One entry a tile, in order: a sequence with one answer a question, or a `TileFailure`
            (pixels that are not finite, an answer that never came), which must not spoil the
            other tiles of the batch.
        """

    def describe(self, tiles: Sequence[Tile], questions: SceneQuestions) -> list[TileAnswers]:
        """Answers about tiles of a single image, for models with `Capabilities.tasks_of_one`.

        Called as `answer` is; there is no survey.

        Args:
            tiles: The batch; all of one size, each of one date.
            questions: The questions about every tile.

        Returns:
            One entry a tile, in order: a list with one `SceneAnswers`, or a `TileFailure`.

        Raises:
            ModelError: If the model compares two images only.
        """
        raise ModelError(
            f"the model {self.name} compares two images, and cannot tell of one",
            "choose another, see `geochg models`",
        )

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers a free question about a tile, in a dialogue that may have begun before.

        A model that takes free questions is asked without the exchanges. For models that outline
        and do not override this, `models.chat.converse` answers by rules.

        Args:
            tile: The pixels of the place that is asked about.
            facts: Facts about the whole pair.
            exchanges: Earlier questions with their answers.
            question: The new question.

        Yields:
            The answer, piece by piece.

        Raises:
            ModelError: If the model cannot answer free questions.
            RunError: If the place cannot be answered about.
        """
        if Task.QUESTION not in self.capabilities.tasks:
            raise ModelError(
                f"the model {self.name} cannot answer free questions",
                "choose another, see `geochg models`",
            )
        answers = answers_about(self, tile, [Question(Task.QUESTION, question)])
        yield getattr(answers[0], "text", "")


def answers_about(
    model: ChangeModel, tile: Tile, questions: Sequence[Question]
) -> Sequence[Answer]:
    """A model's answers about one tile, in the order of the questions.

    Raises:
        RunError: If the tile fails.
    """
    (answers,) = model.answer([tile], questions)
    answers = finite_answers(tile, answers)
    if isinstance(answers, TileFailure):
        raise RunError(f"no answer: {answers.reason}", "ask about another place")
    return answers
