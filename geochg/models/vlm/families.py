"""All families that can be loaded, by the `model_type` of a configuration."""

from __future__ import annotations

from geochg.models.vlm.family import Family
from geochg.models.vlm.llava import Llava, LlavaNextVideo, LlavaOnevision, VideoLlava
from geochg.models.vlm.patches import Idefics, MiniCPMV, MiniCPMV47, QwenVL

FAMILIES: dict[str, type[Family]] = {
    model_type: family
    for family in (
        Llava,
        LlavaNextVideo,
        VideoLlava,
        LlavaOnevision,
        QwenVL,
        Idefics,
        MiniCPMV,
        MiniCPMV47,
    )
    for model_type in family.model_classes
}
