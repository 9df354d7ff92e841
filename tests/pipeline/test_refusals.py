"""When a run stops asking."""

import pytest
from tile_factory import layout, make_tile

from geochg.errors import TilesFailedError
from geochg.pipeline.batching import FIRST_REFUSALS, LATER_REFUSALS, answered_ahead
from geochg.records import Presence, TileFailure

TILES = [make_tile(window) for window in layout(8, 8, 4)]


class Model:
    """Fails tiles in one of three ways, or answers; counts those it was asked about."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.asked = 0

    def __call__(self, tiles):
        self.asked += len(tiles)
        return [self.answer(tile) for tile in tiles]

    def answer(self, tile):
        outcome = self.outcome(tile.window.index)
        if outcome == "answered":
            return [Presence(True)]
        return TileFailure(tile.window, "one picture only", is_permanent=outcome == "for good")


@pytest.mark.parametrize("batch_tiles", [1, 2, 3, 5, 8])
def test_what_is_always_refused_is_asked_a_few_times_only(batch_tiles):
    model = Model(lambda index: "for good")
    with pytest.raises(TilesFailedError, match="one picture only"):
        list(answered_ahead(iter(TILES), batch_tiles, model))
    assert model.asked < FIRST_REFUSALS + batch_tiles


@pytest.mark.parametrize("batch_tiles", [1, 4, 7])
def test_what_is_refused_from_some_tile_on_is_asked_a_little_longer(batch_tiles):
    model = Model(lambda index: "answered" if index < 10 else "for good")
    kept = []
    answered = (kept.extend(batch) for batch, _ in answered_ahead(iter(TILES), batch_tiles, model))
    with pytest.raises(TilesFailedError):
        list(answered)
    assert len(kept) >= 10, "what was answered is given"
    assert model.asked < 10 + LATER_REFUSALS + batch_tiles


@pytest.mark.parametrize(
    "outcome",
    [
        lambda index: "failed",
        lambda index: "answered" if index % 3 == 0 else "for good",
        lambda index: "answered" if index == 0 or index > 12 else "for good",
    ],
    ids=["each may be mended", "others are answered", "a few in a row"],
)
def test_a_run_goes_on_while_there_is_hope(outcome):
    model = Model(outcome)
    assert sum(len(batch) for batch, _ in answered_ahead(iter(TILES), 4, model)) == len(TILES)
    assert model.asked == len(TILES)


def test_tiles_that_cannot_be_read_for_good_count_too():
    gone = [TileFailure(tile.window, "the raster is gone", is_permanent=True) for tile in TILES]
    model = Model(lambda index: "answered")
    with pytest.raises(TilesFailedError, match="the raster is gone"):
        list(answered_ahead(iter(gone), 4, model))
