"""Asks a model many questions about each tile while it looks at the tile once.

All that comes before the questions, pictures among it, is the same for all questions about a
tile: its keys and values are computed once and kept. Questions about many tiles then go through
the model side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from geochg.models.vlm.chat import ChatWriter
from geochg.models.vlm.family import Family

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache

    from geochg.records import Tile

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

MOST_DIGITS = 3
"""Of a number: no tile holds a thousand objects that changed."""

FIRST_ROWS = 32
"""Rows tried at once at first."""


@dataclass(frozen=True)
class Glance:
    """What a model has seen of some tiles.

    Attributes:
        cache: Keys and values of all that comes before the questions, a row a tile.
        ids: The token ids they are of, the same for all tiles.
    """

    cache: Cache
    ids: list[int]


class Engine:
    """Runs one model.

    Args:
        family: Of the model, with it.
        writer: Of its chats.
        max_tokens: Most tokens of an answer.
    """

    def __init__(self, family: Family, writer: ChatWriter, max_tokens: int) -> None:
        self.family = family
        self.model = family.model
        self.writer = writer
        self.tokenizer: Any = writer.tokenizer
        self.max_tokens = max_tokens
        self._rows = FIRST_ROWS

    @torch.inference_mode()
    def look(self, tiles: Sequence[Tile]) -> Glance:
        """Looks at tiles of one size."""
        from transformers import DynamicCache

        opening = self.tokenizer(self.writer.opening, add_special_tokens=True)["input_ids"]
        ids = self.family.expanded(opening, tiles[0])

        def seen(part: Sequence[Tile]) -> list[Cache]:
            cache = DynamicCache(config=self.model.config.get_text_config())
            pictures = {
                name: values.to(self.model.device, self.model.dtype)
                for name, values in self.family.inputs(part).items()
            }
            rows = torch.tensor([ids] * len(part), device=self.model.device)
            self.model(
                input_ids=rows,
                attention_mask=torch.ones_like(rows),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **pictures,
            )
            return [cache]

        return Glance(_joined(self._in_batches(tiles, seen)), ids)

    @torch.inference_mode()
    def say(self, glance: Glance, rows: Sequence[int], texts: Sequence[str]) -> list[str]:
        """Answers freely.

        Args:
            glance: What was seen.
            rows: Of each text, the tile it is about.
            texts: What comes after the opening; see `ChatWriter.rest`.
        """

        def said(part: Sequence[tuple[int, str]]) -> list[str]:
            ids, mask = self._padded(glance, [text for _, text in part])
            found = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=self._cache(glance, [row for row, _ in part]),
                max_new_tokens=self.max_tokens,
                do_sample=False,
            )
            words: list[str] = self.tokenizer.batch_decode(
                found[:, ids.shape[1] :], skip_special_tokens=True
            )
            return [text.strip() for text in words]

        return self._in_batches(_by_length(rows, texts), said, restore=_order(texts))

    @torch.inference_mode()
    def number(self, glance: Glance, rows: Sequence[int], texts: Sequence[str]) -> list[int]:
        """Answers with whole numbers, since no other tokens are allowed; arguments as `say`."""
        digits = sorted({token for digit in "0123456789" for token in self._ids(digit)[-1:]})
        ends = [*digits, self.tokenizer.eos_token_id]

        def numbers(part: Sequence[tuple[int, str]]) -> list[int]:
            ids, mask = self._padded(glance, [text for _, text in part])

            def allowed(_: int, so_far: Tensor) -> list[int]:
                return digits if len(so_far) == ids.shape[1] else ends

            found = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=self._cache(glance, [row for row, _ in part]),
                max_new_tokens=MOST_DIGITS,
                do_sample=False,
                prefix_allowed_tokens_fn=allowed,
            )
            words = self.tokenizer.batch_decode(found[:, ids.shape[1] :], skip_special_tokens=True)
            return [int("".join(text.split())) for text in words]

        return self._in_batches(_by_length(rows, texts), numbers, restore=_order(texts))

    @torch.inference_mode()
    def choose(
        self,
        glance: Glance,
        rows: Sequence[int],
        texts: Sequence[str],
        choices: Sequence[Sequence[str]],
    ) -> list[list[float]]:
        """Probabilities that the answer begins with one of some words rather than another.

        Args:
            glance: What was seen.
            rows: See `say`.
            texts: See `say`.
            choices: The spellings of each choice, told apart by their first token.

        Returns:
            For each text the probability of each choice; they add up to 1.
        """
        first = [self._first_tokens(spellings) for spellings in choices]

        def chosen(part: Sequence[tuple[int, str]]) -> list[list[float]]:
            ids, mask = self._padded(glance, [text for _, text in part])
            length = len(glance.ids)
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=ids[:, length:],
                attention_mask=mask,
                position_ids=positions[:, length:],
                past_key_values=self._cache(glance, [row for row, _ in part]),
                logits_to_keep=1,
            ).logits[:, -1]
            scores = torch.stack(
                [logits[:, tokens].float().logsumexp(dim=1) for tokens in first], dim=1
            )
            found: list[list[float]] = scores.softmax(dim=1).tolist()
            return found

        return self._in_batches(_by_length(rows, texts), chosen, restore=_order(texts))

    def _first_tokens(self, spellings: Sequence[str]) -> list[int]:
        return sorted({self._ids(spelling)[0] for spelling in spellings})

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _padded(self, glance: Glance, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask of whole rows: what was seen, padding, the text."""
        ids = [self._ids(text) for text in texts]
        longest = max(map(len, ids))
        pad = self.tokenizer.pad_token_id
        rows = [[*glance.ids, *[pad] * (longest - len(row)), *row] for row in ids]
        there = [[1] * len(glance.ids) + [0] * (longest - len(row)) + [1] * len(row) for row in ids]
        device = self.model.device
        return torch.tensor(rows, device=device), torch.tensor(there, device=device)

    def _cache(self, glance: Glance, rows: Sequence[int]) -> Cache:
        """A copy for some rows, which the model may write to."""
        cache = deepcopy(glance.cache)
        cache.batch_select_indices(torch.tensor(rows, device=self.model.device))
        return cache

    def _in_batches(
        self,
        items: Sequence[_Item],
        run: Callable[[Sequence[_Item]], list[_Result]],
        restore: Sequence[int] | None = None,
    ) -> list[_Result]:
        """Runs over items in batches as large as memory takes; half as large where it does not.

        Args:
            items: What is run over.
            run: Gives one result an item (or one for all).
            restore: Of each result in the order wanted, its place in the order of the items.
        """
        found: list[_Result] = []
        done = 0
        while done < len(items):
            part = items[done : done + self._rows]
            try:
                found += run(part)
            except torch.OutOfMemoryError:
                if self._rows == 1:
                    raise
                self._rows = max(1, min(self._rows, len(part)) // 2)
                torch.cuda.empty_cache()
                continue
            done += len(part)
        return found if restore is None else [found[place] for place in restore]


def _joined(caches: Sequence[Any]) -> Any:  # noqa: ANN401
    """One cache of all rows."""
    first, *others = caches
    for number, layer in enumerate(first.layers):
        for name in ("keys", "values"):
            parts = [getattr(layer, name), *(getattr(o.layers[number], name) for o in others)]
            setattr(layer, name, torch.cat(parts))
    return first


def _longest_first(texts: Sequence[str]) -> list[int]:
    return sorted(range(len(texts)), key=lambda place: -len(texts[place]))


def _by_length(rows: Sequence[int], texts: Sequence[str]) -> list[tuple[int, str]]:
    """Texts of like length side by side need less padding; the longest show what memory takes."""
    return [(rows[place], texts[place]) for place in _longest_first(texts)]


def _order(texts: Sequence[str]) -> list[int]:
    """Of each text, its place among those by length."""
    places = {place: number for number, place in enumerate(_longest_first(texts))}
    return [places[place] for place in range(len(texts))]
