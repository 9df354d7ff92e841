"""The dense head's findings as tokens of the language model, so that words follow the map."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
from geochg.models.deltavlm.dense import DenseOutput, channel_probability

GRID = 3
"""The cells of the locate task a side."""


class DenseSummary(nn.Module):
    """One token for each cell of the 3x3 grid and one for the whole pair.

    A cell's token tells mean and highest probability and the number of objects of each channel;
    the pair's token the same for the whole, how certain change is, and each number once more in
    steps ("at least 1", "at least 2", ...), which a small language model reads more easily.
    Nothing flows back into the dense head: the loss of the words must not bend the map.

    Args:
        config: Of the dense head.
        width: Of the language model.
    """

    tokens = GRID * GRID + 1

    def __init__(self, config: DeltaVLMDenseConfig, width: int) -> None:
        super().__init__()
        channels = len(config.channels)
        self.temperature = config.temperature
        self.count_steps = config.count_steps
        self.cell = nn.Linear(3 * channels, width)
        self.pair = nn.Linear((3 + config.count_steps) * channels + 1, width)
        self.place = nn.Parameter(torch.zeros(1, self.tokens, width))

    def forward(self, output: DenseOutput) -> Tensor:
        """The tokens, `(batch, 10, width)`: the pair's, then the cells' in raster order."""
        output = DenseOutput(*(part.detach() for part in output))
        probability = channel_probability(output, self.temperature)
        counts = _cells(output.density, torch.sum)
        cells = torch.cat(
            (_cells(probability, torch.mean), _cells(probability, torch.amax), counts.log1p()),
            dim=2,
        )
        total = counts.sum(dim=1)
        facts = (
            probability.mean((2, 3)),
            probability.amax((2, 3)),
            total.log1p(),
            self._steps(total),
            output.presence_logits.sigmoid()[:, None],
        )
        dtype = self.pair.weight.dtype
        pair = self.pair(torch.cat(facts, dim=1).to(dtype))
        found: Tensor = torch.cat((pair[:, None], self.cell(cells.to(dtype))), dim=1) + self.place
        return found

    def _steps(self, total: Tensor) -> Tensor:
        """`(batch, steps * channels)`: softly, whether there are at least 1, 2, ... objects."""
        steps = torch.arange(self.count_steps, device=total.device) + 0.5
        return torch.sigmoid(4 * (total[:, :, None] - steps)).flatten(1)


def _cells(layers: Tensor, reduced: Callable[..., Tensor]) -> Tensor:
    """`(batch, 9, channels)`: each cell's mean, maximum or sum of `(batch, channels, h, w)`."""
    rows, cols = (_thirds(size) for size in layers.shape[-2:])
    parts = [layers[:, :, row, col] for row in rows for col in cols]
    return torch.stack([reduced(part, (2, 3)) for part in parts], dim=1)


def _thirds(size: int) -> list[slice]:
    # Rounded without fractions, so that it exports.
    edges = [(2 * size * third + GRID) // (2 * GRID) for third in range(GRID + 1)]
    # A map of fewer than three pixels gives neighbouring cells the same pixel.
    return [slice(a, max(b, a + 1)) for a, b in pairwise(edges)]
