"""Dense predictions as tokens of the language model, so that its text follows the map."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from geochg.geometry.grid_cells import thirds
from geochg.models.deltavlm.dense_head import COVERS, KINDS, DenseOutput

GRID = 3
"""Cells along a side of the locate task's grid."""


class DenseSummary(nn.Module):
    """One token for each cell of the 3x3 grid and one for the whole pair.

    A cell's token holds mean and highest probability of change and of a change of buildings, and
    the share of each land cover at both dates; the pair's token the same for the whole. No gradient
    flows back into the dense head: the loss of the text must not bend the map.
    """

    tokens = GRID * GRID + 1

    def __init__(self, width: int) -> None:
        super().__init__()
        facts = 2 * KINDS + 2 * COVERS
        self.cell = nn.Linear(facts, width)
        self.pair = nn.Linear(facts, width)
        self.place = nn.Parameter(torch.zeros(1, self.tokens, width))

    def forward(self, output: DenseOutput) -> Tensor:
        """The tokens, `(batch, 10, width)`: the pair's, then the cells' in raster order."""
        logits = torch.cat((output.change_logits, output.building_logits), dim=1).detach()
        change = logits.float().sigmoid()
        covers = torch.cat(
            [
                logits.detach().float().softmax(dim=1)
                for logits in (output.before_logits, output.after_logits)
            ],
            dim=1,
        )
        cells = torch.cat(
            (_cells(change, torch.mean), _cells(change, torch.amax), _cells(covers, torch.mean)),
            dim=2,
        )
        pooled_maps = torch.cat(
            (change.mean((2, 3)), change.amax((2, 3)), covers.mean((2, 3))), dim=1
        )
        dtype = self.pair.weight.dtype
        pair = self.pair(pooled_maps.to(dtype))[:, None]
        return torch.cat((pair, self.cell(cells.to(dtype))), dim=1) + self.place


def _cells(layers: Tensor, reduce: Callable[..., Tensor]) -> Tensor:
    """`(batch, 9, channels)`: each cell's mean, maximum or sum of `(batch, channels, h, w)`."""
    rows, cols = (_slices(size) for size in layers.shape[-2:])
    parts = [layers[:, :, row, col] for row in rows for col in cols]
    return torch.stack([reduce(part, (2, 3)) for part in parts], dim=1)


def _slices(size: int) -> list[slice]:
    # A map of fewer than three pixels gives neighbouring cells the same pixel.
    return [slice(a, max(b, a + 1)) for a, b in pairwise(thirds(0, size))]
