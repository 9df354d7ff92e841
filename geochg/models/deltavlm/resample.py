"""Bilinear enlargement by a whole factor, several times faster on a CPU than a resize kernel."""

from __future__ import annotations

import torch
from torch import Tensor


def enlarged(layers: Tensor, factor: int) -> Tensor:
    """The layers enlarged; equal to bilinear interpolation with half-pixel centres.

    Args:
        layers: `(..., rows, columns)` float.
        factor: How often; `(..., rows * factor, columns * factor)` is returned.
    """
    return _stretched(_stretched(layers, factor, -1), factor, -2)


def _stretched(layers: Tensor, factor: int, axis: int) -> Tensor:
    axis += layers.ndim
    size = layers.shape[axis]
    edges = layers.narrow(axis, 0, 1), layers.narrow(axis, size - 1, 1)
    padded = torch.cat((edges[0], layers, edges[1]), dim=axis)
    phases = []
    for phase in range(factor):
        # Where this phase's centre lies between a pixel's centre and the next one's.
        place = (phase + 0.5) / factor + 0.5
        first = int(place)
        left, right = (padded.narrow(axis, start, size) for start in (first, first + 1))
        phases.append(torch.lerp(left, right, place - first))
    return torch.stack(phases, dim=axis + 1).flatten(axis, axis + 1)
