"""Tiny models of the real classes with random weights, saved the way hub models are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as t
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

CORPUS = (
    "Yes No yes no none 0 1 2 3 4 5 6 7 8 9 the place before later images from above has any"
    " building road changed how many buildings roads describe the changes top left right center"
    " bottom-left bottom-right top-left, center-center Answer with one number"
)
PICTURE_WORDS = {
    "image_token": "<image>",
    "video_token": "<video>",
    "image_start_token": "<|start|>",
    "image_end_token": "<|end|>",
    "image_id_start_token": "<|id|>",
    "image_id_end_token": "<|/id|>",
    "fake_token": "<fake_token_around_image>",
    "global_token": "<global-img>",
}
CHAT = (
    # A mark stands around each picture, as in the templates of Qwen-VL.
    "{% for m in messages %}{{ '[' + m['role'] + ']' }}{% for p in m['content'] %}"
    "{% if p['type'] == 'text' %}{{ p['text'] }}"
    "{% else %}{{ '<|start|><' + p['type'] + '><|end|>' }}{% endif %}"
    "{% endfor %}{{ '</s>' }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


def make_tokenizer() -> Any:
    """Knows every byte, some words, and the words that stand for pictures."""
    core = Tokenizer(BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<pad>", "<s>", "</s>", "<unk>", *PICTURE_WORDS.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([CORPUS] * 3, trainer)
    return t.PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="left",
        extra_special_tokens=PICTURE_WORDS,
    )


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **more,
    }


VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}


def _words(tokenizer: Any) -> dict[str, int]:
    image, video = tokenizer.convert_tokens_to_ids(["<image>", "<video>"])
    return {"image_token_id": image, "video_token_id": video}


def _llava(tokenizer: Any, tower: str = "clip", strategy: str = "default") -> Any:
    vision = t.CLIPVisionConfig if tower == "clip" else t.SiglipVisionConfig
    return t.LlavaForConditionalGeneration(
        t.LlavaConfig(
            vision_config=vision(**VISION),
            vision_feature_select_strategy=strategy,
            text_config=t.LlamaConfig(**_text(tokenizer)),
            image_token_id=_words(tokenizer)["image_token_id"],
        )
    )


def _llava_next_video(tokenizer: Any) -> Any:
    return t.LlavaNextVideoForConditionalGeneration(
        t.LlavaNextVideoConfig(
            vision_config=t.CLIPVisionConfig(**VISION | {"image_size": 56}),
            text_config=t.LlamaConfig(**_text(tokenizer)),
            spatial_pool_stride=2,
            image_grid_pinpoints=[[56, 56]],
            **_words(tokenizer),
        )
    )


def _video_llava(tokenizer: Any) -> Any:
    return t.VideoLlavaForConditionalGeneration(
        t.VideoLlavaConfig(
            vision_config=t.CLIPVisionConfig(**VISION),
            text_config=t.LlamaConfig(**_text(tokenizer)),
            **_words(tokenizer),
        )
    )


def _llava_onevision(tokenizer: Any) -> Any:
    return t.LlavaOnevisionForConditionalGeneration(
        t.LlavaOnevisionConfig(
            vision_config=t.SiglipVisionConfig(**VISION | {"image_size": 42}),
            text_config=t.Qwen2Config(**_text(tokenizer)),
            image_grid_pinpoints=[[42, 42]],
            **_words(tokenizer),
        )
    )


QWEN_VISION = {"depth": 2, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2}


def _qwen2(tokenizer: Any) -> Any:
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2]}
    return t.Qwen2VLForConditionalGeneration(
        t.Qwen2VLConfig(
            vision_config={**QWEN_VISION, "embed_dim": 32, "hidden_size": 32},
            text_config=_text(tokenizer, rope_parameters={**rope, "rope_theta": 1e4}),
            **_words(tokenizer),
        )
    )


def _qwen2_5(tokenizer: Any) -> Any:
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2]}
    vision = {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    return t.Qwen2_5_VLForConditionalGeneration(
        t.Qwen2_5_VLConfig(
            vision_config={**QWEN_VISION, **vision, "window_size": 56},
            text_config=_text(tokenizer, rope_parameters={**rope, "rope_theta": 1e4}),
            **_words(tokenizer),
        )
    )


def _qwen3(tokenizer: Any) -> Any:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    vision = {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    return t.Qwen3VLForConditionalGeneration(
        t.Qwen3VLConfig(
            vision_config={
                **QWEN_VISION,
                **vision,
                "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0],
            },
            text_config=_text(tokenizer, head_dim=8, rope_parameters={**rope, "rope_theta": 1e4}),
            **_words(tokenizer),
        )
    )


def _idefics3(tokenizer: Any) -> Any:
    return t.Idefics3ForConditionalGeneration(
        t.Idefics3Config(
            vision_config={**VISION, "image_size": 56},
            text_config=t.LlamaConfig(**_text(tokenizer)),
            scale_factor=2,
            image_token_id=_words(tokenizer)["image_token_id"],
        )
    )


def _smolvlm(tokenizer: Any) -> Any:
    return t.SmolVLMForConditionalGeneration(
        t.SmolVLMConfig(
            vision_config={**VISION, "image_size": 56},
            text_config=t.LlamaConfig(**_text(tokenizer)),
            scale_factor=2,
            image_token_id=_words(tokenizer)["image_token_id"],
        )
    )


def _minicpm(version: str) -> Callable[[Any], Any]:
    def make(tokenizer: Any) -> Any:
        text = _text(
            tokenizer,
            head_dim=8,
            layer_types=["linear_attention", "full_attention"],
            linear_num_key_heads=2,
            linear_num_value_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            tie_word_embeddings=False,
        )
        start, end = tokenizer.convert_tokens_to_ids(["<|start|>", "<|end|>"])
        config = getattr(t, f"MiniCPMV{version}Config")(
            vision_config={**VISION, "image_size": 112, "num_hidden_layers": 3},
            text_config={"model_type": "qwen3_5_text", **text},
            insert_layer_id=1,
            **_words(tokenizer),
            **({"image_start_id": start, "image_end_id": end} if version == "4_7" else {}),
        )
        return getattr(t, f"MiniCPMV{version}ForConditionalGeneration")(config)

    return make


def _blip(kind: str) -> Callable[[Any], Any]:
    def make(tokenizer: Any) -> Any:
        config = getattr(t, f"{kind}Config")(
            vision_config={**VISION, "initializer_range": 0.1},
            qformer_config={
                "initializer_range": 0.1,
                "vocab_size": len(tokenizer),
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "encoder_hidden_size": 32,
            },
            text_config=t.LlamaConfig(**_text(tokenizer)).to_dict(),
            num_query_tokens=3,
            **{name.replace("_id", "_index"): value for name, value in _words(tokenizer).items()},
        )
        return getattr(t, f"{kind}ForConditionalGeneration")(config)

    return make


MAKERS: dict[str, Callable[..., Any]] = {
    "llava": _llava,
    "llava_next_video": _llava_next_video,
    "video_llava": _video_llava,
    "llava_onevision": _llava_onevision,
    "qwen2_vl": _qwen2,
    "qwen2_5_vl": _qwen2_5,
    "qwen3_vl": _qwen3,
    "idefics3": _idefics3,
    "smolvlm": _smolvlm,
    "minicpmv4_6": _minicpm("4_6"),
    "minicpmv4_7": _minicpm("4_7"),
    "instructblip": _blip("InstructBlip"),
    "instructblipvideo": _blip("InstructBlipVideo"),
}

PROCESSORS = {
    "qwen2_vl": "Qwen2VLImageProcessorPil",
    "qwen2_5_vl": "Qwen2VLImageProcessorPil",
    "qwen3_vl": "Qwen2VLImageProcessorPil",
    "idefics3": "Idefics3ImageProcessorPil",
    "smolvlm": "SmolVLMImageProcessorPil",
    "minicpmv4_6": "MiniCPMV4_6ImageProcessorPil",
    "minicpmv4_7": "MiniCPMV4_6ImageProcessorPil",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "qwen2_vl": {"min_pixels": 28 * 28, "max_pixels": 56 * 56},
    "qwen2_5_vl": {"min_pixels": 28 * 28, "max_pixels": 56 * 56},
    "qwen3_vl": {"min_pixels": 28 * 28, "max_pixels": 56 * 56},
    "minicpmv4_6": {"scale_resolution": 112, "patch_size": 14},
    "minicpmv4_7": {"scale_resolution": 112, "patch_size": 14},
}


def save_vlm(kind: str, folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """A folder of a model of a `model_type`, as a hub model's would be."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    model = MAKERS[kind](tokenizer, **settings)
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than usual weights, so that different pictures lead to different words.
            if parameter.ndim > 1:
                parameter.mul_(6)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    if kind in PROCESSORS:
        getattr(t, PROCESSORS[kind])(**SETTINGS.get(kind, {})).save_pretrained(folder)
    else:
        said = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
        (folder / "preprocessor_config.json").write_text(json.dumps(said), encoding="utf-8")
    if kind.startswith("instructblip"):
        tokenizer.save_pretrained(folder / "qformer_tokenizer")
    return folder


def save_adapter(base: Path, folder: Path, rank: int = 2) -> Path:
    """A LoRA adapter with random weights for the language model of a saved model."""
    from peft import LoraConfig, get_peft_model

    model = t.AutoModelForImageTextToText.from_pretrained(base)
    config = LoraConfig(
        r=rank, target_modules=r".*language_model\..*\.(q|v)_proj", init_lora_weights=False
    )
    torch.manual_seed(1)
    get_peft_model(model, config).save_pretrained(folder)
    return folder
