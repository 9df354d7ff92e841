import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochg.datasets.builder.options import BuildOptions
from geochg.errors import OptionError
from geochg.evaluation.options import EvaluateOptions
from geochg.options import AnalyzeOptions
from geochg.tiling.layout import Layout, evenly

layouts = st.builds(
    lambda height, width, tile, overlap: Layout(height, width, tile, min(overlap, tile - 1)),
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(8, 90),
    st.integers(0, 89),
)


@given(layouts)
def test_cores_cover_every_pixel_exactly_once(layout):
    covered = np.zeros((layout.height_px, layout.width_px), dtype=int)
    for tile in layout:
        covered[
            tile.core.row_start : tile.core.row_stop, tile.core.col_start : tile.core.col_stop
        ] += 1
    assert (covered == 1).all()


@given(layouts)
def test_reads_are_squares_that_hold_their_core_and_stay_on_the_grid(layout):
    for tile in layout:
        assert tile.read.height_px == tile.read.width_px == layout.tile_size_px
        assert tile.read.row_start <= tile.core.row_start < tile.core.row_stop <= tile.read.row_stop
        assert tile.read.col_start <= tile.core.col_start < tile.core.col_stop <= tile.read.col_stop
        assert tile.read.row_start >= 0
        assert tile.read.row_stop <= max(layout.height_px, layout.tile_size_px)


@given(layouts)
def test_neighbours_overlap_by_at_least_what_was_asked(layout):
    by_place = {(tile.row, tile.col): tile.read for tile in layout}
    for (row, col), read in by_place.items():
        if (row, col + 1) in by_place:
            assert read.col_stop - by_place[row, col + 1].col_start >= layout.overlap_px
        if (row + 1, col) in by_place:
            assert read.row_stop - by_place[row + 1, col].row_start >= layout.overlap_px


@given(layouts)
def test_core_borders_keep_half_the_overlap_of_context(layout):
    """What a filter of half the overlap reaches lies within the read window."""
    half = layout.overlap_px // 2
    for tile in layout:
        if tile.core.col_start > 0:
            assert tile.core.col_start - tile.read.col_start >= half
        if tile.core.row_stop < layout.height_px:
            assert tile.read.row_stop - tile.core.row_stop >= half


@given(layouts)
def test_tiles_come_in_raster_order_and_by_index(layout):
    tiles = list(layout)
    assert [tile.index for tile in tiles] == list(range(len(layout)))
    assert [(tile.row, tile.col) for tile in tiles] == sorted((t.row, t.col) for t in tiles)
    assert len({tile.name for tile in tiles}) == len(tiles)


def test_a_grid_smaller_than_a_tile_is_one_padded_tile():
    (tile,) = Layout(100, 60, 256, 32)
    assert (tile.read.height_px, tile.read.width_px) == (256, 256)
    assert (tile.core.height_px, tile.core.width_px) == (100, 60)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (-1, 0), (64, 64), (64, 65), (64, -1)])
def test_impossible_sizes_are_refused(tile, overlap):
    with pytest.raises(OptionError):
        Layout(100, 100, tile, overlap)


@given(st.integers(0, 500), st.integers(1, 100))
def test_evenly_spread_numbers_are_distinct_and_reach_both_ends(total, count):
    numbers = evenly(total, count)
    assert len(numbers) == min(total, count)
    assert len(set(numbers)) == len(numbers)
    if numbers:
        gap = total / len(numbers)
        assert numbers[0] <= gap
        assert numbers[-1] >= total - 1 - gap


@pytest.mark.parametrize(
    "make",
    [
        lambda tile, overlap: Layout(100, 100, tile, overlap),
        lambda tile, overlap: AnalyzeOptions(tile_size_px=tile, overlap_px=overlap),
        lambda tile, overlap: EvaluateOptions(tile_size_px=tile, overlap_px=overlap),
        lambda tile, overlap: BuildOptions(tile_size_px=tile, overlap_px=overlap),
    ],
    ids=("layout", "analyze", "evaluate", "dataset build"),
)
@pytest.mark.parametrize(("tile", "overlap"), [(256, 256), (64, 300), (32, 33)])
def test_an_overlap_of_a_whole_tile_is_refused_in_the_same_words_everywhere(make, tile, overlap):
    with pytest.raises(OptionError) as caught:
        make(tile, overlap)
    assert str(caught.value).splitlines() == [
        f"overlap {overlap} px",
        f"it must be at least zero and below the tile size, {tile} px",
    ]
