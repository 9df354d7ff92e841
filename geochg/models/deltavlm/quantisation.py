"""Writes the exported vision part in int8, for processors that add up products of bytes at once.

Static quantisation by ONNX Runtime: weights in int8 with a scale for each channel, features in
uint8 over the range that they take on tiles shown for calibration. The encoder's convolutions but
the first are quantised, and the widest of the dense head; difference maps, which compare small
numbers, stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray

from geochg.files.new_files import write_aside
from geochg.models.deltavlm.export import drop_debug_info, store_in_half_precision
from geochg.models.deltavlm.loading import check_folder, export_fingerprint
from geochg.models.deltavlm.options import Precision
from geochg.models.deltavlm.runtime.onnx_vision import (
    DETECTOR,
    ENCODER,
    PIXELS,
    Float32,
    OnnxVision,
    detector_inputs,
    int8_file,
)
from geochg.models.deltavlm.runtime.vision_output import (
    DenseArrays,
    EncodedDates,
    HeadFacts,
    VisionOutput,
    VisionRunner,
)
from geochg.models.library_guards import quiet_libraries
from geochg.records import Tile

Inputs = Mapping[str, NDArray[np.float32]]
"""The inputs of a graph by name."""

LAYERS = ["Conv", "Add", "Clip"]
"""Operators that run in int8: sums too, so that features stay bytes from layer to layer."""


def quantise_vision(folder: Path, show_tiles: Callable[[VisionRunner, VisionRunner], None]) -> None:
    """Adds int8 files of encoder and dense head to a model folder that has exported ones.

    Args:
        folder: A folder of `export`.
        show_tiles: A function that is called once with two runners: tiles that the second one
            detects changes in set the ranges of the features; the first one, which gives the
            same, is for surveys.
    """
    made_from = export_fingerprint(folder, check_folder(folder))
    vision = OnnxVision.open(folder, made_from, Precision.FLOAT32)
    recorder = _RecordingVision(vision)
    show_tiles(vision, recorder)
    _quantise(folder / ENCODER, recorder.encoder_inputs, _encoder_layers)
    _quantise(folder / DETECTOR, recorder.detector_inputs, _widest_convolution)


class _RecordingVision:
    """A `VisionRunner` that keeps what encoder and dense head are given."""

    def __init__(self, vision: OnnxVision) -> None:
        self._vision = vision
        self.encoder_inputs: list[Inputs] = []
        self.detector_inputs: list[Inputs] = []

    @property
    def head(self) -> HeadFacts:
        return self._vision.head

    def encode(self, pixels: Float32) -> EncodedDates:
        self.encoder_inputs.append({PIXELS: pixels})
        return self._vision.encode(pixels)

    def detect(
        self, before: Sequence[Float32], after: Sequence[Float32], scene: Float32
    ) -> DenseArrays:
        self.detector_inputs.append(detector_inputs(before, after, scene))
        return self._vision.detect(before, after, scene)

    def relative_maps(
        self, before: Sequence[Float32], after: Sequence[Float32], scene: Float32
    ) -> Float32:
        return self._vision.relative_maps(before, after, scene)

    def tokens(self, tiles: Sequence[Tile]) -> VisionOutput:
        return self._vision.tokens(tiles)


def _encoder_layers(graph: onnx.GraphProto) -> list[str]:
    """Convolutions, sums and clipping behind the first convolution, which sees pixels."""
    first = next(node for node in graph.node if node.op_type == "Conv")
    features, layers = {first.output[0]}, []
    for node in graph.node:
        operands = node.input if node.op_type == "Add" else node.input[:1]
        if node.op_type in LAYERS and features.issuperset(operands):
            features.add(node.output[0])
            layers.append(node.name)
    return layers


def _widest_convolution(graph: onnx.GraphProto) -> list[str]:
    """The convolution of windows that reads the most channels, which takes most of the time."""
    sizes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    windows = [
        node for node in graph.node if node.op_type == "Conv" and sizes[node.input[1]][2] > 1
    ]
    return [max(windows, key=lambda node: sizes[node.input[1]][1]).name]


def _quantise(
    file: Path, inputs: Sequence[Inputs], layers: Callable[[onnx.GraphProto], list[str]]
) -> None:
    """Writes the int8 form of an exported file beside it.

    Raises:
        ValueError: If no input was recorded.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not inputs:
        raise ValueError("no tile was shown")
    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    with TemporaryDirectory() as work_dir, quiet_libraries():
        prepared, quantised = (Path(work_dir) / name for name in ("prepared.onnx", "int8.onnx"))
        quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
        nodes = layers(onnx.load(prepared).graph)
        quantize_static(
            str(prepared),
            str(quantised),
            _CalibrationReader(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=LAYERS,
            nodes_to_quantize=nodes,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},
        )
        model = onnx.load(quantised)
    store_in_half_precision(model)
    drop_debug_info(model)
    onnx.helper.set_model_props(model, metadata)
    with write_aside(int8_file(file)) as new_file:
        onnx.save(model, new_file)


class _CalibrationReader:
    """The recorded inputs, as ONNX Runtime asks for them."""

    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)
