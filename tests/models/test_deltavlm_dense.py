"""The dense head: symmetry, folding, losses, export."""

import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from deltavlm_factory import SIZE_PX, dates, tiny_config, tiny_model
from torch import nn
from torch.nn import functional

from geochg.models.deltavlm.dense import DenseOutput, channel_probability
from geochg.models.deltavlm.folding import fold_batch_norms, settle_batch_norms
from geochg.models.deltavlm.losses import DenseTargets, dense_losses, direction_loss
from geochg.models.deltavlm.resample import resampled
from geochg.models.deltavlm.summary import DenseSummary


def unsettled(model: nn.Module) -> nn.Module:
    """Batch norms whose statistics are not those they start with."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return model


@pytest.fixture
def model():
    return unsettled(tiny_model())


def test_probabilities_are_of_every_class_and_direction_at_full_size(model):
    probability, presence = model.detect(*dates())
    assert probability.shape == (2, 6, SIZE_PX, SIZE_PX)
    assert presence.shape == (2,)
    assert 0 <= probability.min() < probability.max() <= 1
    assert probability.std() > 1e-4


def test_swapping_the_dates_swaps_appeared_and_disappeared(model):
    before, after = dates()
    forth, back = (model.detect(*pair)[0] for pair in ((before, after), (after, before)))
    forth, back = (p.reshape(2, 2, 3, SIZE_PX, SIZE_PX) for p in (forth, back))
    assert torch.allclose(forth[:, :, [1, 0, 2]], back, atol=1e-6)
    assert not torch.allclose(forth[:, :, 0], forth[:, :, 1], atol=1e-4)


def test_the_same_picture_twice_has_no_direction(model):
    before, _ = dates()
    by_class = model.detect(before, before)[0].reshape(2, 2, 3, SIZE_PX, SIZE_PX)
    assert torch.allclose(by_class[:, :, 0], by_class[:, :, 1], atol=1e-6)


def test_density_and_presence_keep_the_symmetry(model):
    before, after = dates()
    forth, back = (
        model.look(model.vision(*pair).maps) for pair in ((before, after), (after, before))
    )
    assert torch.allclose(forth.density[:, [1, 0, 2, 4, 3, 5]], back.density, atol=1e-6)
    assert torch.allclose(forth.presence_logits, back.presence_logits, atol=1e-5)
    assert (forth.density >= 0).all()


def test_folding_changes_nothing_but_the_speed(model):
    pair = dates()
    plain, _ = model.detect(*pair)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    folded, _ = fold_batch_norms(model).detect(*pair)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert torch.allclose(plain, folded, atol=1e-4)


def test_settled_norms_round_alike_folded_or_not(model):
    pair = dates()
    wanted = model.detect(*pair)[0]
    settled = settle_batch_norms(deepcopy(model))
    assert settled.state_dict().keys() == model.state_dict().keys()
    assert torch.allclose(settled.detect(*pair)[0], wanted, atol=1e-5)
    rounded = settled.half().float()
    folded = fold_batch_norms(deepcopy(rounded))
    for name, weight in folded.named_parameters():
        if "vision" in name and weight.ndim == 4:
            assert torch.allclose(weight, weight.half().float(), rtol=1e-5, atol=0), name


def test_folding_while_training_is_refused(model):
    with pytest.raises(ValueError, match="training mode"):
        fold_batch_norms(model.train())


def test_doubt_about_the_class_is_no_doubt_about_the_change():
    logits = torch.tensor([-2.0, -1.0]).reshape(1, 2, 1, 1)
    certain = DenseOutput(logits, torch.full((1, 1, 1, 1), 3.0), logits, torch.zeros(1))
    raised = channel_probability(certain, 1.0)[0, :, 0, 0]
    assert raised[1] == pytest.approx(torch.sigmoid(torch.tensor(3.0)).item())
    shares = torch.sigmoid(logits[0, :, 0, 0])
    assert raised[0] / raised[1] == pytest.approx((shares[0] / shares[1]).item())
    unsure = DenseOutput(logits, torch.full((1, 1, 1, 1), -9.0), logits, torch.zeros(1))
    assert torch.equal(channel_probability(unsure, 1.0)[0, :, 0, 0], shares)


def test_temperature_moves_probabilities_towards_a_half(model):
    output = model.look(model.vision(*dates()).maps)
    cold, warm = (channel_probability(output, t).amax(dim=1) for t in (1.0, 3.0))
    assert ((warm - 0.5).abs() <= (cold - 0.5).abs() + 1e-6).all()


@pytest.mark.parametrize("size", [(5, 7), (10, 14), (13, 30), (20, 28)])
def test_enlarging_is_bilinear(size):
    layers = torch.rand(2, 3, 5, 7)
    wanted = functional.interpolate(layers, size, mode="bilinear")
    assert np.allclose(resampled(layers.numpy(), *size), wanted, atol=1e-6)


def test_a_few_steps_learn_a_change():
    torch.manual_seed(0)
    model = tiny_model().train()
    before, after = dates(4)
    masks = torch.zeros(4, 6, SIZE_PX, SIZE_PX, dtype=torch.bool)
    masks[:2, 0, 16:40, 16:40] = True
    after[:2, :, 16:40, 16:40] = before[:2, :, 16:40, 16:40] + 3
    after[2:] = before[2:]
    targets = DenseTargets(masks, counts=masks.flatten(2).any(2).float())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    history = []
    for _ in range(40):
        losses = dense_losses(model.look(model.vision(before, after).maps), targets, 3)
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        history.append(losses["total"].item())
    assert history[-1] < 0.5 * history[0]
    found = model.look(model.vision(before, after).maps).logits.sigmoid()
    assert found[:2, 0, 5:9, 5:9].mean() > 3 * found[2:, 0].mean()
    assert found[:2, 0, 5:9, 5:9].mean() > found[:2, 1, 5:9, 5:9].mean()


def test_ignored_pixels_and_missing_counts_do_not_matter():
    output = tiny_model().look(tiny_model().vision(*dates()).maps)
    masks = torch.zeros(2, 6, SIZE_PX, SIZE_PX)
    masks[0, 0, :16] = 1
    ignore = torch.zeros(2, SIZE_PX, SIZE_PX, dtype=torch.bool)
    ignore[:, 32:] = True
    wrong = masks.clone()
    wrong[:, :, 32:] = 1
    one, other = (dense_losses(output, DenseTargets(m, ignore), 3)["total"] for m in (masks, wrong))
    assert torch.equal(one, other)
    counts = torch.tensor([[1.0] * 6, [torch.nan] * 6])
    uncounted = dense_losses(output, DenseTargets(masks, counts=counts), 3)["density"]
    alone = dense_losses(
        DenseOutput(*(part[:1] for part in output)), DenseTargets(masks[:1], counts=counts[:1]), 3
    )["density"]
    assert uncounted.item() == pytest.approx(alone.item())


def test_perfect_guesses_cost_less_than_wrong_ones():
    masks = torch.zeros(1, 6, 16, 16)
    masks[:, 1, 4:12, 4:12] = 1
    logits = (masks - 0.5) * 20
    anything = (masks.amax(1, keepdim=True) - 0.5) * 20
    presence = torch.tensor([10.0])
    right = DenseOutput(logits, anything, masks[:, :, :1, :1], presence)
    wrong = DenseOutput(-logits, -anything, masks[:, :, :1, :1], -presence)
    good, bad = (dense_losses(output, DenseTargets(masks), 3) for output in (right, wrong))
    for name in ("channels", "dice", "change", "direction", "presence"):
        assert good[name] < 0.01 < bad[name], name


def test_direction_is_learned_only_where_the_class_changed():
    logits = torch.zeros(1, 6, 4, 4, requires_grad=True)
    target = torch.zeros(1, 6, 4, 4)
    target[0, 4, 0, 0] = 1
    direction_loss(logits, target, torch.ones(1, 1, 4, 4), 3).backward()
    assert logits.grad[0, 4, 0, 0] < 0 < logits.grad[0, 3, 0, 0]
    assert torch.count_nonzero(logits.grad) == 3


def test_the_summary_tells_cells_and_counts_and_does_not_bend_the_map():
    config = tiny_config().dense_config
    summary = DenseSummary(config, 16)
    output = tiny_model().look(tiny_model().vision(*dates()).maps)
    tokens = summary(output)
    assert tokens.shape == (2, 10, 16)
    assert output.logits.requires_grad
    tokens.sum().backward()
    assert summary.cell.weight.grad is not None
    logits = output.logits.detach().clone()
    logits[:, 0, :4, :4] += 4
    moved = summary(output._replace(logits=logits)) - tokens
    changed = moved.abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [True, True] + [False] * 8


# --- export --------------------------------------------------------------------------------------


class Detector(nn.Module):
    """`detect` as a module's forward, which is what exporters take."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, before: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.model.detect(before, after)


@pytest.mark.parametrize("folded", [False, True])
def test_the_exported_program_gives_the_same(model, folded):
    pair = dates()
    if folded:
        fold_batch_norms(model)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(Detector(model), dates(3), dynamic_shapes=({0: batch},) * 2)
    for found, wanted in zip(program.module()(*pair), model.detect(*pair), strict=True):
        assert torch.allclose(found, wanted, atol=1e-4)


def test_onnx_gives_the_same(model, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "detector.onnx"
    pair = dates()
    torch.onnx.export(Detector(model), pair, path, dynamo=True, input_names=["before", "after"])
    session = runtime.InferenceSession(path)
    found = session.run(None, {"before": pair[0].numpy(), "after": pair[1].numpy()})
    for one, wanted in zip(found, model.detect(*pair), strict=True):
        assert torch.allclose(torch.tensor(one), wanted, atol=1e-4)


def test_neither_package_nor_backend_imports_torch():
    code = (
        "import sys, geochg.models.deltavlm, geochg.models.deltavlm.backend;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
