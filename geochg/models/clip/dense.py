"""Likenesses of patches: how like each patch of an image is to each text.

CLIP was trained to compare whole images with texts. Its patches are comparable with texts too where
the last layer is changed: attention of patches to those that have alike queries, without the
residual and the feed-forward part, which hold what is said of the whole image (ClearCLIP, Lan et
al. 2024, after MaskCLIP, Zhou et al. 2022, and SCLIP, Wang et al. 2024). A SigLIP pools its patches
by attention; its pooling head, given one patch alone, gives the embedding of that patch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray
from torch import Tensor
from torch.nn import functional

from geochg.models.clip.encoder import Encoder, image_inputs, unit
from geochg.models.memory import FittingBatches, memory_errors

MAX_BATCH = 32
"""Windows encoded at once, at most; fewer where memory does not take them."""


class DenseEncoder:
    """The patches of windows, compared with the texts of an encoder.

    Args:
        encoder: The encoder, whose model, processor and texts are used.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        vision = encoder.model.config.vision_config
        self.patch_px = int(vision.patch_size)
        self.side_px = _side_px(vision)
        self._tokens = _TOKENS[encoder.model.config.model_type]
        self._batches = FittingBatches(MAX_BATCH)

    @property
    def patches(self) -> int:
        """Patches along a side of a window."""
        return self.side_px // self.patch_px

    @torch.inference_mode()
    def likenesses(self, windows: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The likeness of each patch of each window to each text.

        Args:
            windows: Each `(3, height, width)` uint8; shown at the model's own size.

        Returns:
            `(windows, rows, columns, classes)` float32 logits: cosines times the model's scale.

        Raises:
            RunError: If there is no memory for one window.
        """
        count = self.patches
        if not windows:
            return np.empty((0, count, count, len(self.encoder.texts)), np.float32)
        with memory_errors("one image", "use another --device, or a smaller model"):
            return np.stack(self._batches.map(self._likenesses, windows))

    def _likenesses(self, windows: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        model, count = self.encoder.model, self.patches
        settings = {"do_resize": False, "input_data_format": "channels_last"}
        if hasattr(self.encoder.processor, "do_center_crop"):
            settings["do_center_crop"] = False
        prepared = self.encoder.processor(
            images=[self._shown(window) for window in windows], return_tensors="pt", **settings
        )
        inputs = image_inputs(prepared, model)
        vectors = unit(self._tokens(model, inputs)[:, : count * count])
        logits = self.encoder.scale * (vectors @ self.encoder.texts.T)
        return list(logits.reshape(len(windows), count, count, -1).cpu().numpy())

    def _shown(self, window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`(side, side, 3)`: the window at the model's size, whatever its processor would cut."""
        image = fromarray(np.ascontiguousarray(window.transpose(1, 2, 0)))
        return np.asarray(image.resize((self.side_px, self.side_px), Resampling.BICUBIC))


def _side_px(vision: Any) -> int:
    """Side of the images that a vision part was trained on."""
    if hasattr(vision, "image_size"):
        return int(vision.image_size) // int(vision.patch_size) * int(vision.patch_size)
    return int(vision.num_patches**0.5) * int(vision.patch_size)


def _clip_tokens(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """`(images, patches, width)` of a CLIP; see the module."""
    vision = model.vision_model
    tokens = vision.pre_layrnorm(vision.embeddings(inputs["pixel_values"]))
    *layers, last = vision.encoder.layers
    for layer in layers:
        tokens = layer(tokens, attention_mask=None)
    tokens = last.layer_norm1(tokens)
    attention = last.self_attn
    queries, values = (
        part(tokens).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for part in (attention.q_proj, attention.v_proj)
    )
    mixed = functional.scaled_dot_product_attention(queries, queries, values)
    local = attention.out_proj(mixed.transpose(1, 2).flatten(2))
    projected: Tensor = model.visual_projection(vision.post_layernorm(local[:, 1:]))
    return projected


def _siglip_tokens(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """`(images, patches, width)` of a SigLIP: each patch pooled alone."""
    tokens = model.vision_model(**inputs).last_hidden_state
    images, patches, width = tokens.shape
    pooled: Tensor = model.vision_model.head(tokens.reshape(images * patches, 1, width))
    return pooled.reshape(images, patches, -1)


_TOKENS: dict[str, Callable[[Any, dict[str, Tensor]], Tensor]] = {
    "clip": _clip_tokens,
    "siglip": _siglip_tokens,
    "siglip2": _siglip_tokens,
}
"""The patches of a model, by the `model_type` of its configuration."""
