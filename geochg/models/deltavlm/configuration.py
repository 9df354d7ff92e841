"""The configuration of a DeltaVLM: every size, and what was calibrated after training."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PretrainedConfig
from transformers.configuration_utils import SubConfigSpec
from transformers.models.instructblip.configuration_instructblip import InstructBlipQFormerConfig

VIT_TYPE = "instructblip_vision_model"
"""`model_type` of a vision encoder that is a plain ViT; all others are multi-scale backbones."""

DIRECTIONS = {"appeared", "disappeared", "altered"}
"""The directions in which a class can change."""


@strict
class DeltaVLMDenseConfig(PretrainedConfig):
    """The dense change head, which goes beyond the paper.

    Attributes:
        classes: The classes of change.
        directions: The directions of change; channels are `(class, direction)`, classes outermost.
        width: Channels of the pyramids and of their fusion.
        statistics_width: Hidden channels of the network on the difference maps.
        norm_groups: Groups of the group norms; divides `width`.
        stride_px: Image pixels per pixel of the finest level.
        color_weight: Factor from the logarithm of the relative colour difference to a logit.
        calibration: Values fitted on held-out pairs, see `postprocessing.Calibration`; empty before
            that.
    """

    model_type = "deltavlm_dense"
    base_config_key = "dense_config"

    classes: list[str] | tuple[str, ...] = ("building", "road", "vegetation", "water", "bare")
    directions: list[str] | tuple[str, ...] = ("appeared", "disappeared", "altered")
    width: int = 64
    statistics_width: int = 32
    norm_groups: int = 8
    stride_px: int = 4
    color_weight: float = 1.0
    calibration: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        if unknown := set(self.directions) - DIRECTIONS:
            raise ValueError(f"unknown directions {sorted(unknown)}; known: {sorted(DIRECTIONS)}")

    @property
    def channels(self) -> list[tuple[str, str]]:
        """Class and direction of each channel, in order."""
        return [(name, direction) for name in self.classes for direction in self.directions]


@strict
class DeltaVLMConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """A DeltaVLM of any size.

    Attributes:
        vision_config: InstructBLIP's ViT, or any backbone that `AutoBackbone` builds.
        qformer_config: InstructBLIP's Q-Former; `encoder_hidden_size` is the width of the visual
            tokens and of the relation measuring.
        text_config: Any causal language model.
        dense_config: The dense change head; None where the checkpoint has none.
        num_query_tokens: Queries of the Q-Former, tokens of the language model.
        image_size: Side of the square image in pixels.
        resize: Whether images of other sizes are resized; if not they are padded.
        stretch: Whether each image is stretched to the range of its own colours.
        image_mean: Mean of each band, of pixels scaled to 0-1.
        image_std: Standard deviation of each band.
        vision_norm_eps: Epsilon of the layer norm after the encoder (`ln_vision` as released).
        token_grid: Side of the grid of visual tokens of a backbone's last level.
        relation_dropout: Dropout on context and gate while training.
        no_change_sentence: The caption of a pair in which the dense head sees no change.
        max_prompt_tokens: Longer prompts lose their beginning.
        language_batch: Answers generated in one call.
    """

    model_type = "deltavlm"
    sub_configs_defaults: ClassVar[dict[str, Any]] = {
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type=VIT_TYPE),
        "qformer_config": InstructBlipQFormerConfig,
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
        "dense_config": SubConfigSpec(config_class=DeltaVLMDenseConfig, optional=True),
    }

    vision_config: Any = None
    qformer_config: Any = None
    text_config: Any = None
    dense_config: Any = None
    num_query_tokens: int = 32
    image_size: int = 224
    resize: bool = True
    stretch: bool = False
    image_mean: list[float] | tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    image_std: list[float] | tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    vision_norm_eps: float = 1e-5
    token_grid: int = 8
    relation_dropout: float = 0.5
    no_change_sentence: str = "There is no difference."
    max_prompt_tokens: int = 128
    language_batch: int = 4
    initializer_range: float = 0.02

    @property
    def uses_vit(self) -> bool:
        """Whether the vision encoder is a plain ViT."""
        return bool(self.vision_config.model_type == VIT_TYPE)


AutoConfig.register(DeltaVLMConfig.model_type, DeltaVLMConfig)
