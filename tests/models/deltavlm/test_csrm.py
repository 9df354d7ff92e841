"""Cross-semantic relation measuring, against the equations written out in numpy."""

import numpy as np
import torch

from geochg.models.deltavlm.csrm import CrossSemanticRelation


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def by_hand(relation: CrossSemanticRelation, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    w = {name: value.detach().double().numpy() for name, value in relation.named_parameters()}
    d = after - before
    out = []
    for x in (before, after):
        context = np.tanh(
            d @ w["context1.weight"].T + x @ w["context2.weight"].T + w["context2.bias"]
        )
        gate = sigmoid(d @ w["gate1.weight"].T + x @ w["gate2.weight"].T + w["gate2.bias"])
        joined = np.concatenate((x, d, gate * context), axis=-1)
        out.append(joined @ w["context3.weight"].T + w["context3.bias"])
    return np.concatenate(out, axis=1)


def test_equals_the_equations():
    relation = CrossSemanticRelation(6).eval()
    before, after = np.random.default_rng(0).normal(size=(2, 2, 5, 6))
    result = relation(torch.tensor(before).float(), torch.tensor(after).float())
    assert result.shape == (2, 10, 6)
    assert np.allclose(result.detach().numpy(), by_hand(relation, before, after), atol=1e-5)


def test_only_the_terms_of_the_difference_have_no_bias():
    names = {name for name, _ in CrossSemanticRelation(4).named_parameters()}
    assert "context1.bias" not in names
    assert "gate1.bias" not in names
    assert {"context2.bias", "gate2.bias", "context3.bias"} <= names


def test_swapping_the_dates_turns_the_difference():
    relation = CrossSemanticRelation(6).eval()
    before, after = torch.randn(2, 1, 4, 6)
    forth, back = relation(before, after), relation(after, before)
    assert not torch.allclose(forth[:, :4], back[:, 4:], atol=1e-3)
    same = relation(before, before)
    assert torch.equal(same[:, :4], same[:, 4:])


def test_dropout_works_in_training_only():
    relation = CrossSemanticRelation(6, dropout=0.5)
    pair = torch.randn(2, 1, 4, 6)
    assert not torch.equal(relation.train()(*pair), relation(*pair))
    assert torch.equal(relation.eval()(*pair), relation(*pair))
