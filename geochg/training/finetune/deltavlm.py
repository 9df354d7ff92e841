"""A DeltaVLM that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS
from geochg.datasets.ground.covers import ANY, COVERS_OF_CLASS, NOTHING, UNKNOWN_CHANGE
from geochg.models.adapters import write_sentence
from geochg.models.base import ChangeModel
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.language import turn_prompt
from geochg.models.deltavlm.runtime.onnx_vision import DETECTOR
from geochg.models.deltavlm.runtime.vision_output import SIDE_MULTIPLE_PX
from geochg.records import Change
from geochg.training.builtin.losses import vision_losses
from geochg.training.finetune.sample import ChangeMasks, Sample
from geochg.training.finetune.trainable_model import (
    TrainableModel,
    check_answer_room,
    has_trained_parameters,
    text_loss,
)

_TEXT_INPUTS = ("input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask")


class TrainableDeltaVLM(TrainableModel):
    """Learns text from the answers, and its dense head from masks that lie beside the pictures.

    Args:
        network: The base model's network.
        processor: Processor of the base model.
        folder: Folder of the base model.
        max_tokens: Most tokens of a row.
        mask_loss_weight: Weight of the dense head's loss.
    """

    def __init__(
        self,
        network: DeltaVLMForConditionalGeneration,
        processor: DeltaVLMProcessor,
        folder: Path,
        max_tokens: int,
        mask_loss_weight: float,
    ) -> None:
        super().__init__(network, folder)
        self.processor = processor
        self.max_tokens = max_tokens
        self.mask_loss_weight = mask_loss_weight
        self.has_new_sentence = False

    def inputs(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """See `TrainableModel.inputs`; a row for each turn, since the Q-Former reads it too.

        Raises:
            InputError: If a question alone is longer than a row may be.
        """
        prompts, answers, pair_index, last = [], [], [], []
        for index, sample in enumerate(samples):
            for turn, answer in enumerate(sample.answers):
                prompts.append(turn_prompt(sample.questions[: turn + 1], sample.answers[:turn]))
                answers.append(answer)
                pair_index.append(index)
                last.append(sample.questions[turn])
        rows = self.processor.examples(prompts, answers).arguments()
        rows = {
            name: part[:, : self.max_tokens] if "qformer" not in name else part
            for name, part in rows.items()
        }
        check_answer_room(rows["labels"].tolist(), last, self.max_tokens)
        return {
            **rows,
            "pair_index": torch.tensor(pair_index),
            "before": self._pixels([sample.dates[0] for sample in samples]),
            "after": self._pixels([sample.dates[-1] for sample in samples]),
            **self._targets(samples),
        }

    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `TrainableModel.forward`."""
        network = self.network
        with nullcontext() if has_trained_parameters(network.vision) else torch.no_grad():
            features = network.vision(inputs["before"], inputs["after"])
        dense = None if network.dense is None else network.predict_dense(features.maps)
        encoding = network.relate(features, dense)
        rows = {name: inputs[name] for name in _TEXT_INPUTS}
        logits = network(**rows, pair_index=inputs["pair_index"], encoding=encoding).logits
        losses = {"text": text_loss(logits[:, :-1], inputs["labels"][:, 1:])}
        if dense is not None and "change" in inputs:
            losses["seeing"] = self.mask_loss_weight * vision_losses(dense, inputs)["total"]
        return losses

    def change_model(self) -> ChangeModel:
        """See `TrainableModel.change_model`."""
        from geochg.models.base import ModelIdentity
        from geochg.models.deltavlm.backend import DeltaVLMModel
        from geochg.models.deltavlm.options import DeltaVLMOptions
        from geochg.models.deltavlm.runtime.torch_language import TorchLanguage
        from geochg.models.deltavlm.runtime.torch_vision import TorchVision

        language = TorchLanguage(self.network, self.processor)
        vision = TorchVision(self.network, self.processor)
        return DeltaVLMModel(vision, lambda: language, DeltaVLMOptions(), ModelIdentity("", ""))

    def save(self, folder: Path) -> None:
        """See `TrainableModel.save`; `export_runtime` adds the files of a compact model."""
        self.network.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def set_no_change_sentence(self, sentence: str) -> None:
        """See the base class: where the dense head sees no change, no text is generated."""
        config = self.network.config
        if config.dense_config is None or sentence == config.no_change_sentence:
            return
        config.no_change_sentence, self.has_new_sentence = sentence, True

    def save_no_change_sentence(self, folder: Path) -> None:
        """See `TrainableModel.save_no_change_sentence`."""
        if self.has_new_sentence:
            write_sentence(folder, self.network.config.no_change_sentence)

    def learns_from_masks(self) -> bool:
        """See `TrainableModel.learns_from_masks`."""
        network = self.network
        if network.dense is None or not self.mask_loss_weight:
            return False
        return has_trained_parameters(network.dense) or has_trained_parameters(network.vision)

    def export_runtime(self, folder: Path) -> None:
        """Exports a saved model that came from a folder with exported files."""
        if (self.folder / DETECTOR).is_file():
            from geochg.models.deltavlm.export import export

            export(self.network.cpu().float().eval(), folder)

    def _pixels(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Pictures of any sizes, padded on the right and at the bottom with the mean colour."""
        pixels = [self.processor.pixels([image]) for image in images]
        height, width = (max(part.shape[axis] for part in pixels) for axis in (2, 3))
        return torch.cat(
            [functional.pad(p, (0, width - p.shape[3], 0, height - p.shape[2])) for p in pixels]
        )

    def _targets(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """The dense head's targets, as `pair_batch`; none where it has no masks to learn from."""
        if not self.wants_masks or all(sample.masks is None for sample in samples):
            return {}
        shape = tuple(max(sample.shape_px[axis] for sample in samples) for axis in (0, 1))
        if not self.processor.config.resize:
            shape = tuple(side + -side % SIDE_MULTIPLE_PX for side in shape)
        layers = [_target_layers(s.masks, s.shape_px, shape) for s in samples]
        before, after, change = (torch.from_numpy(np.stack(p)) for p in zip(*layers, strict=True))
        return {
            "cover_before": before,
            "cover_after": after,
            "change": change,
            "teaches_change": torch.tensor([sample.masks is not None for sample in samples]),
        }


def _target_layers(
    masks: ChangeMasks | None, own_shape: Sequence[int], shape: Sequence[int]
) -> tuple[NDArray[np.uint8], ...]:
    """Covers of both dates and the change of a pair; unknown beyond the picture and its masks."""
    before, after = (np.full(tuple(shape), NOTHING, np.uint8) for _ in range(2))
    change = np.full(tuple(shape), UNKNOWN_CHANGE, np.uint8)
    if masks is None:
        return before, after, change
    inside = np.s_[: own_shape[0], : own_shape[1]]
    change[inside] = masks.classes > 0
    if masks.known is not None:
        change[inside][~masks.known] = UNKNOWN_CHANGE
    for class_name, cover in COVERS_OF_CLASS.items():
        of_class = masks.classes == CLASS_NAMES.index(class_name)
        others = ANY & ~cover
        for direction, (first, second) in {
            Change.APPEARED: (others, cover),
            Change.DISAPPEARED: (cover, others),
            Change.ALTERED: (cover, cover),
        }.items():
            changed = of_class & (masks.directions == DIRECTIONS.index(direction))
            before[inside][changed], after[inside][changed] = first, second
    return before, after, change
