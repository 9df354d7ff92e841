"""Runs vision encoder and dense head by ONNX Runtime."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geochg.errors import ModelError
from geochg.models.deltavlm.loading import HINT, are_classes, check_calibration
from geochg.models.deltavlm.options import Precision
from geochg.models.deltavlm.runtime.onnx_file import open_session
from geochg.models.deltavlm.runtime.vision_output import (
    DenseArrays,
    EncodedDates,
    HeadFacts,
    VisionOutput,
)
from geochg.models.devices import int8_is_fast
from geochg.models.model_settings import check_normalisation, check_settings, is_number
from geochg.records import Change, Channel, Tile
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned

ENCODER, DETECTOR = "encoder.onnx", "detector.onnx"
"""Files of a model folder: from images to tokens and maps, and from maps to dense predictions."""

DIFFERENCES = "differences.onnx"
"""A part of the detector: from maps to the difference maps whose medians a survey measures."""

FILES = (ENCODER, DETECTOR, DIFFERENCES)
"""The files without which ONNX Runtime cannot run the vision part."""

RELATIVE_MAPS = "relative_maps"
"""The output of `DIFFERENCES`, and one of `DETECTOR`; see `Differences.relative`."""

Float32 = NDArray[np.float32]
"""An array that goes into a graph or comes out of it."""

FACTS = "geochg"
"""Key of the detector's metadata under which `HeadFacts` is kept as JSON."""

PIXELS = "pixels"


def map_names(prefix: str, levels: int) -> tuple[str, ...]:
    """Names of the maps of one date: the colours, then each level."""
    return tuple(f"{prefix}_{level}" for level in range(levels + 1))


def detector_inputs(
    before: Sequence[Float32], after: Sequence[Float32], scene: Float32
) -> dict[str, Float32]:
    """The inputs of the detector by name; arguments as `VisionRunner.detect`."""
    dates = (("before", before), ("after", after))
    maps = {f"{date}_{level}": part for date, parts in dates for level, part in enumerate(parts)}
    return {**maps, "scene": scene}


def int8_file(file: Path) -> Path:
    """The int8 form of an exported file, which lies beside it."""
    return file.with_stem(f"{file.stem}_int8")


def read_facts(text: str, folder: Path) -> HeadFacts:
    """The facts that the export noted in the detector.

    Args:
        text: The facts as JSON.
        folder: The model's folder.

    Raises:
        ModelError: If they make no sense.
    """
    try:
        return _facts(json.loads(text), folder)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{folder / DETECTOR} cannot be loaded: what geochg noted in it makes no sense "
            f"({type(error).__name__}: {cleaned(error)})",
            HINT,
        ) from error


def _facts(values: dict[str, Any], folder: Path) -> HeadFacts:
    check_settings({"stride_px": values["stride_px"]}, folder, 1, HINT)
    check_normalisation(
        {"image_mean": values["color_mean"], "image_std": values["color_std"]}, folder, HINT
    )
    check_calibration(values["calibration"], folder)
    names = list(dict.fromkeys(name for name, _ in values["channels"]))
    if not are_classes(names) or not isinstance(values["no_change_sentence"], str):
        raise ValueError("no names of classes, or no sentence")
    if len(values["color_mean"]) != 3 or len(values["color_std"]) != 3:
        raise ValueError("no colours of three bands")
    levels = values["level_channels"]
    if not levels or not all(is_number(level, 1, 2**20) for level in levels):
        raise ValueError("no sizes of levels")
    return HeadFacts(
        channels=tuple(Channel(name, Change(change)) for name, change in values["channels"]),
        level_channels=tuple(levels),
        stride_px=values["stride_px"],
        color_mean=tuple(values["color_mean"]),
        color_std=tuple(values["color_std"]),
        calibration=values["calibration"],
        no_change_sentence=cleaned(values["no_change_sentence"], LONGEST_TEXT),
    )


@dataclass(frozen=True, slots=True)
class OnnxVision:
    """Runs the exported vision encoder and dense head; see `VisionRunner`.

    Attributes:
        encoder: An `onnxruntime.InferenceSession` of `ENCODER`.
        detector: An `onnxruntime.InferenceSession` of `DETECTOR`.
        differences: An `onnxruntime.InferenceSession` of `DIFFERENCES`.
        head: The facts of the dense head.
        precision: The numbers that both run in.
    """

    encoder: Any
    detector: Any
    differences: Any
    head: HeadFacts
    precision: Precision = Precision.FLOAT32

    @classmethod
    def open(
        cls,
        folder: Path,
        made_from: str,
        precision: Precision = Precision.AUTO,
        device: str = "cpu",
    ) -> Self:
        """Loads the exported files of a folder; see `open_session`.

        Args:
            folder: The model's folder.
            made_from: The `fingerprint` of the folder now.
            precision: The numbers to run in; other devices than the CPU take float32.
            device: See `open_session`.

        Raises:
            ModelError: If a file is none of geochg's, was made from other weights, or is not there
                in int8, where that was asked for, or the device cannot be used.
        """
        if device != "cpu":
            precision = Precision.FLOAT32
        files = [folder / name for name in (ENCODER, DETECTOR)]
        int8_files = [int8_file(file) for file in files]
        has_int8 = all(file.is_file() for file in int8_files)
        if precision == Precision.INT8 and not has_int8:
            raise ModelError(
                f"{folder} has no int8 files", "leave out precision=int8, or write float32"
            )
        if precision == Precision.AUTO:
            precision = Precision.INT8 if has_int8 and int8_is_fast() else Precision.FLOAT32
        encoder, detector = (
            open_session(file, made_from, device)
            for file in (int8_files if precision == Precision.INT8 else files)
        )
        noted = detector.get_modelmeta().custom_metadata_map.get(FACTS, "")
        differences = open_session(folder / DIFFERENCES, made_from, device)
        return cls(encoder, detector, differences, read_facts(noted, folder), precision)

    def encode(self, pixels: NDArray[np.float32]) -> EncodedDates:
        """Encodes images of one date; see `VisionRunner.encode`."""
        tokens, *maps = self.encoder.run(None, {PIXELS: pixels})
        return EncodedDates(tokens, maps)

    def detect(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> DenseArrays:
        """Predicts change in pairs; see `VisionRunner.detect`."""
        inputs = detector_inputs(before, after, scene)
        return DenseArrays(*self.detector.run(list(DenseArrays._fields), inputs))

    def relative_maps(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The difference maps of the survey; see `VisionRunner.relative_maps`."""
        inputs = detector_inputs(before, after, scene)
        maps: NDArray[np.float32] = self.differences.run([RELATIVE_MAPS], inputs)[0]
        return maps

    def tokens(self, tiles: Sequence[Tile]) -> VisionOutput:
        """Exported models have a dense head."""
        raise ValueError("an exported model has a dense head")
