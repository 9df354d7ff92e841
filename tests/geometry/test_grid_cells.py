"""The 3x3 grid is cut in one way, whoever cuts it."""

import numpy as np
import pytest

from geochg.evaluation.map_measures import cell_means
from geochg.geometry.grid_cells import changed_cells, grid_box, thirds
from geochg.models.chat import change_views
from geochg.models.deltavlm import summary_tokens
from geochg.records import GRID_CELLS, PixelWindow


@pytest.mark.parametrize(
    ("size_px", "edges"),
    [
        (256, (0, 85, 171, 256)),
        (512, (0, 171, 341, 512)),
        (255, (0, 85, 170, 255)),
        (257, (0, 86, 171, 257)),
        (3, (0, 1, 2, 3)),
        (2, (0, 1, 1, 2)),
        (1, (0, 0, 1, 1)),
    ],
)
def test_edges_lie_at_the_pixel_borders_nearest_to_the_thirds(size_px, edges):
    assert thirds(0, size_px) == edges
    assert thirds(-7, size_px) == tuple(edge - 7 for edge in edges)


@pytest.mark.parametrize("shape", [(256, 256), (100, 256), (5, 4), (3, 3)])
def test_cells_cover_a_window_once(shape):
    covered = np.zeros(shape, int)
    window = PixelWindow(0, shape[0], 0, shape[1])
    for cell in GRID_CELLS:
        covered[grid_box(window, cell).slices_within(window)] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("size_px", [256, 224, 300, 85])
def test_mapping_masks_evaluation_and_chat_cut_alike(size_px):
    whole = PixelWindow(0, size_px, 0, size_px)
    known = np.ones((size_px, size_px), bool)
    chat = change_views.cells_of_pixels(known)
    tokens = summary_tokens._slices(size_px)
    for number, cell in enumerate(GRID_CELLS):
        mask = np.zeros((size_px, size_px), bool)
        part = grid_box(whole, cell).slices_within(whole)
        mask[part] = True
        # A training mask that fills a cell, and nothing of its neighbours.
        assert changed_cells(mask) == (cell,)
        np.testing.assert_array_equal(chat == number, mask)
        assert (tokens[cell.row], tokens[cell.col]) == part
        if size_px == 256:
            np.testing.assert_array_equal(cell_means(mask, known), np.arange(9) == number)


def test_more_than_a_twentieth_of_a_cell_changed_it():
    mask = np.zeros((300, 300), bool)
    mask[:5, :100] = True
    assert changed_cells(mask) == ()
    mask[5, 0] = True
    assert changed_cells(mask) == (GRID_CELLS[0],)
