"""Plain data that pass between the stages: windows, tiles, questions, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from geochg.asked_class import AskedClass as AskedClass
from geochg.dense_features import DenseFeatures as DenseFeatures
from geochg.pair_facts import PairFacts as PairFacts
from geochg.pair_facts import RadarBand as RadarBand
from geochg.scenes import Label as Label
from geochg.scenes import SceneAnswers as SceneAnswers
from geochg.scenes import SceneQuestions as SceneQuestions
from geochg.windows import GRID_CELLS as GRID_CELLS
from geochg.windows import GridCell as GridCell
from geochg.windows import PixelWindow as PixelWindow
from geochg.windows import TileWindow as TileWindow

if TYPE_CHECKING:
    from types import EllipsisType

    import numpy as np
    from numpy.typing import NDArray


class Change(StrEnum):
    """The direction of a change, seen from the before date."""

    APPEARED = "appeared"
    DISAPPEARED = "disappeared"
    ALTERED = "altered"


class Task(StrEnum):
    """The six things a change model is asked (Deng et al. 2026, section 3)."""

    CAPTION = "caption"
    PRESENCE = "presence"
    COUNT = "count"
    LOCATE = "locate"
    DIALOGUE = "dialogue"
    QUESTION = "question"


CELL_AREA_SHARE = 0.05
"""A grid cell counts as changed when more than this share of its pixels changed (ChangeChat)."""


# --- what a model is given -----------------------------------------------------------------------


DisplayRanges = tuple[tuple[float, float], ...]
"""Source values of each band that are shown as 0 and as 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A tile with its pixels at one or more dates.

    Attributes:
        window: The tile's window.
        dates: The pixels at each date, the earliest first, `(bands, height, width)` each on the
            same grid; uint8 0-255 when the model asked for `display` pixels, float32 in source
            units when it asked for `values`. Invalid pixels are 0. Mostly two: before and after.
        valid: `(height, width)` bool; true where all dates have data inside the area of interest.
        clue: A sentence that goes behind each question; mostly empty.
        display_ranges: Of each date, what `display` pixels of 0 and 255 show; None if unknown.
    """

    window: TileWindow
    dates: tuple[NDArray[Any], ...]
    valid: NDArray[np.bool_]
    clue: str = ""
    display_ranges: tuple[DisplayRanges, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.dates, tuple) or not self.dates:
            raise TypeError("Tile takes its dates as one tuple: Tile(window, (before, after), ...)")

    @property
    def before(self) -> NDArray[Any]:
        """The pixels at the first date."""
        return self.dates[0]

    @property
    def after(self) -> NDArray[Any]:
        """The pixels at the last date."""
        if len(self.dates) == 1:
            raise ValueError("a tile of one date has nothing after it")
        return self.dates[-1]

    @classmethod
    def of_dates(
        cls,
        dates: Iterable[NDArray[Any]],
        valid: NDArray[np.bool_] | None = None,
        index: int = 0,
    ) -> Self:
        """Whole images of one place as one tile, the earliest first.

        All of it is valid without `valid`; `index` is the tile's number.
        """
        import numpy as np

        dates = tuple(dates)
        full_window = PixelWindow.whole(dates[0].shape)
        valid = np.ones(dates[0].shape[-2:], np.bool_) if valid is None else valid
        return cls(TileWindow(index, 0, 0, full_window, full_window), dates, valid)

    @classmethod
    def of_pair(
        cls,
        before: NDArray[Any],
        after: NDArray[Any],
        valid: NDArray[np.bool_] | None = None,
        index: int = 0,
    ) -> Self:
        """A whole pair as one tile; see `of_dates`."""
        return cls.of_dates((before, after), valid, index)

    @classmethod
    def of_image(
        cls, image: NDArray[Any], valid: NDArray[np.bool_] | None = None, index: int = 0
    ) -> Self:
        """A whole image of one date as one tile; see `of_dates`."""
        return cls.of_dates((image,), valid, index)


class Span(NamedTuple):
    """Two dates of a series between which a change is looked for.

    Attributes:
        start: Number of the earlier date, from 0.
        end: Number of the later date.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question about each tile.

    Attributes:
        task: The task that it belongs to.
        text: Its prompt in words.
        span: The dates that it is about; None for the first and the last. Only models that take
            more than two dates are asked about others.
        classes: The classes that it asks about; empty for those of the data, roads and buildings.
        with_features: Whether outlines are to come with `Outlines.features`.
    """

    task: Task
    text: str
    span: Span | None = None
    classes: tuple[AskedClass, ...] = ()
    with_features: bool = False


class Exchange(NamedTuple):
    """A question and its answer, in words."""

    question: str
    answer: str


# --- what a model answers ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether anything changed; `probability` (0-1) of change, None when the model has none."""

    changed: bool
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about a tile; `changed` is False for those that mean no change."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Changed objects per class, and the direction where the words tell it.

    `undirected` is as in `Locations`.
    """

    counts: Mapping[str, int]
    changes: Mapping[str, Change] = field(default_factory=dict)
    undirected: str = ""


class Direction(NamedTuple):
    """The direction of a change, and its probability among the three, 0-1; None if not measured."""

    change: Change
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Locations:
    """Changed cells of the 3x3 grid per class.

    Attributes:
        cells: Each with a probability 0-1; None where the model only names it.
        changes: The direction of a class where the model tells it; else it is `altered`.
        directions: The direction of single cells where the model tells it; it goes before that of
            their class.
        undirected: Why no answer came to a further question about directions; empty where one
            came, or none was asked.
    """

    cells: Mapping[str, Mapping[GridCell, float | None]]
    changes: Mapping[str, Change] = field(default_factory=dict)
    directions: Mapping[str, Mapping[GridCell, Direction]] = field(default_factory=dict)
    undirected: str = ""

    def direction(self, class_name: str, cell: GridCell) -> Direction | None:
        """The direction of a cell; None where only that of its class is told, or none."""
        return self.directions.get(class_name, {}).get(cell)


class Box(NamedTuple):
    """A changed part of a tile.

    Attributes:
        window: The box within the tile's read window, in grid pixels.
        grid_cell: The cell of the tile's 3x3 grid that it lies in.
        probability: Probability of change, 0-1; None where it was not measured.
        direction: The direction of this box; None where only that of its class is told, or none.
    """

    window: PixelWindow
    grid_cell: GridCell
    probability: float | None
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class Boxes:
    """Changed boxes per class: `Locations` with cells of any size, after closer looks.

    Boxes of one class do not overlap; `changes` is as in `Locations`.
    """

    boxes: Mapping[str, Sequence[Box]]
    changes: Mapping[str, Change] = field(default_factory=dict)


class Channel(NamedTuple):
    """The class and direction that one layer of an `Outlines` answer is about."""

    class_name: str
    change: Change


LAND_COVER = ("bare", "low plants", "woody", "water", "road", "building")
"""What the ground can be at a date; `road` is a road or other paved ground."""
Calibration = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean probabilities of a piece, rising, and the share of such features that are right."""
CANNOT_TELL = 255
"""Land cover where the model cannot say what the ground is."""


class LandCover(NamedTuple):
    """The land cover at each date.

    Attributes:
        before: `(height, width)` uint8, indices into `LAND_COVER`, or `CANNOT_TELL`.
        after: As `before`.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]


PixelIndex: TypeAlias = "NDArray[np.bool_] | EllipsisType"
"""Pixels of a tile: those where a `(height, width)` mask is true, or `...` for all."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """An answer of probabilities of change per pixel.

    Attributes:
        channels: Class and direction of each layer.
        probability: `(channels, height, width)` float32 0-1 over the tile's read window; 0 where
            the tile is not valid. Or a function that makes it, see `layers_at`.
        threshold: A pixel is changed where its strongest channel reaches this.
        captions: A sentence for each channel, true of any place where it changed; empty where only
            the caption of the whole tile says something.
        change: `(height, width)` float32 0-1, the probability that anything changed. Where all
            channels are kept, heat and thresholds use it, while class and direction of a pixel are
            those of its strongest channel; where only some are, their own layers are used. None
            for models that have no such surface.
        low_threshold: A connected piece of pixels that reach this counts as changed when it holds
            pixels that reach `threshold`. None where each pixel must reach `threshold` by itself.
        margins: Number that is added to the log odds of each channel's threshold; empty for none.
            It matters where a channel's own layer is used, and for which channel is the strongest.
        land_cover: Land cover at both dates, or a function that makes it; None for models that
            cannot tell.
        not_seen: `(height, width)` bool, cloud, shadow or snow at either date: no change there, and
            not "unchanged" either. None for models that cannot tell.
        calibration: Mean probabilities of a piece, rising, and the share of features with such a
            mean that are right, both 0-1; confidence is read off between them. None where the
            probability itself is the confidence.
        features: A function that makes the dense features of the tile; None where the question did
            not ask for them, or the model has none.
    """

    channels: tuple[Channel, ...]
    probability: NDArray[np.float32] | Callable[[PixelIndex], NDArray[np.float32]]
    threshold: float = 0.5
    captions: tuple[str, ...] = ()
    change: NDArray[np.float32] | None = None
    low_threshold: float | None = None
    margins: tuple[float, ...] = ()
    land_cover: LandCover | Callable[[], LandCover] | None = None
    not_seen: NDArray[np.bool_] | None = None
    calibration: Calibration | None = None
    features: Callable[[], DenseFeatures] | None = None

    def layers_at(self, pixels: PixelIndex = ...) -> NDArray[np.float32]:
        """`probability` at some pixels, `(channels, n)`, or at all of them; it is not kept."""
        return layers(pixels) if callable(layers := self.probability) else layers[:, pixels]

    def covers(self) -> LandCover | None:
        """`land_cover`, made where it has to be; it is not kept."""
        return self.land_cover() if callable(self.land_cover) else self.land_cover


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The three turns of the dialogue task."""

    presence: Presence
    counts: Counts | None
    description: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A free answer to a free question."""

    text: str


@dataclass(frozen=True, slots=True)
class Unparsed:
    """An answer that makes no sense; counted, never turned into "no change"."""

    task: Task
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The lack of an answer to one question about a tile; `reason` says why it did not come."""

    task: Task
    reason: str


_Text = Caption | Dialogue | Reply
Answer = (
    Presence | Counts | Locations | Boxes | Outlines | _Text | Unparsed | Missing | SceneAnswers
)


@dataclass(frozen=True, slots=True)
class TileFailure:
    """A tile that could not be read or answered; the run goes on without it.

    Attributes:
        window: The tile's window.
        reason: The reason, in one line.
        is_permanent: Whether no repetition mends it and other tiles will fail alike, as where a
            server refuses every such request. A run in which tile after tile fails so stops asking.
    """

    window: TileWindow
    reason: str
    is_permanent: bool = False


TileAnswers = Sequence[Answer] | TileFailure
"""What a model gives for one tile: an answer for each question in order, or a failure."""
