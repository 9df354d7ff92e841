from dataclasses import replace

import pytest
import torch

from geochg.training.augment import Augmentation, Batch, seen_by_sensor, varied

CALM = Augmentation(
    zoom=1,
    color=0,
    mixing=0,
    gamma=1,
    stretch_share=0,
    gray_share=0,
    blur_share=0,
    coarse_share=0,
    noise=0,
    shift_px=0,
)


def planted():
    """Gray pairs in which a bright square appeared, marked as class 3, appeared."""
    before = torch.full((4, 3, 64, 64), 0.4)
    after, classes = before.clone(), torch.zeros((4, 64, 64), dtype=torch.uint8)
    after[:, :, 10:30, 34:60] = 0.8
    classes[:, 10:30, 34:60] = 3
    marked = (classes > 0).to(torch.uint8)
    counts = torch.zeros(4, 5, 3)
    counts[:, 2, 0] = 1
    return Batch(before, after, classes, marked, classes * 0, marked, counts)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("zoom", [1.0, 1.8])
def test_the_mask_follows_the_square_and_the_direction_the_dates(seed, zoom):
    how = replace(CALM, zoom=zoom)
    batch = varied(planted(), how, torch.Generator().manual_seed(seed))
    rose = (batch.after - batch.before).mean(1)
    marked = batch.classes == 3
    change = rose.abs() > 0.2
    overlap = (marked & change).sum() / (marked | change).sum().clamp(min=1)
    assert overlap > 0.85 or not change.any()
    if change.any():
        appeared = bool(rose[change].mean() > 0)
        assert batch.directions[marked].unique().tolist() == [1 if appeared else 2]
        assert bool((batch.land_after if appeared else batch.land_before)[marked].all())
        assert not (batch.land_before if appeared else batch.land_after).any()


def test_all_turns_and_both_orders_come_up():
    orders, places = set(), set()
    for seed in range(60):
        batch = varied(planted(), CALM, torch.Generator().manual_seed(seed))
        orders.add(int(batch.directions.max()))
        rows, cols = (batch.classes[0] == 3).nonzero().float().mean(0).tolist()
        places.add((rows > 32, cols > 32))
        assert (
            batch.counts[:, 2].tolist()
            == [[1, 0, 0] if batch.directions.max() == 1 else [0, 1, 0]] * 4
        )
    assert orders == {1, 2}
    assert len(places) == 4


def test_the_dates_are_varied_apart_and_stay_pictures():
    same = planted()
    same = replace(same, after=same.before.clone())
    batch = varied(same, Augmentation(), torch.Generator().manual_seed(0))
    assert (batch.before - batch.after).abs().mean() > 0.02
    for images in (batch.before, batch.after):
        assert images.shape == (4, 3, 64, 64)
        assert 0 <= images.min() <= images.max() <= 1


def test_one_state_of_the_generator_gives_one_batch():
    batches = [varied(planted(), Augmentation(), torch.Generator().manual_seed(5)) for _ in "ab"]
    assert (batches[0].before == batches[1].before).all()
    assert (batches[0].classes == batches[1].classes).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_frame_shows_a_part_at_another_scale_and_forgets_the_counts(seed):
    how = replace(CALM, side_px=32, zoom=2.0, shrink=1.9)
    batch = varied(planted(), how, torch.Generator().manual_seed(seed))
    assert batch.before.shape == (4, 3, 32, 32)
    assert batch.land_after.shape == batch.classes.shape == (4, 32, 32)
    assert batch.counts.isnan().all()
    rose = (batch.after - batch.before).abs().mean(1) > 0.2
    assert ((batch.classes == 3) == rose).float().mean() > 0.93


def test_shrinking_shows_more_ground_than_zooming():
    shares = []
    for how in (replace(CALM, side_px=32, zoom=0.51, shrink=1.95), replace(CALM, side_px=32)):
        seen = [varied(planted(), how, torch.Generator().manual_seed(s)).classes for s in range(20)]
        parts = [(one == 3).float().mean((1, 2)) for one in seen]
        shares.append(torch.cat(parts).std())
    assert shares[0] < shares[1]


def test_pairs_of_a_batch_are_framed_apart():
    batch = varied(planted(), replace(CALM, side_px=32), torch.Generator().manual_seed(1))
    assert not all((batch.classes[0] == other).all() for other in batch.classes[1:])


def test_a_stretched_date_fills_the_range():
    images = 0.4 + 0.1 * torch.rand(2, 3, 64, 64)
    how = replace(CALM, stretch_share=1)
    stretched = seen_by_sensor(images, how, torch.Generator().manual_seed(0))
    assert stretched.min() == 0
    assert stretched.max() == 1
    assert stretched.std() > 5 * images.std()


def test_a_coarser_sensor_sees_less_detail():
    images = torch.rand(4, 3, 64, 64)
    seen = seen_by_sensor(
        images, replace(CALM, coarse_share=1, coarse=3.0), torch.Generator().manual_seed(0)
    )
    steps = [(one[..., 1:] - one[..., :-1]).abs().mean() for one in (seen, images)]
    assert steps[0] < 0.7 * steps[1]
