"""The third stage of the built-in model: its language model learns to answer in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration, PairEncoding
from geochg.models.deltavlm.processing import IGNORED, DeltaVLMProcessor
from geochg.training.builtin.language_pairs import LanguagePairs
from geochg.training.builtin.stage_arguments import only_batch, stage_arguments
from geochg.training.builtin.text_batches import TextBatches, pair_order, rows_of
from geochg.training.builtin.tokenizer import train_tokenizer
from geochg.training.checkpoints import REPEAT, WholeTrainer
from geochg.training.processes import fast_bf16

LEARNED = (
    "relation.",
    "query_tokens",
    "qformer.",
    "language_projection.",
    "language_model.",
    "summary.",
)
"""Names of the parameters that this stage trains; of the rest (vision part, dense head) the map is
made."""


@dataclass(frozen=True, slots=True)
class LanguageOptions:
    """Options of the language stage.

    Attributes:
        steps: Batches in all.
        pairs_per_batch: Pairs in a batch.
        rows_per_pair: Rows sampled for each; above three, captions get less than a third of them.
        unchanged_share: Share of the pairs without change, 0-1. Small, because the language model
            is not asked about pairs in which the dense head sees no change, but for free questions
            and where the head errs.
        learning_rate: Highest rate, after the warm-up; it falls along a cosine.
        save_steps: Batches between checkpoints.
        seed: Seed of the order of the pairs and of the sampling of rows.
    """

    steps: int = 300
    pairs_per_batch: int = 16
    rows_per_pair: int = 3
    unchanged_share: float = 0.125
    learning_rate: float = 1e-3
    save_steps: int = 50
    seed: int = 0


class LanguageTrainer(WholeTrainer):
    """Trains the language part with the loss of the answers' tokens."""

    def compute_loss(  # type: ignore[override]
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: object
    ) -> Tensor | tuple[Tensor, PairEncoding]:
        """The mean over the answers' tokens of all rows; each pair is encoded once."""
        network: Any = self.accelerator.unwrap_model(model)
        # Only the model's own `forward` is run in half precision by itself.
        with self.accelerator.autocast():
            with torch.no_grad():
                features = network.vision(inputs["before"], inputs["after"])
                prediction = network.predict_dense(features.maps)
            encoding = network.relate(features, prediction)
            losses = [network(**rows, encoding=encoding).loss for rows in inputs["rows"]]
        tokens = [(rows["labels"] != IGNORED).sum() for rows in inputs["rows"]]
        weights = torch.stack(tokens) / sum(tokens)
        loss = (torch.stack(losses) * weights).sum()
        return (loss, encoding) if return_outputs else loss


def pairs_tokenizer(pairs: LanguagePairs, vocab_size: int) -> Any:  # noqa: ANN401
    """A tokenizer learned from all questions and answers about pairs.

    The same for the same pairs.

    Args:
        pairs: Pairs of the stage.
        vocab_size: See `train_tokenizer`.

    Returns:
        A `PreTrainedTokenizerFast`.
    """
    rows = (row for index in range(len(pairs)) for row in rows_of(pairs[index]))
    return train_tokenizer((text for row in rows for text in (row.prompt, row.answer)), vocab_size)


def train_language(
    model: DeltaVLMForConditionalGeneration,
    processor: DeltaVLMProcessor,
    pairs: LanguagePairs,
    folder: Path,
    options: LanguageOptions,
) -> None:
    """Trains everything but the vision part and the dense head, in place.

    The words follow the map: the summary tokens come from the dense head's own output, which is
    therefore as it will be at inference. Checkpoints and TensorBoard logs go into `folder`; a run
    that stopped goes on from its last checkpoint.

    Args:
        model: A model with a trained and calibrated dense head.
        processor: Processor of the model.
        pairs: Pairs to learn from.
        folder: Folder of this stage's checkpoints.
        options: Options of the stage.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(LEARNED)
    trainer = LanguageTrainer(
        next_step=REPEAT,
        model=model,
        args=stage_arguments(
            folder,
            options.steps,
            most_warmup_steps=300,
            learning_rate=options.learning_rate,
            weight_decay=0.02,
            save_steps=options.save_steps,
            logging_steps=50,
            bf16=fast_bf16(),
            seed=options.seed,
        ),
        train_dataset=_batches(processor, pairs, options),
        data_collator=lambda batches: only_batch(batches)._asdict(),
    )
    trainer.train_on()


def _batches(
    processor: DeltaVLMProcessor, pairs: LanguagePairs, options: LanguageOptions
) -> TextBatches:
    changed = [pairs.has_changed(index) for index in range(len(pairs))]
    count = options.steps * options.pairs_per_batch
    order = pair_order(changed, count, options.unchanged_share, options.seed)
    order = order.reshape(options.steps, options.pairs_per_batch)
    return TextBatches(pairs, processor, order, options.rows_per_pair, options.seed)
