"""The vision-language models that can be opened, told without loading torch."""

from __future__ import annotations

FAMILY_CLASSES = {
    "llava": "LlavaForConditionalGeneration",
    "llava_next_video": "LlavaNextVideoForConditionalGeneration",
    "video_llava": "VideoLlavaForConditionalGeneration",
    "llava_onevision": "LlavaOnevisionForConditionalGeneration",
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "idefics3": "Idefics3ForConditionalGeneration",
    "smolvlm": "SmolVLMForConditionalGeneration",
    "minicpmv4_6": "MiniCPMV4_6ForConditionalGeneration",
    "minicpmv4_7": "MiniCPMV4_7ForConditionalGeneration",
}
"""The class in transformers of models that are shown a chat, by the `model_type`."""

INSTRUCTBLIP_CLASSES = {
    "instructblip": "InstructBlipForConditionalGeneration",
    "instructblipvideo": "InstructBlipVideoForConditionalGeneration",
}
"""The same of those whose Q-Former reads the question."""

MODEL_TYPES = frozenset({*FAMILY_CLASSES, *INSTRUCTBLIP_CLASSES})
"""Every `model_type` that can be opened."""

PROCESSOR_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
"""Files that say how images are prepared; a folder has some of these."""

WEIGHTS_HINT = "name a model, or a --revision of it, whose weights are saved as safetensors"
HINT = "name a folder or hub id of a model of the transformers library, see docs/models.md"
