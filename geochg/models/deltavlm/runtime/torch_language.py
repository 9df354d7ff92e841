"""Runs the language model by torch, on any device and with any generation settings."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from geochg.models.deltavlm.dense_head import DenseOutput
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration, PairEncoding
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.vision_output import VisionOutput
from geochg.models.deltavlm.vision import DateFeatures

# Prompts come as embeddings, as in the released code; the penalty is for the answer. The filter
# stays, since a filter for one call is not safe where several threads run.
warnings.filterwarnings("ignore", "Passing `repetition_penalty`")


@dataclass(frozen=True)
class TorchLanguage:
    """The language model of a DeltaVLM; see `LanguageRunner`.

    Attributes:
        model: The whole model.
        processor: The model's processor.
        settings: Generation settings over the defaults saved with the model.
    """

    model: DeltaVLMForConditionalGeneration
    processor: DeltaVLMProcessor
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def batch_prompts(self) -> int:
        """Prompts answered at once."""
        return int(self.model.config.language_batch)

    @torch.inference_mode()
    def encode(self, vision: VisionOutput, indices: Sequence[int]) -> PairEncoding:
        """Relates the dates of some tiles; see `LanguageRunner`."""

        def select(values: Any) -> torch.Tensor:
            rows = torch.as_tensor(values, device=self.model.device)[list(indices)]
            return rows.to(self.model.dtype)

        tokens = torch.cat((select(vision.before), select(vision.after)))
        parts = None if vision.dense is None else [select(part) for part in vision.dense]
        # The language model does not read the relative maps.
        dense = None if parts is None else DenseOutput._make((*parts, parts[0]))
        return self.model.relate(DateFeatures(tokens, ()), dense)

    @torch.inference_mode()
    def answers(
        self, encoding: PairEncoding, rows: Sequence[int], prompts: Sequence[str]
    ) -> list[str]:
        """Answers prompts; see `LanguageRunner`."""
        device = self.model.device
        inputs = self.processor.questions(prompts).arguments()
        ids = self.model.generate(
            **{name: part.to(device) for name, part in inputs.items()},
            encoding=encoding,
            pair_index=torch.tensor(rows, device=device),
            **self.settings,
        )
        return self.processor.answers(ids)
