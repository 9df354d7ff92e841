"""A DeltaVLM that is being tuned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS
from geochg.datasets.ground.covers import ANY, COVERS_OF_CLASS, NOTHING, UNKNOWN_CHANGE
from geochg.models.adapters import write_sentence
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.language import turn_prompt
from geochg.models.deltavlm.runtime.onnx_vision import DETECTOR
from geochg.models.deltavlm.runtime.vision_output import SIDE_MULTIPLE_PX
from geochg.records import Change
from geochg.training.builtin.losses import vision_losses
from geochg.training.finetune.change_masks import ChangeMasks
from geochg.training.finetune.sample import Lesson
from geochg.training.finetune.trainable_model import Pupil, check_room, learns, words_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.models.base import ChangeModel
    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration

_ROWS = ("input_ids", "attention_mask", "qformer_input_ids", "qformer_attention_mask")


class DeltaVLMPupil(Pupil):
    """Learns words from the answers, and to see where masks lie beside the pictures.

    Args:
        network: The base.
        processor: Its processor.
        folder: Where it came from.
        max_tokens: Most tokens of a row.
        seeing: Weight of the dense head's loss.
    """

    def __init__(
        self,
        network: DeltaVLMForConditionalGeneration,
        processor: DeltaVLMProcessor,
        folder: Path,
        max_tokens: int,
        seeing: float,
    ) -> None:
        super().__init__(network)
        self.processor = processor
        self.folder = folder
        self.max_tokens = max_tokens
        self.seeing = seeing
        self.reworded = False

    def inputs(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        """See `Pupil.inputs`; each turn is a row of its own, since the Q-Former reads it too.

        Raises:
            InputError: If a question alone is longer than a row may be.
        """
        prompts, answers, places, last = [], [], [], []
        for place, lesson in enumerate(lessons):
            for turn, answer in enumerate(lesson.said):
                prompts.append(turn_prompt(lesson.asked[: turn + 1], lesson.said[:turn]))
                answers.append(answer)
                places.append(place)
                last.append(lesson.asked[turn])
        rows = self.processor.examples(prompts, answers).arguments()
        room = self.max_tokens
        rows = {
            name: part[:, :room] if "qformer" not in name else part for name, part in rows.items()
        }
        check_room(rows["labels"].tolist(), last, room)
        return {
            **rows,
            "pair_index": torch.tensor(places),
            "before": self._pixels([lesson.before for lesson in lessons]),
            "after": self._pixels([lesson.after for lesson in lessons]),
            **self._targets(lessons),
        }

    def losses(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """See `Pupil.forward`."""
        network = self.network
        with nullcontext() if learns(network.vision) else torch.no_grad():
            features = network.vision(inputs["before"], inputs["after"])
        seen = None if network.dense is None else network.predict_dense(features.maps)
        encoding = network.relate(features, seen)
        rows = {name: inputs[name] for name in _ROWS}
        logits = network(**rows, pair_index=inputs["pair_index"], encoding=encoding).logits
        losses = {"words": words_loss(logits[:, :-1], inputs["labels"][:, 1:])}
        if seen is not None and "change" in inputs:
            losses["seeing"] = self.seeing * vision_losses(seen, inputs)["total"]
        return losses

    def model(self) -> ChangeModel:
        """See `Pupil.model`."""
        from geochg.models.base import ModelIdentity
        from geochg.models.deltavlm.backend import DeltaVLMModel
        from geochg.models.deltavlm.options import DeltaVLMOptions
        from geochg.models.deltavlm.runtime.torch_language import TorchLanguage
        from geochg.models.deltavlm.runtime.torch_vision import TorchVision

        language = TorchLanguage(self.network, self.processor)
        vision = TorchVision(self.network, self.processor)
        return DeltaVLMModel(vision, lambda: language, DeltaVLMOptions(), ModelIdentity("", ""))

    def save(self, folder: Path) -> None:
        """See `Pupil.save`; without the exported files of a compact model, see `finish`."""
        self.network.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def reword(self, sentence: str) -> None:
        """See `Pupil.reword`: where the dense head sees no change, nobody is asked for words."""
        config = self.network.config
        if config.dense_config is None or sentence == config.no_change_sentence:
            return
        config.no_change_sentence, self.reworded = sentence, True

    def save_wording(self, folder: Path) -> None:
        """See `Pupil.save_wording`."""
        if self.reworded:
            write_sentence(folder, self.network.config.no_change_sentence)

    def learns_to_see(self) -> bool:
        """See `Pupil.learns_to_see`."""
        network = self.network
        if network.dense is None or not self.seeing:
            return False
        return learns(network.dense) or learns(network.vision)

    def finish(self, folder: Path) -> None:
        """Exports a saved model that came from a folder with exported files."""
        if (self.folder / DETECTOR).is_file():
            from geochg.models.deltavlm.export import export

            export(self.network.cpu().float().eval(), folder)

    # --- pictures --------------------------------------------------------------------------------

    def _pixels(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Pictures of any sizes, filled up on the right and at the bottom with the mean colour."""
        made = [self.processor.pixels([image]) for image in images]
        height, width = (max(part.shape[axis] for part in made) for axis in (2, 3))
        return torch.cat([_filled(part, height, width) for part in made])

    # --- masks -----------------------------------------------------------------------------------

    def _targets(self, lessons: Sequence[Lesson]) -> dict[str, Tensor]:
        """What the dense head should say; nothing where it does not learn, or has no masks.

        Returns:
            `cover_before`, `cover_after` and `change` `(pairs, height, width)` uint8 and
            `teaches_change` `(pairs,)` bool, see `training.builtin.pairs.Pair`.
        """
        if not self.wants_masks or all(lesson.masks is None for lesson in lessons):
            return {}
        shape = tuple(max(lesson.before.shape[axis] for lesson in lessons) for axis in (1, 2))
        if not self.processor.config.resize:
            shape = tuple(side + -side % SIDE_MULTIPLE_PX for side in shape)
        layers = [_labels(lesson.masks, lesson.before.shape[1:], shape) for lesson in lessons]
        before, after, change = (torch.from_numpy(np.stack(p)) for p in zip(*layers, strict=True))
        return {
            "cover_before": before,
            "cover_after": after,
            "change": change,
            "teaches_change": torch.tensor([lesson.masks is not None for lesson in lessons]),
        }


def _labels(
    masks: ChangeMasks | None, own: Sequence[int], shape: Sequence[int]
) -> tuple[NDArray[np.uint8], ...]:
    """Covers of both dates and the change of one pair; unknown where nobody drew anything."""
    before, after = (np.full(tuple(shape), NOTHING, np.uint8) for _ in range(2))
    change = np.full(tuple(shape), UNKNOWN_CHANGE, np.uint8)
    if masks is None:
        return before, after, change
    inside = np.s_[: own[0], : own[1]]
    change[inside] = masks.classes > 0
    for class_name, cover in COVERS_OF_CLASS.items():
        of_class = masks.classes == CLASS_NAMES.index(class_name)
        others = ANY & ~cover
        for direction, (first, second) in {
            Change.APPEARED: (others, cover),
            Change.DISAPPEARED: (cover, others),
            Change.ALTERED: (cover, cover),
        }.items():
            where = of_class & (masks.directions == DIRECTIONS.index(direction))
            before[inside][where], after[inside][where] = first, second
    return before, after, change


def _filled(images: Tensor, height: int, width: int) -> Tensor:
    return functional.pad(images, (0, width - images.shape[3], 0, height - images.shape[2]))
