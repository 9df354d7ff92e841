"""A pair of pictures with what is asked and answered about it: what every data set is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from geochg.errors import InputError
from geochg.records import PixelWindow, Task

_LONGEST_ID = 60
"""Letters of an id that a message shows."""


@dataclass(frozen=True, slots=True)
class ExampleTurn:
    """A question, without image marks, and its answer, in words."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of a row in a file, to name it in messages.

    Attributes:
        file: The file that holds the row.
        number: Number of the row, from 1; of a table, the line it ends on.
        id: Id of the row; empty where it has none.
        unit: What `number` counts.
    """

    file: Path
    number: int
    id: str = ""
    unit: str = "row"

    def __str__(self) -> str:
        shown_id = self.id if len(self.id) <= _LONGEST_ID else f"{self.id[:_LONGEST_ID]}…"
        # An id is a file's own text: control characters in it must not reach a terminal.
        name = f" (id {shown_id!r})" if shown_id else ""
        return f"{self.file}, {self.unit} {self.number}{name}"

    def fault(self, fault: str, hint: str) -> InputError:
        """The error that says what is wrong with the row."""
        return InputError(f"{self}: {fault}", hint)


@dataclass(frozen=True, slots=True)
class SceneWindow:
    """The window of a scene from which a tile was cut.

    Attributes:
        scene: Name of the pair it was cut from; tiles of one scene share a pixel grid.
        window: Window in pixels of the scene's grid.
    """

    scene: str
    window: PixelWindow


@dataclass(frozen=True, slots=True)
class Example:
    """A pair and one dialogue about it.

    The pictures are two files, or the frames of one video; `load_pair` opens either.

    Attributes:
        id: Id in the data set; not always unique.
        turns: Questions and answers in order; at least one.
        before: The earlier picture; None where there is a video.
        after: The later picture; None where there is a video.
        video: A file or folder of two frames; None where there are two pictures.
        task: Task of the questions, known by their words; `QUESTION` where they are free.
        changed: Whether anything changed; None where neither the row nor its answer says so.
        references: All captions of a row that has several, the answer of `turns` first; empty
            elsewhere.
        split: `train`, `val` or `test` as the row or its file's name says, else empty.
        scene_window: Window it was cut from, for tiles of a larger pair.
        location: Id of the place it shows, which other pairs may show too; empty where unknown.
        origin: The row it was read from.
        columns: Short values of the row that have no meaning here, such as a sensor, by name.
    """

    id: str
    turns: tuple[ExampleTurn, ...]
    before: Path | None = None
    after: Path | None = None
    video: Path | None = None
    task: Task | None = None
    changed: bool | None = None
    references: tuple[str, ...] = ()
    split: str = ""
    scene_window: SceneWindow | None = None
    location: str = ""
    origin: Origin | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of its pictures: before and after, or the video."""
        return tuple(path for path in (self.before, self.after, self.video) if path is not None)

    @property
    def display_name(self) -> str:
        """The name of the example in messages."""
        return str(self.origin) if self.origin is not None else f"example {self.id!r}"
