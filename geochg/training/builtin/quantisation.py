"""The int8 files of a compact model, calibrated on pairs like those it learned from."""

from collections.abc import Sequence
from pathlib import Path

from geochg.datasets.ground.labelled import LabelledGround
from geochg.models.deltavlm.detector import Detector
from geochg.models.deltavlm.quantisation import quantise_vision
from geochg.models.deltavlm.runtime.vision_output import VisionRunner
from geochg.training.builtin.calibration import pairs_of_kinds, survey_pair

PAIRS_PER_KIND = 10
"""Pairs of each kind of ground whose features set the ranges of int8."""

SEED = 2


def quantise_compact(folder: Path, grounds: Sequence[LabelledGround]) -> None:
    """Adds the int8 files to a compact model's folder.

    Args:
        folder: The folder; see `recipe.save_compact`.
        grounds: Ground that the model learned from.
    """

    def show_pairs(vision: VisionRunner, recorder: VisionRunner) -> None:
        assert vision.head is not None
        for _, pair in pairs_of_kinds(grounds, PAIRS_PER_KIND, SEED):
            tile, scene = survey_pair(Detector(vision, vision.head), pair)
            Detector(recorder, vision.head).detect([tile], scene)

    quantise_vision(folder, show_pairs)
