"""What tiles show of changes: sums that do not depend on how a change was cut."""

import numpy as np
import pytest
import shapely
from tile_factory import BUILDING, layout

from geochg.features.candidates import separate_candidates, with_candidates
from geochg.features.cells import CellSettings, tile_result
from geochg.features.collecting import closed_batches
from geochg.features.descriptors import (
    Descriptors,
    descriptors,
    is_packed_descriptor,
    summed_descriptors,
)
from geochg.records import DenseFeatures, Outlines, Tile


def drawn_tile(window, image):
    part = np.s_[
        window.read.row_start : window.read.row_stop, window.read.col_start : window.read.col_stop
    ]
    dates = tuple(date[(slice(None), *part)] for date in image)
    return Tile(window, dates, np.ones(dates[0].shape[1:], bool))


@pytest.fixture
def image():
    random = np.random.default_rng(0)
    return tuple(random.integers(1, 255, (3, 128, 128), dtype=np.uint8) for _ in range(2))


def dense_of(window):
    """Features that are the row and the column on the grid, in pixels of 4 px."""
    rows = np.arange(window.read.row_start, window.read.row_stop, 4, dtype=np.float32)
    cols = np.arange(window.read.col_start, window.read.col_stop, 4, dtype=np.float32)
    maps = np.stack(np.meshgrid(rows, cols, indexing="ij"))
    return DenseFeatures(maps, maps[:1], 4.0, 4.0)


def test_the_parts_of_a_change_add_up_to_the_whole(image):
    polygon = shapely.box(20, 50, 100, 90)
    (whole,) = layout(1, 1, 128)
    expected = descriptors(drawn_tile(whole, image), [polygon], dense_of(whole))
    packed = []
    for window in layout(2, 2, 64):
        core = shapely.box(
            window.core.col_start, window.core.row_start, window.core.col_stop, window.core.row_stop
        )
        part = polygon & core
        packed += descriptors(drawn_tile(window, image), [part], dense_of(window)).packed()
    assert all(is_packed_descriptor(text) for text in packed)
    total = summed_descriptors(packed, np.zeros(4, np.int64), 1)
    assert total.within[0, 0] == 80 * 40
    np.testing.assert_allclose(total.within, expected.within, rtol=1e-5)
    np.testing.assert_allclose(total.encoding, expected.encoding, rtol=1e-5)
    # The mean of the rows is that of the polygon, to a pixel of the map.
    assert total.within[0, -2] / 3200 == pytest.approx(70, abs=4)


def test_what_is_around_holds_no_other_change(image):
    before, after = (date.copy() for date in image)
    (window,) = layout(1, 1, 128)
    after[:, 40:60, 60:80] = before[:, 40:60, 60:80] = 0
    polygons = [shapely.box(40, 40, 60, 60), shapely.box(60, 40, 80, 60)]
    both = descriptors(drawn_tile(window, (before, after)), polygons, None)
    alone = descriptors(drawn_tile(window, (before, after)), polygons[:1], None)
    mean = [part.around[0, 1] / part.around[0, 0] for part in (both, alone)]
    assert mean[0] > mean[1]
    assert both.around[0, 0] < alone.around[0, 0]
    assert both.within[1, 1] == 0


def test_damaged_sums_are_known():
    text = Descriptors(np.ones((1, 8)), np.ones((1, 8)), np.ones((1, 3))).packed()[0]
    assert is_packed_descriptor(text)
    not_finite = np.frombuffer(text, "<f4").copy()
    not_finite[5] = np.nan
    for damaged in (text[:-4], text[:-1], text + text, b"", not_finite.tobytes()):
        assert not is_packed_descriptor(damaged)


def surface(*places):
    """`(1, 64, 64)` probabilities: each place is rows, columns and a probability."""
    layer = np.zeros((64, 64), np.float32)
    for rows, cols, probability in places:
        layer[slice(*rows), slice(*cols)] = probability
    return layer


def candidates_of(windows, layers):
    settings = CellSettings()
    for window, layer in zip(windows, layers, strict=True):
        tile = Tile(window, (np.zeros((3, 64, 64), np.uint8),) * 2, np.ones((64, 64), bool))
        answers = [Outlines((BUILDING,), layer[None], 0.5, change=layer)]
        result = tile_result(tile, answers, settings)
        yield with_candidates(tile, answers, result, settings)


def test_candidates_touch_nothing_that_was_found_also_over_borders():
    left = surface(
        ((5, 15), (5, 15), 0.9),  # found
        ((15, 20), (5, 15), 0.4),  # hangs together with it
        ((30, 40), (5, 15), 0.4),  # stands alone
        ((45, 55), (50, 64), 0.4),  # hangs together with what is found in the next tile
        ((5, 15), (40, 50), 0.1),  # too unlikely
    )
    right = surface(((45, 55), (0, 10), 0.9))
    results = list(candidates_of(layout(1, 2, 64), [left, right]))
    assert [cell.is_candidate for cell in results[0].cells] == [False, True, True]
    assert results[0].cells[0].polygon.area == 100  # the outline of what was found stays
    (collected,) = closed_batches(results)
    usual, candidates = separate_candidates(collected)
    assert [cell.polygon.bounds for cell in candidates.cells] == [(5, 30, 15, 40)]
    assert not any(cell.is_candidate for cell in usual.cells)
    assert len(usual.tile) == len(usual.cells) == 2
