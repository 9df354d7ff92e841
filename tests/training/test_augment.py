import pytest
import torch

from geochg.training.augment import Augmentation, Batch, varied

CALM = Augmentation(color=0, gamma=1, gray_share=0, blur_share=0, noise=0, shift_px=0, zoom=1)


def planted():
    """Gray pairs in which a bright square appeared, marked as class 3, appeared."""
    before = torch.full((4, 3, 64, 64), 0.4)
    after, classes = before.clone(), torch.zeros((4, 64, 64), dtype=torch.uint8)
    after[:, :, 10:30, 34:60] = 0.8
    classes[:, 10:30, 34:60] = 3
    return Batch(before, after, classes, (classes > 0).to(torch.uint8))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("zoom", [1.0, 1.8])
def test_the_mask_follows_the_square_and_the_direction_the_dates(seed, zoom):
    how = Augmentation(**{**{n: getattr(CALM, n) for n in CALM.__slots__}, "zoom": zoom})
    batch = varied(planted(), how, torch.Generator().manual_seed(seed))
    rose = (batch.after - batch.before).mean(1)
    marked = batch.classes == 3
    change = rose.abs() > 0.2
    overlap = (marked & change).sum() / (marked | change).sum().clamp(min=1)
    assert overlap > 0.85 or not change.any()
    if change.any():
        appeared = bool(rose[change].mean() > 0)
        assert batch.directions[marked].unique().tolist() == [1 if appeared else 2]


def test_all_turns_and_both_orders_come_up():
    orders, places = set(), set()
    for seed in range(60):
        batch = varied(planted(), CALM, torch.Generator().manual_seed(seed))
        orders.add(int(batch.directions.max()))
        rows, cols = (batch.classes[0] == 3).nonzero().float().mean(0).tolist()
        places.add((rows > 32, cols > 32))
    assert orders == {1, 2}
    assert len(places) == 4


def test_the_dates_are_varied_apart_and_stay_pictures():
    same = planted()
    same = Batch(same.before, same.before.clone(), same.classes * 0, same.directions * 0)
    batch = varied(same, Augmentation(), torch.Generator().manual_seed(0))
    assert (batch.before - batch.after).abs().mean() > 0.02
    for images in (batch.before, batch.after):
        assert images.shape == (4, 3, 64, 64)
        assert 0 <= images.min() <= images.max() <= 1


def test_one_state_of_the_generator_gives_one_batch():
    batches = [varied(planted(), Augmentation(), torch.Generator().manual_seed(5)) for _ in "ab"]
    assert (batches[0].before == batches[1].before).all()
    assert (batches[0].classes == batches[1].classes).all()
