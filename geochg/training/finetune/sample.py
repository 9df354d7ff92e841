"""What a model is taught in one go: a pair, what is asked about it, what it should say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geochg.datasets.examples import load_pair
from geochg.records import Task, Tile
from geochg.training.finetune.change_masks import ChangeMasks, masks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geochg.datasets.examples import Example


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
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
        return Tile.of_pair(self.before, self.after)


def lesson_of(example: Example, masks: bool) -> Lesson:
    """An example with its pixels.

    Args:
        example: Which.
        masks: Whether masks beside its pictures are read; what does not want them is not stopped
            by such as are coded otherwise.

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
        masks_of(example, before.shape[1:]) if masks else None,
    )


class Lessons:
    """Lessons that are read when they are asked for, so that a large set needs no memory.

    Args:
        examples: Of which.
        masks: See `lesson_of`.
    """

    def __init__(self, examples: Sequence[Example], masks: bool) -> None:
        self.examples = examples
        self.masks = masks

    def batches(self, size: int) -> Iterator[list[Lesson]]:
        """All of them, some at once.

        Args:
            size: How many; the last may be fewer.

        Raises:
            InputError: See `lesson_of`.
        """
        for start in range(0, len(self.examples), size):
            yield [lesson_of(each, self.masks) for each in self.examples[start : start + size]]
