"""A DeltaVLM that is being tuned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geochg.datasets.telling.truth import CLASS_NAMES, DIRECTIONS
from geochg.models.deltavlm.dense import DenseOutput
from geochg.models.deltavlm.losses import DenseTargets, dense_losses
from geochg.models.deltavlm.onnx_eyes import EYES
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.speech import turn_prompt
from geochg.models.deltavlm.wording import write_sentence
from geochg.training.tuning.lesson import Lesson
from geochg.training.tuning.masks import UNKNOWN, ChangeMasks
from geochg.training.tuning.pupil import Pupil, check_room, learns, words_loss

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
        # Convolutions are a third faster so on a CPU.
        self.network.to(memory_format=torch.channels_last)
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
        seen = None if network.dense is None else network.look(features.maps)
        encoding = network.relate(features, seen)
        rows = {name: inputs[name] for name in _ROWS}
        logits = network(**rows, pair_index=inputs["pair_index"], encoding=encoding).logits
        losses = {"words": words_loss(logits[:, :-1], inputs["labels"][:, 1:])}
        if "masks" in inputs:
            losses["seeing"] = self.seeing * self._seeing(cast("DenseOutput", seen), inputs)
        return losses

    def model(self) -> ChangeModel:
        """See `Pupil.model`."""
        from geochg.models.base import ModelIdentity
        from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
        from geochg.models.deltavlm.torch_eyes import TorchEyes
        from geochg.models.deltavlm.torch_speaker import TorchSpeaker

        speaker = TorchSpeaker(self.network, self.processor)
        eyes = TorchEyes(self.network, self.processor)
        return DeltaVLMModel(eyes, lambda: speaker, DeltaVLMOptions(), ModelIdentity("", ""))

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
        if (self.folder / EYES).is_file():
            from geochg.models.deltavlm.export import export
            from geochg.models.deltavlm.folding import fold_batch_norms

            export(fold_batch_norms(self.network.cpu().float().eval()), folder)

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
            `masks` `(pairs, channels, height, width)` bool; `undirected` `(pairs, classes, height,
            width)` bool, what changed in a direction nobody noted; `ignore` `(pairs, height,
            width)` bool, where nobody drew anything.
        """
        if not self.wants_masks or all(lesson.masks is None for lesson in lessons):
            return {}
        shape = tuple(max(lesson.before.shape[axis] for lesson in lessons) for axis in (1, 2))
        if not self.processor.config.resize:
            shape = tuple(side + -side % 32 for side in shape)
        layers = [self._layers(lesson.masks, lesson.before.shape[1:], shape) for lesson in lessons]
        masks, undirected, ignore = (
            torch.from_numpy(np.stack(p)) for p in zip(*layers, strict=True)
        )
        return {"masks": masks, "undirected": undirected, "ignore": ignore}

    def _layers(
        self, masks: ChangeMasks | None, own: Sequence[int], shape: Sequence[int]
    ) -> tuple[NDArray[np.bool_], ...]:
        """`masks`, `undirected` and `ignore` of one pair."""
        dense = self.network.config.dense_config
        layers = np.zeros((len(dense.channels), *shape), np.bool_)
        undirected = np.zeros((len(dense.classes), *shape), np.bool_)
        ignore = np.ones(tuple(shape), np.bool_)
        if masks is None:
            return layers, undirected, ignore
        inside = np.s_[: own[0], : own[1]]
        told = [0, *(CLASS_NAMES.index(name) for name in dense.classes)]
        # A change of a class that the head does not know is neither one of its own nor none.
        ignore[inside] = ~np.isin(masks.classes, told)
        for row, name in enumerate(dense.classes):
            of_class = masks.classes == CLASS_NAMES.index(name)
            undirected[row][inside] = of_class & (masks.directions == UNKNOWN)
            for turn, change in enumerate(dense.directions):
                index = DIRECTIONS.index(change)
                layer = layers[row * len(dense.directions) + turn]
                layer[inside] = of_class & (masks.directions == index)
        return layers, undirected, ignore

    def _seeing(self, seen: DenseOutput, inputs: dict[str, Any]) -> Tensor:
        dense = self.network.config.dense_config
        turns = len(dense.directions)
        size = (seen.logits.shape[-2], seen.logits.shape[-1])
        masks = functional.adaptive_avg_pool2d(inputs["masks"].float(), size)
        undirected = functional.adaptive_avg_pool2d(inputs["undirected"].float(), size)
        # Where nobody noted the direction, it is the one that the head thinks likeliest.
        guess = seen.logits.detach()
        guess = guess.reshape(len(guess), -1, turns, *size)
        likeliest = torch.zeros_like(guess).scatter_(2, guess.argmax(2, keepdim=True), 1.0)
        masks = masks + (likeliest * undirected[:, :, None]).flatten(1, 2)
        targets = DenseTargets(masks, inputs["ignore"])
        return dense_losses(seen, targets, turns)["total"]


def _filled(images: Tensor, height: int, width: int) -> Tensor:
    return functional.pad(images, (0, width - images.shape[3], 0, height - images.shape[2]))
