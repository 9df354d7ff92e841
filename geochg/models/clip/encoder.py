"""Classifies images by their likeness to texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geochg.errors import ModelError
from geochg.models.images import rgb
from geochg.models.memory import FittingBatches, memory_errors

MAX_BATCH = 64
"""Images encoded at once, at most; fewer where memory does not take them."""

MIN_SCALE, MAX_SCALE = 2.0, 1e4
"""Bounds of the factor from likenesses (-1 to 1) to logits: trained models have 14 to about 120.
With less, all images show all classes alike."""


class EncodedImage(NamedTuple):
    """An image, encoded.

    Attributes:
        probabilities: `(classes,)` float64, which add up to 1.
        embedding: `(width,)` float64, a unit vector.
    """

    probabilities: NDArray[np.float64]
    embedding: NDArray[np.float64]


class Encoder:
    """A CLIP or SigLIP with the texts that images are compared with.

    Args:
        model: A `CLIPModel`, or one with the same methods, in evaluation mode.
        processor: The model's image processor.
        texts: `(classes, width)` float32, unit vectors, on the model's device.
    """

    def __init__(self, model: Any, processor: Any, texts: Tensor) -> None:
        self.model = model
        self.processor = processor
        self.texts = texts
        # In half precision it could overflow.
        self.scale = float(model.logit_scale.detach().cpu().double().exp())
        self._batches = FittingBatches(MAX_BATCH)

    def probabilities(self, dates: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The probability that each image shows each class.

        Images go through the model in batches as large as memory takes.

        Args:
            dates: Each `(bands, height, width)` uint8; the sizes may differ.

        Returns:
            `(images, classes)` float64; each row adds up to 1.

        Raises:
            RunError: If there is no memory for one image.
        """
        if not dates:
            return np.empty((0, len(self.texts)))
        return np.stack([image.probabilities for image in self.encodings(dates)])

    @torch.inference_mode()
    def encodings(self, dates: Sequence[NDArray[np.uint8]]) -> list[EncodedImage]:
        """Each image encoded, and the probability that it shows each class.

        Args:
            dates: As for `probabilities`.

        Raises:
            RunError: If there is no memory for one image.
        """
        with memory_errors("one image", "use another --device, or a smaller model"):
            return self._batches.map(self._image_encodings, dates)

    def _image_encodings(self, dates: Sequence[NDArray[np.uint8]]) -> list[EncodedImage]:
        # The axes are named, because an image 3 px high could be taken for three bands.
        prepared = self.processor(
            images=[np.ascontiguousarray(rgb(date).transpose(1, 2, 0)) for date in dates],
            input_data_format="channels_last",
            return_tensors="pt",
        )
        inputs = image_inputs(prepared, self.model)
        features = unit(self.model.get_image_features(**inputs).pooler_output)
        # SigLIP's bias is the same for all classes and falls out.
        logits = self.scale * (features @ self.texts.T)
        rows = logits.cpu().double().softmax(dim=-1).numpy()
        embeddings = features.cpu().double().numpy()
        return [EncodedImage(*image) for image in zip(rows, embeddings, strict=True)]


def image_inputs(prepared: Mapping[str, Tensor], model: Any) -> dict[str, Tensor]:
    """What a processor gives, on a model's device, pixels as its numbers."""
    # The sizes of pictures are read by the host.
    inputs = {
        name: value if name == "spatial_shapes" else value.to(model.device)
        for name, value in prepared.items()
    }
    inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
    return inputs


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a type of model is given texts.

    Attributes:
        inputs: Outputs of the tokenizer that the model takes.
        padding: The tokenizer's padding: `longest`, or `max_length` where it was trained so.
    """

    inputs: tuple[str, ...]
    padding: str


@torch.inference_mode()
def text_embeddings(
    model: Any,
    tokenizer: Any,
    form: TextForm,
    prompts: Sequence[Sequence[str]],
    templates: Sequence[str],
) -> Tensor:
    """One unit vector a class: the mean of the vectors of its sentences, normalised.

    Args:
        model: See `Encoder`.
        tokenizer: The model's tokenizer.
        form: How the type of model is given texts.
        prompts: Noun phrases for each class.
        templates: Sentences with `{}` in the place of a noun phrase.

    Returns:
        `(classes, width)` float32, on the model's device.

    Raises:
        ModelError: If a sentence is longer than the model reads.
    """
    max_tokens = model.config.text_config.max_position_embeddings
    rows = []
    for phrases in prompts:
        sentences = [template.replace("{}", phrase) for phrase in phrases for template in templates]
        tokens = tokenizer(sentences, padding=form.padding, max_length=max_tokens)
        _check_length(sentences, tokens, max_tokens)
        inputs = {
            name: torch.tensor(values, device=model.device)
            for name, values in tokens.items()
            if name in form.inputs
        }
        vectors = unit(model.get_text_features(**inputs).pooler_output)
        rows.append(unit(vectors.mean(dim=0)))
    return torch.stack(rows)


def _check_length(sentences: Sequence[str], tokens: Mapping[str, Any], max_tokens: int) -> None:
    for sentence, ids in zip(sentences, tokens["input_ids"], strict=True):
        if len(ids) > max_tokens:
            raise ModelError(
                f"{sentence!r} has {len(ids)} tokens, the model reads {max_tokens}",
                "shorten the prompt or the template",
            )


def unit(vectors: Tensor) -> Tensor:
    """Vectors of unit length; NaN where that is no finite number above zero.

    A vector whose length overflows would else become zero, and be as like to any text as another.
    """
    float_vectors = vectors.float()
    lengths = torch.linalg.vector_norm(float_vectors, dim=-1, keepdim=True)
    sound = torch.isfinite(lengths) & (lengths > 0)
    return torch.where(sound, float_vectors / lengths, torch.nan)
