"""The configurations of the released model and of the compact one."""

from transformers import GenerationConfig, LlamaConfig
from transformers.models.instructblip.configuration_instructblip import (
    InstructBlipQFormerConfig,
    InstructBlipVisionConfig,
)

from geochg.models.deltavlm.configuration import DeltaVLMConfig, DeltaVLMDenseConfig


def full_config() -> DeltaVLMConfig:
    """The released model: EVA-ViT-g/14, BERT-base as Q-Former, Vicuna-7B-v1.5 and a pad token."""
    return DeltaVLMConfig(
        vision_config=InstructBlipVisionConfig(),
        qformer_config=InstructBlipQFormerConfig(vocab_size=30523),
        text_config=LlamaConfig(
            vocab_size=32001,
            hidden_size=4096,
            intermediate_size=11008,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=32,
            max_position_embeddings=4096,
            rms_norm_eps=1e-5,
            bos_token_id=2,
            eos_token_id=2,
            pad_token_id=32000,
        ),
    )


def full_generation() -> GenerationConfig:
    """The released settings: five beams, repetition penalty 1.5, at most 256 tokens."""
    return GenerationConfig(  # type: ignore[no-untyped-call]
        num_beams=5,
        repetition_penalty=1.5,
        max_new_tokens=256,
        min_new_tokens=1,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=32000,
    )


def compact_config(vocab_size: int) -> DeltaVLMConfig:
    """The small model that geochg trains and ships, for a CPU.

    Its vision part is EfficientNet-Lite0, read at strides 4, 8, 16 and 32. Tokens 0, 1 and 2 of
    the vocabulary are padding, start and end, as `train_tokenizer` makes them.
    """
    return DeltaVLMConfig(
        vision_config={"model_type": "efficientnet_lite", "out_indices": [2, 3, 5, 7]},
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=vocab_size,
            hidden_size=192,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=512,
            max_position_embeddings=256,
            encoder_hidden_size=320,
        ),
        text_config=LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=4,
            # One head of keys and values: growing the cache costs more than computing with it.
            num_key_value_heads=1,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        dense_config=DeltaVLMDenseConfig(),
        num_query_tokens=16,
        image_size=256,
        resize=False,
        stretch=True,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
        relation_dropout=0.1,
        max_prompt_tokens=160,
        language_batch=64,
    )


def compact_generation() -> GenerationConfig:
    """Short greedy answers."""
    return GenerationConfig(  # type: ignore[no-untyped-call]
        num_beams=1,
        do_sample=False,
        max_new_tokens=48,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
