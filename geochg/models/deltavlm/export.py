"""Writes the parts of a model as ONNX, for `onnx_vision` and `onnx_language`."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim
from transformers import DynamicCache

from geochg.models.deltavlm.dense_head import DenseOutput
from geochg.models.deltavlm.loading import HINT, export_fingerprint
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.runtime.onnx_file import MADE_FROM
from geochg.models.deltavlm.runtime.onnx_language import (
    LANGUAGE,
    LANGUAGE_INPUTS,
    LANGUAGE_OUTPUTS,
    QUESTION,
    QUESTION_INPUTS,
)
from geochg.models.deltavlm.runtime.onnx_vision import (
    DETECTOR,
    DIFFERENCES,
    ENCODER,
    FACTS,
    PIXELS,
    RELATIVE_MAPS,
    map_names,
)
from geochg.models.deltavlm.runtime.vision_output import (
    SIDE_MULTIPLE_PX,
    VISION_BATCH,
    DenseArrays,
    HeadFacts,
)
from geochg.models.deltavlm.vision import DateFeatures, split_dates
from geochg.models.library_guards import quiet_libraries
from geochg.models.model_files import weight_files

HALF_ERROR = 1e-5
"""Greatest relative change of a weight that is written in half precision, to save room. Weights
that are half-precision numbers themselves do not change; folding a norm that only adds a bias
scales by a few millionths."""

_LEAST_VALUES = 256
"""Smaller arrays are not worth it."""

_ROWS, _TOKENS = 3, 5
"""Sizes of the traced examples; any numbers that differ from each other and from one."""

_LEAST_SIDE, _MAX_SIDE = 4, 4096
"""Bounds of variable axes; the coarsest map of the smallest tile has 4 px."""


class ExportedEncoder(nn.Module):
    """From images of one date to visual tokens and maps."""

    def __init__(self, model: DeltaVLMForConditionalGeneration) -> None:
        super().__init__()
        self.vision: Any = model.vision

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Inputs and outputs as `VisionRunner.encode` says."""
        maps = self.vision.levels(pixels)
        return (self.vision.tokens(maps[-1]), *maps)


class ExportedDetector(nn.Module):
    """From the maps of both dates to the dense prediction."""

    def __init__(self, model: DeltaVLMForConditionalGeneration) -> None:
        super().__init__()
        self.dense: Any = model.dense

    def forward(
        self, before: tuple[Tensor, ...], after: tuple[Tensor, ...], scene: Tensor
    ) -> tuple[Tensor, ...]:
        """Inputs and outputs as `VisionRunner.detect` says."""
        maps = [torch.cat(dates) for dates in zip(before, after, strict=True)]
        return tuple(self.dense(maps, scene))


class ExportedQuestion(nn.Module):
    """From vision output and question to the prefix of the text."""

    def __init__(self, model: DeltaVLMForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, before: Tensor, after: Tensor, dense: tuple[Tensor, ...], ids: Tensor, mask: Tensor
    ) -> Tensor:
        """Inputs as `onnx_language.QUESTION_INPUTS` says; those of the head as a tuple."""
        features = DateFeatures(torch.cat((before, after)), ())
        # The language model does not read the relative maps.
        output = DenseOutput._make((*dense, dense[0]))
        encoding = self.model.relate(features, output)
        return self.model.prefix(encoding, ids, mask)


class ExportedLanguage(nn.Module):
    """One step of the language model."""

    def __init__(self, model: DeltaVLMForConditionalGeneration) -> None:
        super().__init__()
        self.language = model.language_model
        self.config = model.config.text_config

    def forward(
        self, prefix: Tensor, ids: Tensor, mask: Tensor, positions: Tensor, past: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Inputs and outputs as `onnx_language.LANGUAGE_INPUTS` and `LANGUAGE_OUTPUTS` say."""
        cache = DynamicCache(config=self.config)
        for layer in range(self.config.num_hidden_layers):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        text = self.language.get_input_embeddings()(ids)
        output = self.language(
            inputs_embeds=torch.cat((prefix, text), dim=1),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        layers = output.past_key_values.layers
        return output.logits[:, -1], torch.stack([t for a in layers for t in (a.keys, a.values)])


def export(model: DeltaVLMForConditionalGeneration, folder: Path) -> None:
    """Exports a calibrated model that has a dense head and does not resize.

    Args:
        model: A model in evaluation mode on the CPU, as loaded from the folder; its batch norms
            may be folded.
        folder: The folder of its weights and configuration, to which the files are added; may
            still carry the mark of one that is being written.

    Raises:
        ValueError: If the model has no dense head, or resizes.
    """
    config = model.config
    if config.dense_config is None or config.resize:
        raise ValueError("only a model with a dense head that does not resize can be exported")
    facts = asdict(HeadFacts.of(config, model.vision.channels))
    weights = weight_files(folder, HINT, unfinished_ok=True)
    made_from = {MADE_FROM: export_fingerprint(folder, weights)}
    metadata = made_from | {FACTS: json.dumps(facts)}
    _write(_encoder(model), folder / ENCODER, made_from)
    _write(_detector(model), folder / DETECTOR, metadata)
    write_differences(folder, made_from)
    _write(_question(model), folder / QUESTION, made_from)
    _write(_language(model), folder / LANGUAGE, made_from)


def write_differences(folder: Path, made_from: dict[str, str]) -> None:
    """Writes the part of the detector of a folder that makes the relative difference maps."""
    detector = onnx.load(folder / DETECTOR)
    inputs = [value.name for value in detector.graph.input]
    part = onnx.utils.Extractor(detector).extract_model(inputs, [RELATIVE_MAPS])
    onnx.helper.set_model_props(part, made_from)
    onnx.save(part, folder / DIFFERENCES)


class _Part(NamedTuple):
    """A module to export, with arguments to trace it and the axes of each that vary."""

    module: nn.Module
    example: tuple[Any, ...]
    varies: tuple[Any, ...]
    inputs: Sequence[str]
    outputs: Sequence[str]


def _encoder(model: DeltaVLMForConditionalGeneration) -> _Part:
    side = model.config.image_size
    rows, cols = (SIDE_MULTIPLE_PX * Dim(name, min=1, max=64) for name in "yx")
    outputs = ("tokens", *map_names("map", len(model.vision.channels)))
    pixels = torch.zeros(VISION_BATCH, 4, side, side)
    return _Part(ExportedEncoder(model), (pixels,), ({2: rows, 3: cols},), (PIXELS,), outputs)


def _detector(model: DeltaVLMForConditionalGeneration) -> _Part:
    assert model.dense is not None
    side, levels = model.config.image_size, len(model.vision.channels)
    with torch.inference_mode():
        vision: Any = model.vision
        maps = vision.levels(torch.zeros(VISION_BATCH, 4, side, side))
    # Not the same tensors twice, which would become one input.
    maps, others = (tuple(level.clone() for level in maps) for _ in range(2))
    least = maps[-1].shape[-1]
    high, wide = (Dim(name, min=1, max=_MAX_SIDE) for name in ("high", "wide"))
    varies = tuple(
        {2: level.shape[2] // least * high, 3: level.shape[3] // least * wide} for level in maps
    )
    return _Part(
        ExportedDetector(model),
        (maps, others, torch.zeros(VISION_BATCH, model.dense.layout.size)),
        (varies, varies, {}),
        (*map_names("before", levels), *map_names("after", levels), "scene"),
        DenseOutput._fields,
    )


def _question(model: DeltaVLMForConditionalGeneration) -> _Part:
    side = model.config.image_size
    with torch.inference_mode():
        features = model.vision(*torch.zeros(2, _ROWS, 4, side, side))
        dense = tuple(model.predict_dense(features.maps))[: len(DenseArrays._fields)]
    ids = torch.ones(_ROWS, _TOKENS, dtype=torch.int64)
    rows, words = Dim("rows", max=_MAX_SIDE), Dim("words", max=_MAX_SIDE)
    high, wide = (Dim(name, min=_LEAST_SIDE, max=_MAX_SIDE) for name in ("high", "wide"))
    least = min(part.shape[2] for part in dense if part.ndim == 4)

    def varies(part: Tensor) -> dict[int, Any]:
        """The maps have sides that are multiples of each other."""
        times = part.shape[2] // least if part.ndim == 4 else 0
        return {0: rows, 2: times * high, 3: times * wide} if times else {0: rows}

    of_dense = tuple(map(varies, dense))
    question = {0: rows, 1: words}
    tokens = {0: rows, 1: Dim("tokens", max=_MAX_SIDE)}
    before, after = split_dates(features.tokens)
    return _Part(
        ExportedQuestion(model),
        (before, after, dense, ids, torch.ones_like(ids)),
        (tokens, tokens, of_dense, question, question),
        QUESTION_INPUTS,
        ("prefix",),
    )


def _language(model: DeltaVLMForConditionalGeneration) -> _Part:
    text = model.config.text_config
    width = text.hidden_size // text.num_attention_heads
    layers, heads = 2 * text.num_hidden_layers, text.num_key_value_heads
    before, past = 2 * _TOKENS, 3 * _TOKENS
    new = before + _TOKENS
    ids = torch.ones(_ROWS, _TOKENS, dtype=torch.int64)
    rows, auto = Dim("rows", max=_MAX_SIDE), Dim.AUTO
    return _Part(
        ExportedLanguage(model),
        (
            torch.zeros(_ROWS, before, text.hidden_size),
            ids,
            torch.zeros(_ROWS, 1, new, past + new),
            torch.arange(past, past + new).expand(_ROWS, -1),
            torch.zeros(layers, _ROWS, heads, past, width),
        ),
        (
            {0: rows, 1: auto},
            {0: rows, 1: auto},
            {0: rows, 2: auto, 3: auto},
            {0: rows, 1: auto},
            {1: rows, 3: auto},
        ),
        LANGUAGE_INPUTS,
        LANGUAGE_OUTPUTS,
    )


def _write(part: _Part, file: Path, metadata: dict[str, str]) -> None:
    """Exports a part and adds metadata to the file."""
    with warnings.catch_warnings(), quiet_libraries():
        # The warnings are about axes with the same name, and about names that torch makes up.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            part.module.eval(),
            part.example,
            input_names=part.inputs,
            output_names=part.outputs,
            dynamic_shapes=part.varies,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(file, external_data=False)
    model = onnx.load(file)
    store_in_half_precision(model)
    drop_debug_info(model)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, file)


def drop_debug_info(model: onnx.ModelProto) -> None:
    """Drops the exporter's debugging information: paths and lines of this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def store_in_half_precision(model: onnx.ModelProto) -> None:
    """Halves large weights where that hardly changes them; ONNX Runtime widens them again."""
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _LEAST_VALUES:
            continue
        half = values.astype(np.float16)
        if np.allclose(half, values, rtol=HALF_ERROR, atol=0):
            name = weight.name
            weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_half"))
            cast = onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT)
            casts.append(cast)
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
