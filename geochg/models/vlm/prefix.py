"""The engine of models to which images are tokens.

All that comes before the questions, images among it, is the same for all questions about a tile:
its keys and values are computed once and kept. Prompts about many tiles then go through the model
side by side.
"""

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from geochg.errors import ModelError
from geochg.models.blind_models import refuse_blind, tile_images
from geochg.models.vlm.chat_writer import ChatWriter
from geochg.models.vlm.engine import Engine, TilePrompt
from geochg.models.vlm.family import Family, ImageInputs
from geochg.records import Tile


@dataclass(frozen=True)
class PrefixEncoding:
    """Some tiles, encoded with all that comes before the questions.

    Attributes:
        cache: Keys and values, a row a tile.
        ids: The tokens they belong to, the same for all tiles.
        state: See `Family.state`.
    """

    cache: Cache
    ids: list[int]
    state: Any


class PrefixEngine(Engine[PrefixEncoding]):
    """Keeps the keys and values of the prefix.

    Args:
        family: The model's family, which holds the model.
        writer: Writes the model's chats.
        max_tokens: Most tokens of an answer.

    Raises:
        ModelError: If the chat template leaves out the images.
    """

    def __init__(self, family: Family, writer: ChatWriter, max_tokens: int) -> None:
        super().__init__(family.model, writer, max_tokens)
        self.family = family
        # Layers that keep a running state instead of keys and values would run over padding.
        self.pads = not _has_running_state(family.model.config.get_text_config())
        if writer.prefix_ids.count(family.token) != len(family.content):
            raise ModelError("the model's chat template leaves out the images", "use another model")

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tile]) -> PrefixEncoding:
        """Encodes tiles of one size, all at once."""
        images = self.family.image_inputs(tiles)
        ids = self.prefix_with_images(images)
        rows = torch.tensor([ids] * len(tiles), device=self.model.device)
        inputs = {name: self.to_device(values) for name, values in images.inputs.items()}
        if self.family.marks_images:
            inputs["mm_token_type_ids"] = (rows == self.family.token).int()
        cache = DynamicCache(config=self.model.config.get_text_config())
        self.family.state = None
        self.model(
            input_ids=rows,
            attention_mask=torch.ones_like(rows),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **inputs,
        )
        self._refuse_blind(tiles, ids, cache)
        return PrefixEncoding(cache, ids, self.family.state)

    def _refuse_blind(self, tiles: Sequence[Tile], ids: Sequence[int], cache: Cache) -> None:
        """Refuses a model to which both dates are the same where they are not.

        The first layer computes the values of each token by itself: the first and the second half
        of the images' tokens belong to the two dates.
        """
        positions = [index for index, token in enumerate(ids) if token == self.family.token]
        values = getattr(cache.layers[0], "values", None)
        if values is None or values.dim() != 4 or values.shape[2] != len(ids):
            return  # a layer that keeps something else
        half = len(positions) // 2
        features = values[:, :, positions].float().cpu().numpy()
        refuse_blind(tile_images(tiles), (features[:, :, :half], features[:, :, half : 2 * half]))

    def _inputs(self, encoding: PrefixEncoding, prompts: Sequence[TilePrompt]) -> Mapping[str, Any]:
        """Whole rows: the encoded prefix, padding, the prompt."""
        longest = max(len(prompt.ids) for prompt in prompts)
        pad = self.writer.tokenizer.pad_token_id
        rows, mask = [], []
        for _, ids in prompts:
            missing = longest - len(ids)
            rows.append([*encoding.ids, *[pad] * missing, *ids])
            mask.append([1] * len(encoding.ids) + [0] * missing + [1] * len(ids))
        self.family.state = encoding.state
        device = self.model.device
        tile_rows = torch.tensor([prompt.row for prompt in prompts], device=device)
        return {
            "input_ids": torch.tensor(rows, device=device),
            "attention_mask": torch.tensor(mask, device=device),
            "past_key_values": self._cache_rows(encoding, tile_rows),
        }

    def _cache_rows(self, encoding: PrefixEncoding, rows: Tensor) -> Cache:
        """The keys and values for some rows, which the model may add to."""
        if self.pads:
            # Attention layers replace their tensors and never write to them.
            cache = copy(encoding.cache)
            cache.layers = [copy(layer) for layer in cache.layers]
        else:
            cache = deepcopy(encoding.cache)
        cache.reorder_cache(rows)  # type: ignore[arg-type]
        return cache

    def prefix_with_images(self, images: ImageInputs) -> list[int]:
        """The tokens of the prefix, with as many image tokens as there are visual features."""
        counts = iter(enumerate(images.features))
        ids: list[int] = []
        for token in self.writer.prefix_ids:
            ids += (
                self.family.image_tokens(*next(counts)) if token == self.family.token else [token]
            )
        return ids

    def to_device(self, values: Tensor) -> Tensor:
        """An input on the model's device, in its number type."""
        dtype = self.model.dtype if values.is_floating_point() else None
        return values.to(self.model.device, dtype)


def _has_running_state(config: Any) -> bool:
    """Whether some layer is no attention layer."""
    kinds = getattr(config, "layer_types", None) or []
    return any("attention" not in kind or "linear" in kind for kind in kinds)
