"""Cross-semantic relation measuring: which differences between the dates matter."""

import torch
from torch import Tensor, nn


class CrossSemanticRelation(nn.Module):
    """Contextualises, gates and filters the difference for each date (Deng et al. 2026).

    With `d = after - before`, for the tokens `x` of each date and weights shared by both:

        context = tanh(W_c1 d + W_c2 x + b_c)
        gate    = sigmoid(W_g1 d + W_g2 x + b_g)
        out     = W_3 [x, d, gate * context] + b_3

    The released training code bypasses this and generates with it; here both go through it.

    Args:
        width: Width of the tokens.
        dropout: Dropped share of context and gate while training.
    """

    def __init__(self, width: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.context1 = nn.Linear(width, width, bias=False)
        self.context2 = nn.Linear(width, width)
        self.gate1 = nn.Linear(width, width, bias=False)
        self.gate2 = nn.Linear(width, width)
        self.context3 = nn.Linear(3 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Relates the dates' tokens, `(batch, tokens, width)` float each.

        Returns:
            `(batch, 2 * tokens, width)`: the before date's tokens, then the after date's.
        """
        difference = after - before
        context = self.context1(difference)
        gate = self.gate1(difference)
        dates = [self._filter(x, difference, context, gate) for x in (before, after)]
        return torch.cat(dates, dim=1)

    def _filter(self, x: Tensor, difference: Tensor, context: Tensor, gate: Tensor) -> Tensor:
        contextual = self.dropout(torch.tanh(context + self.context2(x)))
        relevance = self.dropout(torch.sigmoid(gate + self.gate2(x)))
        out: Tensor = self.context3(torch.cat((x, difference, relevance * contextual), dim=-1))
        return out
