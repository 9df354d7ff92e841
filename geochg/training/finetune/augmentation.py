"""Random crops and rotations of a sample's pictures, with answers that stay true.

Presence and locations are read off the masks again after these moved with the pictures. A sample
is left as it is where its answer cannot be moved: without masks, or with masks that do not bear
the answer out; where objects are counted; and where words speak of a location or of something that
is no longer in the picture.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geochg.records import Locations, Presence, Task
from geochg.tasks import SPECS
from geochg.training.finetune.sample import ChangeMasks, Sample

_LOCATION_WORDS = re.compile(
    r"\b(?:top|bottom|upper|lower|left|right|cent(?:er|re|ral)|middle|corner|edge|side|north|south"
    r"|east|west|around|near|along|between|beside|above|below)\w*\b",
    re.IGNORECASE,
)
_NUMBER_WORDS = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|several|few|many|most|all|more)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The range of random crops and rotations.

    Attributes:
        crop: Least share (0-1) of the side that a crop keeps.
        rotate_deg: Greatest angle in degrees, to either side.
    """

    crop: float = 1.0
    rotate_deg: float = 0.0

    @property
    def is_off(self) -> bool:
        """Whether pictures always stay as they are."""
        return self.crop == 1 and self.rotate_deg == 0


def augmented_sample(
    sample: Sample, augmentation: Augmentation, rng: np.random.Generator
) -> Sample:
    """The sample in a random frame, or as it is where its answer cannot follow.

    The frame lies within the picture, so that no pixel is made up.

    Args:
        sample: The sample as it was read.
        augmentation: The range of the frames.
        rng: Generator of the frame; it draws as many numbers whatever becomes of the sample.
    """
    share, angle_deg, row, col = (
        rng.uniform(augmentation.crop, 1),
        rng.uniform(-augmentation.rotate_deg, augmentation.rotate_deg),
        *rng.uniform(-1, 1, 2),
    )
    if augmentation.is_off or sample.masks is None:
        return sample
    frame = _Frame.within(sample.before.shape[1:], share, math.radians(angle_deg), (row, col))
    masks = ChangeMasks(frame.nearest(sample.masks.classes), frame.nearest(sample.masks.directions))
    answers = _moved_answers(sample, sample.masks, masks)
    if answers is None:
        return sample
    return replace(
        sample,
        before=frame.bilinear(sample.before),
        after=frame.bilinear(sample.after),
        masks=masks,
        answers=answers,
    )


def _moved_answers(
    sample: Sample, full_masks: ChangeMasks, masks: ChangeMasks
) -> tuple[str, ...] | None:
    """The answers within a frame; None where they cannot be known."""
    if sample.task is Task.CAPTION:
        text = " ".join(sample.answers)
        is_same = set(np.unique(masks.classes)) == set(np.unique(full_masks.classes))
        is_bound = _LOCATION_WORDS.search(text) or _NUMBER_WORDS.search(text)
        return sample.answers if is_same and not is_bound else None
    if sample.task not in (Task.PRESENCE, Task.LOCATE):
        return None
    spec = SPECS[sample.task]
    answer = spec.parse(spec.joined_turns(sample.answers), sample.questions)
    # Answers may come from elsewhere, and know of changes that the masks leave out.
    if isinstance(answer, Presence) and answer.changed == full_masks.changed:
        return (SPECS[Task.PRESENCE].render(Presence(masks.changed)),)
    if isinstance(answer, Locations) and answer.cells == full_masks.locations(answer.cells).cells:
        return (SPECS[Task.LOCATE].render(masks.locations(answer.cells)),)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """The origin of each pixel of a new picture.

    Attributes:
        rows: `(height, width)` float64, row of the old picture.
        cols: As `rows`, its column.
    """

    rows: NDArray[np.float64]
    cols: NDArray[np.float64]

    @classmethod
    def within(
        cls, shape: tuple[int, ...], share: float, angle: float, offset: tuple[float, float]
    ) -> _Frame:
        """A rotated rectangle inside a picture.

        Args:
            shape: Height and width of the picture.
            share: Share of the picture's sides that the frame has before it is rotated; less where
                it would not fit.
            angle: The angle in radians.
            offset: Position in the room that is left, -1 to 1 from top to bottom and left to right.
        """
        height, width = shape
        cos, sin = math.cos(angle), math.sin(angle)
        extent = (height * abs(cos) + width * abs(sin), width * abs(cos) + height * abs(sin))
        share = min(share, height / extent[0], width / extent[1])
        rows, cols = np.meshgrid(
            (np.arange(height) - (height - 1) / 2) * share,
            (np.arange(width) - (width - 1) / 2) * share,
            indexing="ij",
        )
        middle = (
            (height - 1) / 2 + offset[0] * (height - share * extent[0]) / 2,
            (width - 1) / 2 + offset[1] * (width - share * extent[1]) / 2,
        )
        return cls(
            np.clip(middle[0] + cos * rows - sin * cols, 0, height - 1),
            np.clip(middle[1] + sin * rows + cos * cols, 0, width - 1),
        )

    def nearest(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask in this frame."""
        rows, cols = (np.rint(axis).astype(np.intp) for axis in (self.rows, self.cols))
        return np.asarray(mask[rows, cols], np.uint8)

    def bilinear(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture of some bands in this frame."""
        from scipy.ndimage import map_coordinates

        origins = np.stack([self.rows, self.cols])
        bands = [map_coordinates(band, origins, np.float32, order=1) for band in picture]
        return np.clip(np.rint(np.stack(bands)), 0, 255).astype(np.uint8)
