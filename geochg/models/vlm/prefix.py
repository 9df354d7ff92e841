"""The engine of models to which pictures are tokens.

All that comes before the questions, pictures among it, is the same for all questions about a
tile: its keys and values are computed once and kept. Questions about many tiles then go through
the model side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geochg.errors import ModelError
from geochg.models.blind_models import pictures_of, refuse_blind
from geochg.models.vlm.chat import ChatWriter
from geochg.models.vlm.engine import Engine, Text
from geochg.models.vlm.family import Family, Shown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache

    from geochg.records import Tile


@dataclass(frozen=True)
class Glance:
    """What a model has seen of some tiles.

    Attributes:
        cache: Keys and values of all that comes before the questions, a row a tile.
        ids: The tokens they are of, the same for all tiles.
        state: See `Family.state`.
    """

    cache: Cache
    ids: list[int]
    state: Any


class PrefixEngine(Engine[Glance]):
    """Keeps the keys and values of the opening.

    Args:
        family: Of the model, with it.
        writer: Of its chats.
        max_tokens: Most tokens of an answer.

    Raises:
        ModelError: If the chat template leaves out the pictures.
    """

    def __init__(self, family: Family, writer: ChatWriter, max_tokens: int) -> None:
        super().__init__(family.model, writer, max_tokens)
        self.family = family
        # Layers that keep a running state instead of keys and values would run over padding.
        self.pads = not _runs_on(family.model.config.get_text_config())
        if writer.opening.count(family.token) != len(family.content):
            raise ModelError(
                "the model's chat template leaves out the pictures", "use another model"
            )

    @torch.inference_mode()
    def look(self, tiles: Sequence[Tile]) -> Glance:
        """Looks at tiles of one size, all at once."""
        from transformers import DynamicCache

        shown = self.family.show(tiles)
        ids = self.expanded(shown)
        rows = torch.tensor([ids] * len(tiles), device=self.model.device)
        inputs = {name: self.placed(values) for name, values in shown.inputs.items()}
        if self.family.marks_pictures:
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
        return Glance(cache, ids, self.family.state)

    def _refuse_blind(self, tiles: Sequence[Tile], ids: Sequence[int], cache: Cache) -> None:
        """Refuses a model to which both dates are the same where they are not.

        The first layer's values are of each token by itself: those of the first and of the second
        half of the pictures' tokens are of the two dates.
        """
        places = [place for place, token in enumerate(ids) if token == self.family.token]
        values = getattr(cache.layers[0], "values", None)
        if values is None or values.dim() != 4 or values.shape[2] != len(ids):
            return  # a layer that keeps something else
        half = len(places) // 2
        seen = values[:, :, places].float().cpu().numpy()
        refuse_blind(pictures_of(tiles), (seen[:, :, :half], seen[:, :, half : 2 * half]))

    def _inputs(self, glance: Glance, texts: Sequence[Text]) -> Mapping[str, Any]:
        """Whole rows: what was seen, padding, the text."""
        longest = max(len(text.ids) for text in texts)
        pad = self.writer.tokenizer.pad_token_id
        rows, there = [], []
        for _, ids in texts:
            missing = longest - len(ids)
            rows.append([*glance.ids, *[pad] * missing, *ids])
            there.append([1] * len(glance.ids) + [0] * missing + [1] * len(ids))
        self.family.state = glance.state
        device = self.model.device
        rows_of = torch.tensor([text.row for text in texts], device=device)
        return {
            "input_ids": torch.tensor(rows, device=device),
            "attention_mask": torch.tensor(there, device=device),
            "past_key_values": self._kept(glance, rows_of),
        }

    def _kept(self, glance: Glance, rows: Tensor) -> Cache:
        """The keys and values for some rows, which the model may add to."""
        if self.pads:
            # Attention layers put new tensors in the place of theirs and never write to them.
            cache = copy(glance.cache)
            cache.layers = [copy(layer) for layer in cache.layers]
        else:
            cache = deepcopy(glance.cache)
        cache.reorder_cache(rows)  # type: ignore[arg-type]
        return cache

    def expanded(self, shown: Shown) -> list[int]:
        """The opening with as many picture tokens as there are visual features."""
        counts = iter(enumerate(shown.features))
        found: list[int] = []
        for token in self.writer.opening:
            found += (
                self.family.surrounded(*next(counts)) if token == self.family.token else [token]
            )
        return found

    def placed(self, values: Tensor) -> Tensor:
        """An input where the model is, in its number type."""
        kind = self.model.dtype if values.is_floating_point() else None
        return values.to(self.model.device, kind)


def _runs_on(config: Any) -> bool:  # noqa: ANN401
    """Whether some layer is no attention layer."""
    kinds = getattr(config, "layer_types", None) or []
    return any("attention" not in kind or "linear" in kind for kind in kinds)
