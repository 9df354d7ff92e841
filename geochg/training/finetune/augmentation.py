"""Random crops and turns of a lesson's pictures, with answers that stay true.

Presence and places are read off the masks again after they moved with the pictures. A lesson is
left as it is where its answer cannot be moved: without masks, or with such as do not tell of the
whole picture what the answer does; where objects are counted; and where words speak of a place or
of something that is no longer there.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geochg.records import Locations, Presence, Task
from geochg.tasks import SPECS
from geochg.training.finetune.change_masks import ChangeMasks
from geochg.training.finetune.sample import Lesson

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACES = re.compile(
    r"\b(?:top|bottom|upper|lower|left|right|cent(?:er|re|ral)|middle|corner|edge|side|north|south"
    r"|east|west|around|near|along|between|beside|above|below)\w*\b",
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|several|few|many|most|all|more)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Framing:
    """How pictures may be framed anew.

    Attributes:
        crop: Least share (0-1) of the side that a crop keeps.
        rotate_deg: Greatest angle in degrees, to either side.
    """

    crop: float = 1.0
    rotate_deg: float = 0.0

    @property
    def is_off(self) -> bool:
        """Whether nothing is ever framed anew."""
        return self.crop == 1 and self.rotate_deg == 0


def reframed(lesson: Lesson, framing: Framing, rng: np.random.Generator) -> Lesson:
    """The lesson in a frame of chance, or as it is where its answer cannot follow.

    The frame lies within the picture, so that no pixel is made up.

    Args:
        lesson: As it was read.
        framing: What frames there may be.
        rng: Of the chances; a number drawn is drawn whatever becomes of the lesson.
    """
    share, angle_deg, row, col = (
        rng.uniform(framing.crop, 1),
        rng.uniform(-framing.rotate_deg, framing.rotate_deg),
        *rng.uniform(-1, 1, 2),
    )
    if framing.is_off or lesson.masks is None:
        return lesson
    frame = _Frame.within(lesson.before.shape[1:], share, math.radians(angle_deg), (row, col))
    masks = ChangeMasks(frame.nearest(lesson.masks.classes), frame.nearest(lesson.masks.directions))
    said = _moved_answer(lesson, masks)
    if said is None:
        return lesson
    return replace(
        lesson,
        before=frame.smooth(lesson.before),
        after=frame.smooth(lesson.after),
        masks=masks,
        said=said,
    )


def _moved_answer(lesson: Lesson, masks: ChangeMasks) -> tuple[str, ...] | None:
    """The answer within a frame; None where it cannot be told."""
    whole = lesson.masks
    assert whole is not None
    if lesson.task is Task.CAPTION:
        told = " ".join(lesson.said)
        same = set(np.unique(masks.classes)) == set(np.unique(whole.classes))
        return lesson.said if same and not (_PLACES.search(told) or _NUMBERS.search(told)) else None
    if lesson.task not in (Task.PRESENCE, Task.LOCATE):
        return None
    spec = SPECS[lesson.task]
    answer = spec.parse(spec.joined_turns(lesson.said), lesson.asked)
    # Answers may come from elsewhere, and know of changes that the masks leave out.
    if isinstance(answer, Presence) and answer.changed == whole.changed:
        return (SPECS[Task.PRESENCE].render(Presence(masks.changed)),)
    if isinstance(answer, Locations) and answer.cells == whole.locations(answer.cells).cells:
        return (SPECS[Task.LOCATE].render(masks.locations(answer.cells)),)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Where each pixel of a new picture comes from.

    Attributes:
        rows: `(height, width)` float64, row of the old picture.
        cols: As `rows`, its column.
    """

    rows: NDArray[np.float64]
    cols: NDArray[np.float64]

    @classmethod
    def within(
        cls, shape: tuple[int, ...], share: float, angle: float, place: tuple[float, float]
    ) -> _Frame:
        """A turned rectangle inside a picture.

        Args:
            shape: Height and width of the picture.
            share: Of its sides, that the frame has before it is turned; less where it would not
                fit.
            angle: In radians.
            place: Where it lies in the room there is, -1 to 1 from top to bottom and left to right.
        """
        height, width = shape
        cos, sin = math.cos(angle), math.sin(angle)
        turned = (
            height * abs(cos) + width * abs(sin),
            width * abs(cos) + height * abs(sin),
        )
        share = min(share, height / turned[0], width / turned[1])
        rows, cols = np.meshgrid(
            (np.arange(height) - (height - 1) / 2) * share,
            (np.arange(width) - (width - 1) / 2) * share,
            indexing="ij",
        )
        middle = (
            (height - 1) / 2 + place[0] * (height - share * turned[0]) / 2,
            (width - 1) / 2 + place[1] * (width - share * turned[1]) / 2,
        )
        return cls(
            np.clip(middle[0] + cos * rows - sin * cols, 0, height - 1),
            np.clip(middle[1] + sin * rows + cos * cols, 0, width - 1),
        )

    def nearest(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask in this frame."""
        rows, cols = (np.rint(part).astype(np.intp) for part in (self.rows, self.cols))
        found: NDArray[np.uint8] = mask[rows, cols]
        return found

    def smooth(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture of some bands in this frame, by bilinear interpolation."""
        from scipy.ndimage import map_coordinates

        places = np.stack([self.rows, self.cols])
        bands = [map_coordinates(band, places, np.float32, order=1) for band in picture]
        return np.clip(np.rint(np.stack(bands)), 0, 255).astype(np.uint8)
