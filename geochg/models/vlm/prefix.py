"""The engine of models to which images are tokens.

All that comes before the questions, images among it, is the same for all questions about a tile:
its keys and values are computed once and kept. Prompts about many tiles then go through the model
side by side.
"""

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from geochg.errors import ModelError
from geochg.models.blind_models import refuse_blind, tile_images
from geochg.models.vlm.chat_writer import ChatWriter
from geochg.models.vlm.engine import Engine, TilePrompt
from geochg.models.vlm.family import Family, ImageInputs
from geochg.records import Tile

QUESTION_TOKENS = 512
"""Room for a question and its answer behind the images of three dates or more."""


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
        self.dates = 2
        self._by_dates: dict[int, Any] = {2: self}
        self._check_template()

    @property
    def most_dates(self) -> int:
        """Most dates of a tile; see `Family.most_dates`."""
        return self.family.most_dates

    def for_dates(self, dates: int) -> Self:
        """The engine of the same model for tiles of so many dates."""
        if dates not in self._by_dates:
            engine = copy(self)
            engine.dates = dates
            engine.writer = self.writer.for_dates(self.family.content_of(dates), dates)
            engine._check_template()
            self._by_dates[dates] = engine
        engine_of_dates: Self = self._by_dates[dates]
        return engine_of_dates

    def _check_template(self) -> None:
        if self.writer.prefix_ids.count(self.family.token) != len(self.writer.content):
            raise ModelError("the model's chat template leaves out the images", "use another model")

    def _check_room(self, tokens: int) -> None:
        """Refuses more dates than the model has room for; what it would say were chance."""
        room = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if self.dates > 2 and room is not None and tokens + QUESTION_TOKENS > room:
            raise ModelError(
                f"{self.dates} dates are {tokens} tokens, and the model has room for {room}",
                "give fewer dates, or add --in-turn to show them in pairs",
            )

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tile]) -> PrefixEncoding:
        """Encodes tiles of one size, all at once."""
        images = self.family.image_inputs(tiles)
        ids = self.prefix_with_images(images)
        self._check_room(len(ids))
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
        """Refuses a model to which the first and the last date are the same where they are not.

        The first layer computes the values of each token by itself: as many of the images' tokens
        belong to each date.
        """
        if self.dates == 1:
            return
        positions = [index for index, token in enumerate(ids) if token == self.family.token]
        values = getattr(cache.layers[0], "values", None)
        if values is None or values.dim() != 4 or values.shape[2] != len(ids):
            return  # a layer that keeps something else
        count = len(positions) // self.dates
        features = values[:, :, positions].float().cpu().numpy()
        last = count * (self.dates - 1)
        refuse_blind(
            tile_images(tiles), (features[:, :, :count], features[:, :, last : last + count])
        )

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
