"""What a model is taught in one go: a pair, what is asked about it, what it should say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geochg.datasets.examples import load_pair
from geochg.records import Task
from geochg.training.tuning.masks import ChangeMasks, masks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geochg.datasets.examples import Example
    from geochg.records import Tile


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A pair and a talk about it.

    Attributes:
        before: `(3, height, width)` uint8, red, green, blue.
        after: As `before`.
        task: What is asked.
        asked: The questions, one a turn.
        said: The answers, as many.
        masks: Where what changed; None where nobody drew it.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    task: Task
    asked: tuple[str, ...]
    said: tuple[str, ...]
    masks: ChangeMasks | None = None

    def tile(self) -> Tile:
        """The pair as models are given it at inference: all of it valid, not part of a raster."""
        import numpy as np

        from geochg.records import PixelWindow, Tile, TileWindow

        height, width = self.before.shape[1:]
        window = PixelWindow(0, height, 0, width)
        return Tile(
            TileWindow(0, 0, 0, window, window),
            self.before,
            self.after,
            np.ones((height, width), np.bool_),
        )


def lesson_of(example: Example) -> Lesson:
    """An example with its pixels.

    Raises:
        InputError: If a picture or a mask cannot be read, or is of another size.
    """
    before, after = load_pair(example)
    return Lesson(
        before,
        after,
        example.task or Task.QUESTION,
        tuple(turn.question for turn in example.turns),
        tuple(turn.answer for turn in example.turns),
        masks_of(example, before.shape[1:]),
    )
