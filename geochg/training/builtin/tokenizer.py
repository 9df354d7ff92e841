"""A small tokenizer learned from the answers a compact model is to give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
"""The special tokens, numbered 0 to 3."""


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Any:  # noqa: ANN401
    """Learns a byte-pair tokenizer whose digits stand alone.

    Any text can be written with it, since all bytes are in its alphabet. Encoding puts the start
    token in front.

    Args:
        texts: The corpus: prompts and answers.
        vocab_size: Most tokens, with the 4 special ones and the 256 bytes.

    Returns:
        A `PreTrainedTokenizerFast`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, tokenizer.token_to_id(START))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
