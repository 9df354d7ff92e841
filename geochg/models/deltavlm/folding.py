"""Folds batch norms into the convolutions before them: the same function, faster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_Module = TypeVar("_Module", bound=nn.Module)


def fold_batch_norms(model: _Module) -> _Module:
    """Folds, in place, each batch norm that its parent declares right after a convolution.

    That is how transformers' convolutional backbones and the dense head are written. A ReLU that
    follows overwrites its input, which nothing else sees. The model must be in evaluation mode;
    it can no longer be trained or saved in its own layout.

    Raises:
        ValueError: If the model is in training mode.
    """
    for found in list(_norms(model)):
        setattr(found.parent, found.conv_name, fuse_conv_bn_eval(found.conv, found.norm))
        setattr(found.parent, found.norm_name, nn.Identity())
        if isinstance(found.following, nn.ReLU):
            found.following.inplace = True
    return model


@torch.no_grad()
def settle_batch_norms(model: _Module) -> _Module:
    """Leaves to each batch norm, in place, nothing but to add its bias.

    The same function with the same names and shapes. When its weights are rounded next, it
    matters no longer whether the norms are folded before or after.

    Raises:
        ValueError: If the model is in training mode.
    """
    for found in _norms(model):
        fused = fuse_conv_bn_eval(found.conv, found.norm)
        assert fused.bias is not None
        found.conv.weight.copy_(fused.weight)
        if found.conv.bias is not None:
            found.conv.bias.zero_()
        norm = found.norm
        norm.reset_running_stats()
        norm.weight.fill_(1)
        norm.bias.copy_(fused.bias)
    return model


class _Norm(NamedTuple):
    """A batch norm and the convolution before it."""

    parent: nn.Module
    conv_name: str
    conv: nn.Conv2d
    norm_name: str
    norm: nn.BatchNorm2d
    following: nn.Module | None


def _norms(model: nn.Module) -> Iterator[_Norm]:
    for parent in model.modules():
        children = list(parent.named_children())
        for (first, conv), (second, norm), following in zip(
            children, children[1:], [*children[2:], None], strict=False
        ):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                if norm.training:
                    raise ValueError("a model in training mode cannot be folded")
                yield _Norm(parent, first, conv, second, norm, following and following[1])
