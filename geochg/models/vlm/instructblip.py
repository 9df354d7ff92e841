"""InstructBLIP, whose Q-Former turns images into tokens in view of the question.

Only the output of the vision encoder can be shared between questions.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from geochg.models.blind_models import refuse_blind, tile_images
from geochg.models.images import all_date_images
from geochg.models.pretrained import open_part
from geochg.models.vlm.chat_writer import ChatWriter
from geochg.models.vlm.engine import Engine, TilePrompt
from geochg.models.vlm.squares import SquareTransform
from geochg.records import Tile

VIDEO_FRAMES = 4
"""Most frames that InstructBLIP-Video is shown."""

VISION_MODULES = (".*vision_model.*", ".*qformer.*", ".*language_projection.*")

TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% if not loop.last %}\n{% endif %}{% endfor %}"
)
"""These models take an instruction and nothing around it."""


class InstructBlipEngine(Engine["Tensor"]):
    """Keeps the vision encoder's features of all dates, `(tiles, dates, patches, width)`.

    The features of the dates stand one after the other, as those of a video's frames do.

    Args:
        model: InstructBLIP or InstructBLIP-Video.
        writer: Writes its instructions.
        max_tokens: Most tokens of an answer.
        qformer_tokenizer: The Q-Former's tokenizer.
        squares: How its images are prepared.
    """

    def __init__(
        self,
        model: Any,
        writer: ChatWriter,
        max_tokens: int,
        qformer_tokenizer: PreTrainedTokenizerBase,
        squares: SquareTransform,
    ) -> None:
        super().__init__(model, writer, max_tokens)
        self.qformer_tokenizer: Any = qformer_tokenizer
        self.squares = squares

    @classmethod
    def open(
        cls, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, max_tokens: int
    ) -> Self:
        """The engine of a loaded model.

        Raises:
            ModelError: If the Q-Former's tokenizer is not in the folder.
        """
        qformer_tokenizer = open_part(
            "Q-Former's tokenizer",
            folder / "qformer_tokenizer",
            AutoTokenizer.from_pretrained,
            "the model needs a folder qformer_tokenizer; download it again",
        )
        squares = SquareTransform.of(model.config.vision_config.image_size, folder)
        writer = ChatWriter(
            tokenizer, TEMPLATE, (), adds_end=model.language_model.config.is_encoder_decoder
        )
        return cls(model, writer, max_tokens, qformer_tokenizer, squares)

    @property
    def most_dates(self) -> int:
        """Two; four where it was made for videos, as its authors show it."""
        return VIDEO_FRAMES if self.model.config.model_type == "instructblipvideo" else 2

    def for_dates(self, dates: int) -> Self:
        """The engine of the same model for tiles of so many dates."""
        engine = copy(self)
        engine.writer = self.writer.for_dates((), dates)
        return engine

    @property
    def generator(self) -> Any:
        """The language model."""
        return self.model.language_model

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tile]) -> Tensor:
        """Encodes tiles of one size, all at once."""
        pixels = self.pixels(tiles).to(self.model.device, self.model.dtype)
        output = self.model.vision_model(pixel_values=pixels.flatten(0, 1))
        features: Tensor = output.last_hidden_state
        features = features.view(*pixels.shape[:2], *features.shape[1:])
        dates = features.float().cpu().numpy().swapaxes(0, 1)
        if len(dates) > 1:
            refuse_blind(tile_images(tiles), (dates[0], dates[-1]))
        return features

    def pixels(self, tiles: Sequence[Tile]) -> Tensor:
        """`(tiles, dates, 3, side, side)` float32, normalised."""
        pixels = self.squares.tensor(all_date_images(tiles))
        return pixels.view(len(tiles), len(tiles[0].dates), *pixels.shape[1:])

    def qformer_inputs(self, prompts: Sequence[TilePrompt]) -> dict[str, Tensor]:
        """The prompts in the Q-Former's vocabulary, `(prompts, tokens)` int64 each."""
        inputs = self.qformer_tokenizer(
            [self.writer.text([*self.writer.prefix_ids, *prompt.ids]) for prompt in prompts],
            padding=True,
            padding_side="right",
            truncation=True,
            return_tensors="pt",
        )
        return {f"qformer_{name}": inputs[name] for name in ("input_ids", "attention_mask")}

    def query_features(self, features: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """The Q-Former's output for all dates, `(prompts, dates x queries, width)`.

        Args:
            features: `(prompts, dates, patches, width)`, see `encode`.
            ids: `(prompts, tokens)`, see `qformer_inputs`.
            mask: `(prompts, tokens)`, 1 where there is a token.
        """
        count, dates = features.shape[:2]
        features = features.flatten(0, 1)
        queries = self.model.query_tokens.expand(len(features), -1, -1)
        query_mask = torch.ones(queries.shape[:2], dtype=torch.long, device=ids.device)
        output = self.model.qformer(
            input_ids=ids.repeat_interleave(dates, dim=0),
            attention_mask=torch.cat([query_mask, mask.repeat_interleave(dates, dim=0)], dim=1),
            query_embeds=queries,
            encoder_hidden_states=features,
        ).last_hidden_state[:, : queries.shape[1]]
        projected: Tensor = self.model.language_projection(output)
        return projected.to(self.model.dtype).reshape(count, dates * queries.shape[1], -1)

    def _inputs(self, encoding: Tensor, prompts: Sequence[TilePrompt]) -> Mapping[str, Any]:
        """The Q-Former's output for all dates, before the embedded text."""
        device = self.model.device
        inputs = {name: part.to(device) for name, part in self.qformer_inputs(prompts).items()}
        features = self.query_features(
            encoding[torch.tensor([prompt.row for prompt in prompts], device=device)],
            inputs["qformer_input_ids"],
            inputs["qformer_attention_mask"],
        )
        rows = [[*self.writer.prefix_ids, *prompt.ids] for prompt in prompts]
        longest = max(map(len, rows))
        pad = self.writer.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=device)
        embedded = self.model.get_input_embeddings()(ids)
        mask = torch.tensor(
            [[0] * (longest - len(row)) + [1] * (features.shape[1] + len(row)) for row in rows],
            device=device,
        )
        full_inputs = [
            torch.cat([text[: longest - len(row)], images, text[longest - len(row) :]])
            for text, images, row in zip(embedded, features, rows, strict=True)
        ]
        return {"inputs_embeds": torch.stack(full_inputs), "attention_mask": mask}
