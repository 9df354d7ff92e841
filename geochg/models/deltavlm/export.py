"""Writes the vision part and the dense head of a model as ONNX, for `onnx_eyes`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from geochg.models.deltavlm.dense import channel_probability
from geochg.models.deltavlm.folder import fingerprint, weight_files
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.onnx_eyes import EYES, FACTS, INPUTS, MADE_FROM, OUTPUTS
from geochg.models.deltavlm.sight import SIDE_MULTIPLE_PX, VISION_BATCH, HeadFacts
from geochg.models.deltavlm.vision import split_dates


class ExportedEyes(nn.Module):
    """What `onnx_eyes` runs: from pixels to all that is seen."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: DeltaVLMForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        config = model.config
        for name, values in (("mean", config.image_mean), ("std", config.image_std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1) * 255)

    def forward(self, before: Tensor, after: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
        """Inputs and outputs as `onnx_eyes.INPUTS` and `OUTPUTS` say."""
        dates = ((date - self.mean) / self.std * valid for date in (before, after))
        features = self.model.vision(*dates)
        output = self.model.look(features.maps)
        probability = channel_probability(output, self.model.config.dense_config.temperature)
        presence = output.presence_logits.sigmoid()
        return (*split_dates(features.tokens), *output, probability, presence)


def export_eyes(model: DeltaVLMForConditionalGeneration, folder: Path) -> None:
    """Exports a calibrated model that has a dense head and does not resize.

    Args:
        model: In evaluation mode on the CPU, as loaded from the folder; its batch norms may be
            folded.
        folder: Where its weights and its configuration lie, and where the file goes.

    Raises:
        ValueError: If the model has no dense head, or resizes.
    """
    config = model.config
    if config.dense_config is None or config.resize:
        raise ValueError("only a model with a dense head that does not resize can be exported")
    side = config.image_size
    dates = torch.zeros(2, VISION_BATCH, 3, side, side)
    rows, cols = (SIDE_MULTIPLE_PX * torch.export.Dim(name, min=1, max=64) for name in "yx")
    program = torch.onnx.export(
        ExportedEyes(model).eval(),
        (*dates, torch.ones(VISION_BATCH, 1, side, side)),
        input_names=INPUTS,
        output_names=OUTPUTS,
        dynamic_shapes=[{2: rows, 3: cols}] * len(INPUTS),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    facts = asdict(HeadFacts.of(config.dense_config, config.resize, config.no_change_sentence))
    program.model.metadata_props[FACTS] = json.dumps(facts)
    program.model.metadata_props[MADE_FROM] = fingerprint(folder, weight_files(folder))
    program.save(folder / EYES, external_data=False)
