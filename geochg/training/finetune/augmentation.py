"""Random crops and rotations of a sample's pictures, with answers that stay true.

Presence and locations are read off the masks again after these moved with the pictures. A sample
is left as it is where its answer cannot be moved: without masks, with masks that tell parts of it
only or do not bear the answer out; where objects are counted; and where words speak of a location
or of something that is no longer in the picture.

Neither kornia (0.9.0) nor albumentations (2.0.8) is used: `benchmarks/augmentation_libraries.py`.
Both move a pair and its masks in step and by a seed, but not the answers, which is most of what is
done here. They rotate and crop one after the other, which interpolates twice; kornia fills corners
with pixels that are in no picture (2 %), and of 256 x 200 px albumentations leaves 141 x 141 where
it fills none. Its speed (3 ms a pair of 256 px; here 25, kornia 19) would cost four packages, of
which it is the last release, and whose successor is under the AGPL.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

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
    # Of a part of what is known in parts, nothing may be known.
    if augmentation.is_off or sample.masks is None or sample.masks.known is not None:
        return sample
    frame = _frame_within(sample.shape_px, share, math.radians(angle_deg), (row, col))
    full_masks = sample.masks
    masks = ChangeMasks(
        _framed(full_masks.classes, frame, 0), _framed(full_masks.directions, frame, 0)
    )
    answers = _moved_answers(sample, full_masks, masks)
    if answers is None:
        return sample
    dates = tuple(np.stack([_framed(band, frame, 1) for band in date]) for date in sample.dates)
    return replace(sample, dates=dates, masks=masks, answers=answers)


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


_Frame = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Matrix and offset from the rows and columns of a new picture to those of the old one."""


def _frame_within(
    shape: tuple[int, ...], share: float, angle: float, offset: tuple[float, float]
) -> _Frame:
    """A rotated rectangle inside a picture.

    Args:
        shape: Height and width of the picture.
        share: Share of the picture's sides that the frame has before it is rotated; less where it
            would not fit.
        angle: The angle in radians.
        offset: Position in the room that is left, -1 to 1 from top to bottom and left to right.
    """
    cos, sin, size = math.cos(angle), math.sin(angle), np.array(shape)
    extent = np.array([[abs(cos), abs(sin)], [abs(sin), abs(cos)]]) @ size
    share = min(share, *(size / extent))
    matrix = share * np.array([[cos, -sin], [sin, cos]])
    middle = (size - 1) / 2 + np.array(offset) * (size - share * extent) / 2
    return matrix, middle - matrix @ ((size - 1) / 2)


def _framed(pixels: NDArray[np.uint8], frame: _Frame, order: Literal[0, 1]) -> NDArray[np.uint8]:
    """A mask (order 0) or a band of a picture (order 1, bilinear) in a frame."""
    values = affine_transform(pixels, *frame, output=np.float32, order=order, mode="nearest")
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
