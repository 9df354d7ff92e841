"""The dense head: what it says, what it learns, and what the language model is told of it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from deltavlm_factory import dates, tiny_config, tiny_model
from torch.nn import functional

from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.models.deltavlm.dense_head import BUILDING, COVERS, NOT_SEEN, DenseOutput
from geochg.models.deltavlm.detector import resample
from geochg.models.deltavlm.modeling import measure_scenes
from geochg.models.deltavlm.postprocessing import building_logits
from geochg.models.deltavlm.runtime.vision_output import DenseArrays
from geochg.models.deltavlm.summary_tokens import DenseSummary
from geochg.models.deltavlm.vision import NO_INFRARED
from geochg.training.builtin.losses import change_loss, cover_loss, vision_losses

SIDE = 16
"""Of the head's maps of pictures of 64 px."""


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@torch.no_grad()
def looked(model, before, after, scene=None):
    return model.predict_dense(model.vision.maps(before, after), scene)


def with_infrared(images, seed=None):
    config = tiny_config()
    if seed is None:
        none = (NO_INFRARED - config.image_mean[0]) / config.image_std[0]
        return torch.cat((images, torch.full_like(images[:, :1], none)), dim=1)
    generator = torch.Generator().manual_seed(seed)
    return torch.cat((images, torch.randn(images[:, :1].shape, generator=generator)), dim=1)


def test_all_is_said_at_a_quarter_of_the_size(model):
    result = looked(model, *dates())
    assert result.pyramid_logits.shape == result.statistics_logits.shape == (2, 2, SIDE, SIDE)
    assert result.before_logits.shape == result.after_logits.shape == (2, COVERS, SIDE, SIDE)
    assert result.change_logits.shape == result.building_logits.shape == (2, 1, SIDE, SIDE)
    assert all(torch.isfinite(part).all() for part in result)
    assert result.change_logits.std() > 1e-3


def test_swapping_the_dates_swaps_the_land_covers_and_leaves_the_change(model):
    before, after = dates()
    forth, back = looked(model, before, after), looked(model, after, before)
    assert torch.equal(forth.before_logits, back.after_logits)
    assert torch.equal(forth.after_logits, back.before_logits)
    assert torch.allclose(forth.color_logits, back.color_logits, atol=1e-3)
    assert not torch.allclose(forth.before_logits, forth.after_logits, atol=1e-2)


def test_the_land_cover_of_a_date_does_not_depend_on_the_other_date(model):
    before, after = dates()
    single, other = looked(model, before, after), looked(model, before, dates(seed=3)[1])
    assert torch.equal(single.before_logits, other.before_logits)
    assert not torch.equal(single.after_logits, other.after_logits)


def test_a_pair_does_not_depend_on_its_neighbours(model):
    before, after = dates(3)
    together = looked(model, before, after)
    alone = looked(model, before[1:2], after[1:2])
    for all_of_them, single in zip(together, alone, strict=True):
        assert torch.allclose(all_of_them[1:2], single, atol=1e-3)


def test_a_near_infrared_is_read_and_a_missing_one_is_as_none(model):
    before, after = dates()
    plain = looked(model, before, after)
    absent = looked(model, with_infrared(before), with_infrared(after))
    for single, other in zip(plain, absent, strict=True):
        assert torch.allclose(single, other, atol=1e-5)
    shown = looked(model, with_infrared(before, 1), with_infrared(after, 2))
    assert not torch.allclose(plain.before_logits, shown.before_logits, atol=1e-2)


def test_the_resolution_is_told(model):
    maps = model.vision.maps(*dates())
    scene, _ = measure_scenes(model.dense, maps, [0.5, 0.5])
    coarse, _ = measure_scenes(model.dense, maps, [30.0, 30.0])
    with torch.no_grad():
        single, other = model.predict_dense(maps, scene), model.predict_dense(maps, coarse)
    assert not torch.allclose(single.change_logits, other.change_logits, atol=1e-4)
    assert torch.equal(single.before_logits, other.before_logits)


def test_a_measured_scene_is_what_look_measures(model):
    maps = model.vision.maps(*dates())
    scene, _ = measure_scenes(model.dense, maps)
    for single, other in zip(
        model.predict_dense(maps), model.predict_dense(maps, scene), strict=True
    ):
        assert torch.allclose(single, other, atol=1e-4)


def test_half_precision_sees_much_the_same(model):
    before, after = dates()
    half = tiny_model().to(torch.bfloat16)
    wanted = looked(model, before, after)
    result = looked(half, before.bfloat16(), after.bfloat16())
    assert (result.change_logits - wanted.change_logits).abs().mean() < 0.1
    assert (result.before_logits - wanted.before_logits).abs().mean() < 0.1
    scene, _ = measure_scenes(half.dense, half.vision.maps(before.bfloat16(), after.bfloat16()))
    assert scene.dtype == torch.float32
    again = looked(half, before.bfloat16(), after.bfloat16(), scene)
    assert torch.allclose(again.change_logits.float(), result.change_logits.float(), atol=0.05)


def test_arrays_are_read_as_tensors_are(model):
    result = looked(model, *dates())
    for index in range(2):
        parts = (getattr(result, name) for name in DenseArrays._fields)
        arrays = DenseArrays(*(part[index : index + 1].numpy() for part in parts))
        covers = [
            torch.from_numpy(part[0]).softmax(dim=0).numpy()
            for part in (arrays.before_logits, arrays.after_logits)
        ]
        assert np.allclose(arrays.change_logits, result.change_logits[index], atol=1e-5)
        wanted = result.building_logits[index, 0]
        assert np.allclose(
            building_logits(arrays, *covers, arrays.color_logits[0, 0]), wanted, atol=1e-4
        )


def test_houses_that_come_or_go_raise_the_logit_of_buildings():
    covers = torch.zeros(2, COVERS, 1, 1)
    covers[0, BUILDING], covers[1, 0] = 9, 9
    nothing = torch.zeros(1, 2, 1, 1)
    logits = [
        DenseOutput(
            nothing, nothing, nothing[:, :1], first[None], second[None], nothing
        ).building_logits.item()
        for first in covers
        for second in covers
    ]
    same_house, gone, came, same_ground = logits
    assert gone == pytest.approx(came)
    assert came > 1
    assert max(same_house, same_ground) < -1


def test_a_model_without_a_head_says_so():
    model = tiny_model(tiny_config(vit=True))
    assert model.dense is None
    with pytest.raises(ValueError, match="no dense head"):
        model.predict_dense([torch.zeros(1)])


@pytest.mark.parametrize("size", [(5, 7), (10, 14), (13, 30), (20, 28)])
def test_enlarging_is_bilinear(size):
    layers = torch.rand(2, 3, 5, 7)
    wanted = functional.interpolate(layers, size, mode="bilinear")
    assert np.allclose(resample(layers.numpy(), *size), wanted, atol=1e-6)


# --- losses --------------------------------------------------------------------------------------


def batch(pairs=2, side=64):
    """Pairs in which a building came on the upper left, and grass stayed."""
    covers = torch.full((2, pairs, side, side), int(Cover.LOW), dtype=torch.uint8)
    covers[1, :, : side // 2, : side // 2] = Cover.BUILDING
    change = (covers[0] != covers[1]).to(torch.uint8)
    return {
        "cover_before": covers[0],
        "cover_after": covers[1],
        "change": change,
        "teaches_change": torch.ones(pairs, dtype=torch.bool),
    }


def output_of(labels, sure=8.0):
    """What a head says that is right about labels."""
    change = labels["change"][:, 2::4, 2::4]
    truth = ((change == 1).float() * 2 - 1)[:, None] * sure
    covers = []
    for name in ("cover_before", "cover_after"):
        cover = labels[name][:, 2::4, 2::4]
        bits = torch.tensor([1 << index for index in range(COVERS)], dtype=torch.uint8)
        covers.append(((cover[:, None] & bits.view(1, -1, 1, 1)) > 0).float() * 2 * sure)
    both = truth.expand(-1, 2, -1, -1)
    return DenseOutput(both, both, truth * 0, *covers, truth)


def test_what_is_right_costs_less_than_what_is_wrong():
    labels = batch()
    right = output_of(labels)
    wrong = DenseOutput(*(-part for part in right))
    good, bad = (vision_losses(output, labels) for output in (right, wrong))
    for name in ("change", "building", "cover", "total"):
        assert good[name] < 0.3 < bad[name], name


def test_unknown_pixels_cost_nothing():
    labels = batch()
    labels["change"][:, 32:] = UNKNOWN_CHANGE
    for name in ("cover_before", "cover_after"):
        labels[name][:, 32:] = NOTHING
    output = output_of(labels)
    spoilt = DenseOutput(
        *(
            torch.cat((part[:, :, : SIDE // 2 + 1], -part[:, :, SIDE // 2 + 1 :]), 2)
            for part in output
        )
    )
    single, other = (vision_losses(o, labels) for o in (output, spoilt))
    for name in ("change", "building", "cover"):
        assert single[name].item() == pytest.approx(other[name].item(), abs=1e-5), name


def test_grounds_whose_changes_are_not_all_told_teach_buildings_only():
    labels = batch()
    labels["teaches_change"][:] = False
    output = output_of(labels)
    output.pyramid_logits.requires_grad_()
    wrong = output._replace(pyramid_logits=(-output.pyramid_logits).detach().requires_grad_())
    losses = vision_losses(wrong, labels)
    losses["total"].backward()
    caught = wrong.pyramid_logits.grad.abs().sum((0, 2, 3))
    assert caught[0] == 0 < caught[1]


@pytest.mark.parametrize(
    ("cover", "free"),
    [
        (Cover.WATER, {3}),
        (Cover.LOW | Cover.WOODY, {1, 2}),
        (ANY - Cover.BUILDING, {0, 1, 2, 3, 4}),
        (ANY, set(range(6))),
        (Cover.NOT_SEEN, {NOT_SEEN}),
    ],
)
def test_any_cover_of_a_set_is_right(cover, free):
    labels = torch.full((1, 8, 8), int(cover), dtype=torch.uint8)
    costs = []
    for index in range(COVERS):
        logits = torch.zeros(1, COVERS, 2, 2)
        logits[:, index] = 12
        costs.append(cover_loss(logits, labels).item())
    assert {index for index, cost in enumerate(costs) if cost < 0.01} == free
    assert all(cost > 3 for index, cost in enumerate(costs) if index not in free)


@pytest.mark.parametrize("cover", [NOTHING, ANY | Cover.NOT_SEEN])
def test_a_set_that_says_nothing_teaches_nothing(cover):
    labels = torch.full((1, 8, 8), int(cover), dtype=torch.uint8)
    assert cover_loss(torch.randn(1, COVERS, 2, 2), labels) == 0


def test_no_known_pixel_is_no_loss_of_entropy():
    logits = torch.randn(2, 4, 4, requires_grad=True)
    nothing = torch.zeros(2, 4, 4, dtype=torch.bool)
    change_loss(logits, nothing, nothing).backward()
    assert logits.grad.abs().sum() == 0


def test_a_few_steps_learn_a_change():
    torch.manual_seed(0)
    model = tiny_model().train()
    before, after = dates(4)
    labels = batch(4)
    for name, kept in (("change", 0), ("cover_after", int(Cover.LOW))):
        labels[name][2:] = kept
    after[2:] = before[2:]
    after[:2, :, :32, :32] = before[:2, :, :32, :32] + 3
    maps = model.vision.maps(before, after)
    maps = [level.detach() for level in maps]
    scene, compared = measure_scenes(model.dense, maps)
    optimiser = torch.optim.AdamW(model.dense.parameters(), lr=1e-2)
    history = []
    for _ in range(40):
        losses = vision_losses(model.dense(maps, scene, compared), labels)
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        history.append(losses["total"].item())
    assert history[-1] < 0.6 * history[0]
    result = model.dense(maps, scene, compared).pyramid_logits.sigmoid()[:, 0]
    assert result[:2, :8, :8].mean() > result[2:].mean() + 0.2


# --- the summary ---------------------------------------------------------------------------------


def test_the_summary_tells_cells_and_does_not_bend_the_map():
    model = tiny_model()
    summary = DenseSummary(16)
    output = model.predict_dense(model.vision(*dates()).maps)
    tokens = summary(output)
    assert tokens.shape == (2, 10, 16)
    assert output.pyramid_logits.requires_grad
    tokens.sum().backward()
    assert summary.cell.weight.grad is not None
    assert all(part.grad is None for part in model.dense.parameters())
    logits = output.pyramid_logits.detach().clone()
    logits[:, 0, :4, :4] += 4
    moved = summary(output._replace(pyramid_logits=logits)) - tokens
    changed = moved.abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [True, True] + [False] * 8


@pytest.mark.parametrize("name", ["before_logits", "after_logits"])
def test_the_summary_tells_the_land_cover_of_both_dates(name):
    model = tiny_model()
    summary = DenseSummary(16)
    output = model.predict_dense(model.vision(*dates()).maps)
    logits = getattr(output, name).detach().clone()
    logits[:, 3, -4:, -4:] += 6
    moved = summary(output._replace(**{name: logits})) - summary(output)
    changed = moved.abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [True] + [False] * 8 + [True]


def test_neither_package_nor_backend_imports_torch():
    code = (
        "import sys, geochg.models.deltavlm, geochg.models.deltavlm.backend,"
        "geochg.models.deltavlm.runtime.onnx_vision, geochg.models.deltavlm.map_answers;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
