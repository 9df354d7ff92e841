"""InstructBLIP, to which pictures are what a Q-Former makes of them in view of the question.

Nothing but the vision part's output can be shared between questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from geochg.errors import ModelError
from geochg.models.blind_models import pictures_of, refuse_blind
from geochg.models.vlm.chat import ChatWriter
from geochg.models.vlm.engine import Engine, Text
from geochg.models.vlm.family import all_dates
from geochg.models.vlm.squares import Squares

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from geochg.records import Tile

MODEL_CLASSES = {
    "instructblip": "InstructBlipForConditionalGeneration",
    "instructblipvideo": "InstructBlipVideoForConditionalGeneration",
}
VISION_PARTS = (".*vision_model.*", ".*qformer.*", ".*language_projection.*")

TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% if not loop.last %}\n{% endif %}{% endfor %}"
)
"""These models take an instruction and nothing around it."""


class InstructBlipEngine(Engine["Tensor"]):
    """Keeps what the vision part makes of both dates, `(tiles, 2, patches, width)`.

    The features of the two dates stand one after the other, as those of a video's frames do.

    Args:
        model: InstructBLIP or InstructBLIP-Video.
        writer: Of its instructions.
        max_tokens: Most tokens of an answer.
        asker: The Q-Former's tokenizer.
        squares: How its pictures are made ready.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        writer: ChatWriter,
        max_tokens: int,
        asker: PreTrainedTokenizerBase,
        squares: Squares,
    ) -> None:
        super().__init__(model, writer, max_tokens)
        self.asker: Any = asker
        self.squares = squares

    @classmethod
    def open(
        cls,
        model: Any,  # noqa: ANN401
        tokenizer: PreTrainedTokenizerBase,
        folder: Path,
        max_tokens: int,
    ) -> Self:
        """The engine of a loaded model.

        Raises:
            ModelError: If the Q-Former's tokenizer is not in the folder.
        """
        from transformers import AutoTokenizer

        try:
            asker = AutoTokenizer.from_pretrained(
                folder / "qformer_tokenizer", local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{folder} lacks the tokenizer of its Q-Former",
                "it needs a folder qformer_tokenizer; download it again",
            ) from error
        squares = Squares.of(model.config.vision_config.image_size, folder)
        ends = model.language_model.config.is_encoder_decoder
        return cls(
            model, ChatWriter(tokenizer, TEMPLATE, (), ends=ends), max_tokens, asker, squares
        )

    @property
    def speaker(self) -> Any:  # noqa: ANN401
        """The language model."""
        return self.model.language_model

    @torch.inference_mode()
    def look(self, tiles: Sequence[Tile]) -> Tensor:
        """Looks at tiles of one size, all at once."""
        pixels = self.pixels(tiles).to(self.model.device, self.model.dtype)
        seen: Tensor = self.model.vision_model(pixel_values=pixels.flatten(0, 1)).last_hidden_state
        seen = seen.view(len(tiles), 2, *seen.shape[1:])
        before, after = seen.float().cpu().numpy().swapaxes(0, 1)
        refuse_blind(pictures_of(tiles), (before, after))
        return seen

    def pixels(self, tiles: Sequence[Tile]) -> Tensor:
        """`(tiles, 2, 3, side, side)` float32, normalised."""
        pixels = self.squares.tensor(all_dates(tiles))
        return pixels.view(len(tiles), 2, *pixels.shape[1:])

    def asked(self, texts: Sequence[Text]) -> dict[str, Tensor]:
        """What is asked in the Q-Former's vocabulary, `(texts, tokens)` int64 each."""
        asked = self.asker(
            [self.writer.words([*self.writer.opening, *text.ids]) for text in texts],
            padding=True,
            padding_side="right",
            truncation=True,
            return_tensors="pt",
        )
        return {f"qformer_{name}": asked[name] for name in ("input_ids", "attention_mask")}

    def features(self, seen: Tensor, ids: Tensor, there: Tensor) -> Tensor:
        """What the Q-Former makes of both dates, `(texts, 2 x queries, width)`.

        Args:
            seen: `(texts, 2, patches, width)`, see `look`.
            ids: `(texts, tokens)`, see `asked`.
            there: Likewise, 1 where there is a token.
        """
        count = len(seen)
        seen = seen.flatten(0, 1)
        queries = self.model.query_tokens.expand(len(seen), -1, -1)
        all_there = torch.ones(queries.shape[:2], dtype=torch.long, device=ids.device)
        made = self.model.qformer(
            input_ids=ids.repeat_interleave(2, dim=0),
            attention_mask=torch.cat([all_there, there.repeat_interleave(2, dim=0)], dim=1),
            query_embeds=queries,
            encoder_hidden_states=seen,
        ).last_hidden_state[:, : queries.shape[1]]
        found: Tensor = self.model.language_projection(made)
        return found.to(self.model.dtype).reshape(count, 2 * queries.shape[1], -1)

    def _inputs(self, glance: Tensor, texts: Sequence[Text]) -> Mapping[str, Any]:
        """What the Q-Former makes of both dates, before the embedded text."""
        features = self._features(glance, texts)
        whole = [[*self.writer.opening, *text.ids] for text in texts]
        longest = max(map(len, whole))
        device = self.model.device
        pad = self.writer.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in whole], device=device)
        words = self.model.get_input_embeddings()(ids)
        there = torch.tensor(
            [[0] * (longest - len(row)) + [1] * (features.shape[1] + len(row)) for row in whole],
            device=device,
        )
        embedded = [
            torch.cat([row[: longest - len(own)], seen, row[longest - len(own) :]])
            for row, seen, own in zip(words, features, whole, strict=True)
        ]
        return {"inputs_embeds": torch.stack(embedded), "attention_mask": there}

    def _features(self, glance: Tensor, texts: Sequence[Text]) -> Tensor:
        """Of some texts."""
        device = self.model.device
        asked = {name: part.to(device) for name, part in self.asked(texts).items()}
        seen = glance[torch.tensor([text.row for text in texts], device=device)]
        return self.features(seen, asked["qformer_input_ids"], asked["qformer_attention_mask"])
