"""DeltaVLM: bi-temporal vision, relation measuring, Q-Former, language model, dense head."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel
from transformers.utils.generic import ModelOutput

from geochg.models.deltavlm.configuration import DeltaVLMConfig
from geochg.models.deltavlm.csrm import CrossSemanticRelation
from geochg.models.deltavlm.dense_head import CHANGE_PRIOR, ChangeReadout, DenseHead, DenseOutput
from geochg.models.deltavlm.difference_maps import Differences
from geochg.models.deltavlm.scene import scene_vector
from geochg.models.deltavlm.summary_tokens import DenseSummary
from geochg.models.deltavlm.vision import BackboneEncoder, DateFeatures, split_dates, vision_encoder


class PairEncoding(NamedTuple):
    """Everything about a batch of pairs that does not depend on the question.

    Attributes:
        visual: `(batch, tokens, width)`: the visual tokens that the Q-Former attends to.
        summary: `(batch, 10, language width)`: the dense head's tokens; None without a head.
        dense: The dense prediction; None without a head.
    """

    visual: Tensor
    summary: Tensor | None
    dense: DenseOutput | None

    def select(self, index: Tensor) -> PairEncoding:
        """The pairs at the given indices, repeated or left out; `index` is `(n,)`."""
        return PairEncoding(
            self.visual[index],
            None if self.summary is None else self.summary[index],
            None if self.dense is None else self.dense.select(index),
        )


@dataclass
class DeltaVLMOutput(ModelOutput):
    """The output of `forward`.

    Attributes:
        loss: Loss of the answers' tokens, when there are labels.
        logits: `(rows, text tokens, vocabulary)`: only the text's positions.
        dense: The dense prediction; None without a head.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    dense: DenseOutput | None = None


class DeltaVLMForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """The model of Deng et al. 2026, and a dense change head beside it where configured.

    The language model reads, in this order: the dense head's summary (if there is a head), the
    Q-Former's queries, the text. The released model reads the same without the summary.
    """

    config: DeltaVLMConfig
    config_class = DeltaVLMConfig
    base_model_prefix = "deltavlm"
    main_input_name = "pixel_values_before"
    input_modalities = ["image", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _no_split_modules = [  # noqa: RUF012
        "InstructBlipVisionEmbeddings",
        "InstructBlipEncoderLayer",
        "InstructBlipQFormerEmbeddings",
        "InstructBlipQFormerLayer",
        "BackboneEncoder",
        "CrossSemanticRelation",
        "DenseHead",
        "LlamaDecoderLayer",
    ]

    def __init__(self, config: DeltaVLMConfig) -> None:
        super().__init__(config)
        qformer, text = config.qformer_config, config.text_config
        self.vision = vision_encoder(config)
        if qformer.encoder_hidden_size != self.vision.width:
            raise ValueError(
                f"the Q-Former expects {qformer.encoder_hidden_size} channels, "
                f"the vision encoder gives {self.vision.width}"
            )
        self.relation = CrossSemanticRelation(self.vision.width, config.relation_dropout)
        self.query_tokens = nn.Parameter(
            torch.zeros(1, config.num_query_tokens, qformer.hidden_size)
        )
        self.qformer = InstructBlipQFormerModel._from_config(qformer)  # type: ignore[no-untyped-call]
        self.language_projection = nn.Linear(qformer.hidden_size, text.hidden_size)
        self.language_model = AutoModelForCausalLM.from_config(text)  # type: ignore[no-untyped-call]
        dense = config.dense_config
        self.dense = None if dense is None else DenseHead(dense, self.vision.channels)
        self.summary = None if dense is None else DenseSummary(text.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    # --- the pair --------------------------------------------------------------------------------

    def predict_dense(self, maps: Sequence[Tensor], scene: Tensor | None = None) -> DenseOutput:
        """The dense prediction of the encoder's maps.

        Args:
            maps: See `DateFeatures.maps`.
            scene: `(batch, layout.size)`, see `scene.scene_vector`; None to measure each pair by
                itself.

        Raises:
            ValueError: If the model has no dense head.
        """
        if self.dense is None:
            raise ValueError("this model has no dense head")
        comparison = None
        if scene is None:
            scene, comparison = measure_scenes(self.dense, maps)
        output: DenseOutput = self.dense(tuple(maps), scene.to(maps[0].device), comparison)
        return output

    def encode_pair(self, before: Tensor, after: Tensor) -> PairEncoding:
        """Encodes a batch of pairs once, for all questions.

        Each date is `(batch, 3 or 4, height, width)` float, normalised by the processor.
        """
        features = self.vision(before, after)
        return self.relate(
            features, None if self.dense is None else self.predict_dense(features.maps)
        )

    def relate(self, features: DateFeatures, dense: DenseOutput | None) -> PairEncoding:
        """Relates the dates' tokens, and turns the dense prediction into tokens."""
        return PairEncoding(
            visual=self.relation(*split_dates(features.tokens)),
            summary=None if self.summary is None else self.summary(dense),
            dense=dense,
        )

    # --- the question ----------------------------------------------------------------------------

    def prefix(
        self,
        encoding: PairEncoding,
        qformer_input_ids: Tensor,
        qformer_attention_mask: Tensor | None = None,
    ) -> Tensor:
        """The prefix of the text: `(rows, prefix tokens, language width)`.

        Args:
            encoding: As many pairs as there are questions; see `PairEncoding.select`.
            qformer_input_ids: `(rows, tokens)`: the questions in the Q-Former's vocabulary.
            qformer_attention_mask: `(rows, tokens)`, 1 where there is a token.
        """
        # `len` would fix the number of rows in an exported program.
        queries = self.query_tokens.expand(qformer_input_ids.shape[0], -1, -1)
        if qformer_attention_mask is None:
            qformer_attention_mask = torch.ones_like(qformer_input_ids)
        query_mask = qformer_attention_mask.new_ones(queries.shape[:2])
        output = self.qformer(
            input_ids=qformer_input_ids,
            attention_mask=torch.cat((query_mask, qformer_attention_mask), dim=1),
            query_embeds=queries,
            encoder_hidden_states=encoding.visual,
        ).last_hidden_state[:, : queries.shape[1]]
        prefix: Tensor = self.language_projection(output)
        if encoding.summary is not None:
            prefix = torch.cat((encoding.summary.to(prefix.dtype), prefix), dim=1)
        return prefix

    def forward(
        self,
        input_ids: Tensor,
        qformer_input_ids: Tensor,
        pixel_values_before: Tensor | None = None,
        pixel_values_after: Tensor | None = None,
        attention_mask: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        pair_index: Tensor | None = None,
        encoding: PairEncoding | None = None,
        **kwargs: Any,
    ) -> DeltaVLMOutput:
        """Scores questions with their answers.

        Args:
            input_ids: `(rows, tokens)`: prompt and answer.
            qformer_input_ids: `(rows, tokens)`: the prompt in the Q-Former's vocabulary.
            pixel_values_before: `(pairs, 3, height, width)` float, normalised.
            pixel_values_after: As `pixel_values_before`.
            attention_mask: `(rows, tokens)`, 1 where there is a token; all when None.
            qformer_attention_mask: As `attention_mask`, for `qformer_input_ids`.
            labels: `(rows, tokens)`, -100 on the prompt and the padding; the loss is of the rest.
            pair_index: `(rows,)` which pair each row is about; the same numbering when None.
            encoding: The output of `encode_pair`, instead of pixels.
            **kwargs: Passed to the language model.
        """
        encoding = self._encoding(encoding, pixel_values_before, pixel_values_after)
        prefix = self.prefix(
            encoding if pair_index is None else encoding.select(pair_index),
            qformer_input_ids,
            qformer_attention_mask,
        )
        embeds, mask = self._with_prefix(prefix, input_ids, attention_mask)
        logits = self.language_model(inputs_embeds=embeds, attention_mask=mask, **kwargs).logits
        logits = logits[:, prefix.shape[1] :].contiguous()
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size
            )
        return DeltaVLMOutput(loss=loss, logits=logits, dense=encoding.dense)

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_ids: Tensor,
        qformer_input_ids: Tensor,
        pixel_values_before: Tensor | None = None,
        pixel_values_after: Tensor | None = None,
        attention_mask: Tensor | None = None,
        qformer_attention_mask: Tensor | None = None,
        pair_index: Tensor | None = None,
        encoding: PairEncoding | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Answers questions; arguments as `forward`, but `input_ids` are left-padded prompts.

        Further arguments are generation settings over the defaults saved with the model.

        Returns:
            `(rows, tokens)`: only the answers' tokens.
        """
        encoding = self._encoding(encoding, pixel_values_before, pixel_values_after)
        prefix = self.prefix(
            encoding if pair_index is None else encoding.select(pair_index),
            qformer_input_ids,
            qformer_attention_mask,
        )
        embeds, mask = self._with_prefix(prefix, input_ids, attention_mask)
        if "generation_config" not in kwargs:
            # One configuration with both, since transformers no longer takes them side by side.
            config = deepcopy(self.generation_config)
            kwargs = {"generation_config": config, **config.update(**kwargs)}  # type: ignore[no-untyped-call]
        answers: Tensor = self.language_model.generate(
            inputs_embeds=embeds, attention_mask=mask, **kwargs
        )
        return answers

    def _encoding(
        self, encoding: PairEncoding | None, before: Tensor | None, after: Tensor | None
    ) -> PairEncoding:
        if encoding is not None:
            return encoding
        if before is None or after is None:
            raise ValueError("give the pixels of both dates, or their encoding")
        return self.encode_pair(before, after)

    def _with_prefix(
        self, prefix: Tensor, input_ids: Tensor, attention_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embeddings and mask of the whole sequence."""
        text = self.get_input_embeddings()(input_ids)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        prefix_mask = attention_mask.new_ones(prefix.shape[:2])
        return (
            torch.cat((prefix.to(text.device, text.dtype), text), dim=1),
            torch.cat((prefix_mask, attention_mask), dim=1),
        )

    # --- what transformers asks of a model -------------------------------------------------------

    def get_input_embeddings(self) -> nn.Module:
        """The embeddings of the language model."""
        embeddings: nn.Module = self.language_model.get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replaces the input embeddings of the language model."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The embeddings of the language model."""
        embeddings: nn.Module = self.language_model.get_output_embeddings()
        return embeddings

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialises weights that no checkpoint gives."""
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, ChangeReadout):
            init.normal_(module.weight, std=self.config.initializer_range)
            assert module.bias is not None
            init.constant_(module.bias, CHANGE_PRIOR)
        elif isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, BackboneEncoder):
            init.normal_(module.position, std=self.config.initializer_range)
        elif isinstance(module, DenseSummary):
            init.normal_(module.place, std=self.config.initializer_range)
        elif isinstance(module, DeltaVLMForConditionalGeneration):
            init.normal_(module.query_tokens, std=self.config.initializer_range)


@torch.no_grad()
def measure_scenes(
    head: DenseHead, maps: Sequence[Tensor], resolution_m: Sequence[float] | None = None
) -> Scenes:
    """Measures each pair of a batch by itself.

    Args:
        head: The dense head.
        maps: See `DateFeatures.maps`.
        resolution_m: Side of each pair's shown pixels, in metres; None where it is not known.
    """
    dates = [split_dates(level.float()) for level in maps]
    before, after = ([level[date] for level in dates] for date in (0, 1))
    first, second = ([level.cpu().numpy() for level in levels] for levels in (before, after))
    valid = np.ones((1, *before[0].shape[-2:]), bool)
    vectors = [
        scene_vector(
            head.layout,
            [level[index : index + 1] for level in first],
            [level[index : index + 1] for level in second],
            valid,
            None if resolution_m is None else float(resolution_m[index]),
        )
        for index in range(len(before[0]))
    ]
    scene = torch.from_numpy(np.stack(vectors)).to(before[0].device)
    comparison = head.compare(before, after, scene)
    medians = comparison.relative.flatten(2).median(dim=2).values
    scene[:, head.layout.medians_slice] = medians
    return Scenes(scene, comparison)


class Scenes(NamedTuple):
    """The scene vectors of the pairs of a batch.

    Attributes:
        vectors: `(batch, layout.size)` float32.
        compared: The difference maps, which were made on the way.
    """

    vectors: Tensor
    compared: Differences
