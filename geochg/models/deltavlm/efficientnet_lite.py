"""EfficientNet-Lite as a multi-scale backbone of transformers.

EfficientNet-Lite (Tan and Le 2019, https://arxiv.org/abs/1905.11946, in the variant for small
devices: no squeeze-and-excitation, ReLU6 instead of swish). The batch norms of the published
weights are folded into the convolutions, which therefore have biases.
"""

import math
from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoBackbone, AutoConfig, PretrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.backbone_utils import BackboneConfigMixin, BackboneMixin
from transformers.modeling_outputs import BackboneOutput


@strict
class EfficientNetLiteConfig(BackboneConfigMixin, PretrainedConfig):
    """The sizes of an EfficientNet-Lite; Lite0 by default.

    Attributes:
        stem_width: Channels after the first convolution, which halves the sides.
        widths: Channels of each stage.
        repeats: Blocks of each stage.
        kernel_sizes: Side of each stage's depthwise kernel, in pixels.
        strides: Stride of each stage's first block.
        expansions: Factor by which each stage's blocks widen.
    """

    model_type = "efficientnet_lite"

    stem_width: int = 32
    widths: list[int] | tuple[int, ...] = (16, 24, 40, 80, 112, 192, 320)
    repeats: list[int] | tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1)
    kernel_sizes: list[int] | tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3)
    strides: list[int] | tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1)
    expansions: list[int] | tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6)

    def __post_init__(self, **kwargs: Any) -> None:
        self.stage_names = ["stem", *(f"stage{i}" for i in range(1, len(self.widths) + 1))]
        self.set_output_features_output_indices(
            out_indices=kwargs.pop("out_indices", None),
            out_features=kwargs.pop("out_features", None),
        )
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class EfficientNetLiteBackbone(BackboneMixin, PreTrainedModel):  # type: ignore[no-untyped-call]
    """The feature maps of the configured stages, the finest first.

    Sides of the input must be multiples of the last stage's stride, 32 px for Lite0.
    """

    config_class = EfficientNetLiteConfig
    base_model_prefix = "efficientnet_lite"
    main_input_name = "pixel_values"
    has_attentions = False

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.num_features = [config.stem_width, *config.widths]
        self.stem = _SameConv(3, config.stem_width, 3, stride=2)
        self.stages = nn.ModuleList()
        width = config.stem_width
        names = ("widths", "repeats", "kernel_sizes", "strides", "expansions")
        sizes = zip(*(getattr(config, name) for name in names), strict=True)
        for wider, repeats, kernel, stride, expansion in sizes:
            blocks = []
            for repeat in range(repeats):
                blocks.append(_Block(width, wider, kernel, 1 if repeat else stride, expansion))
                width = wider
            self.stages.append(nn.Sequential(*blocks))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(  # type: ignore[override]
        self, pixel_values: Tensor, **_: Any
    ) -> BackboneOutput:
        """Encodes images, `(batch, 3, height, width)` float; red, green, blue, -1 to 1."""
        features = functional.relu6(self.stem(pixel_values))
        kept_features: tuple[Tensor, ...] = (features,) if "stem" in self.out_features else ()
        for name, stage in zip(self.stage_names[1:], self.stages, strict=True):
            features = stage(features)
            if name in self.out_features:
                kept_features = (*kept_features, features)
        return BackboneOutput(feature_maps=kept_features)  # type: ignore[arg-type]

    def _init_weights(self, module: nn.Module) -> None:
        """Initialises as the paper's code: depthwise channels have few neighbours."""
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] ** 2 * module.out_channels // module.groups
            init.normal_(module.weight, std=math.sqrt(2 / fan_out))


class _SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: with stride 2 more at the end than at the start.

    The published weights were trained so. Sides are even where the stride is 2.
    """

    def __init__(
        self, channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, width, kernel, stride, groups=groups)
        total = kernel - stride
        self.start, self.end = total // 2, total - total // 2

    def forward(self, features: Tensor) -> Tensor:
        if self.end:
            features = functional.pad(features, (self.start, self.end, self.start, self.end))
        return super().forward(features)


class _Block(nn.Module):
    """An inverted residual block: widen, filter each channel, narrow."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        # Adapters go into plain convolutions only.
        self.expand = nn.Conv2d(channels, wide, 1) if expansion > 1 else None
        self.depthwise = _SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, width, 1)
        self.residual = stride == 1 and channels == width

    def forward(self, features: Tensor) -> Tensor:
        wide = features if self.expand is None else functional.relu6(self.expand(features))
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return features + narrow if self.residual else narrow


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoBackbone.register(EfficientNetLiteConfig, EfficientNetLiteBackbone)
