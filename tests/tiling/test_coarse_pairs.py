"""One look at all of a vast pair reads as many pixels as the look needs, not all there are."""

from dataclasses import replace

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM

from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling import grid as grids
from geochg.tiling.grid import view_step_px
from geochg.tiling.pair import open_pair
from geochg.tiling.read import PairReader

SIDE = 512


def values():
    """A ramp with a hole of nodata, `(3, 512, 512)` uint8."""
    ramp = np.linspace(20, 220, SIDE)[None, :, None] + np.zeros((3, 1, SIDE))
    ramp[:, 256:384, 128:256] = 0
    return ramp.astype(np.uint8)


@pytest.mark.parametrize(
    ("side_px", "view_px", "step"),
    [
        (1_000, 1_000, 1),
        (3_000, 1_000, 1),
        (30_000, 1_000, 8),
        (100_000, 1_000, 25),
        (1e6, 256, 245),
    ],
)
def test_the_step_follows_from_what_is_read(side_px, view_px, step):
    source = GeoBox((int(side_px), int(side_px)), ORIGIN, UTM)
    ratio = side_px / view_px
    grid = GeoBox((view_px, view_px), ORIGIN * ORIGIN.scale(ratio), UTM)
    assert view_step_px(source, grid) == pytest.approx(step, abs=1)
    assert step <= max(1, ratio / 2)


@pytest.mark.parametrize("overviews", [None, [2, 4]])
def test_a_look_at_some_pixels_shows_what_a_look_at_all_shows(make_raster, monkeypatch, overviews):
    monkeypatch.setattr(grids, "VIEW_READ_PX", 128 * 128)
    paths = [make_raster(f"{n}.tif", values(), nodata=0, overviews=overviews) for n in "ab"]
    pair = open_pair(*paths, AnalyzeOptions(resolution=160), "all")
    view = replace(pair, is_view=True)
    assert view.plan().before.step_px == 4
    assert pair.plan().before.step_px == 1
    whole = PixelWindow(0, 32, 0, 32)
    with PairReader(pair.plan()) as all_of_it, PairReader(view.plan()) as some_of_it:
        one, _, valid = all_of_it.read_values(whole)
        other, _, seen = some_of_it.read_values(whole)
    assert (valid == seen).mean() > 0.98
    assert np.abs(one - other)[:, valid & seen].max() < 6
    assert not seen[17:23, 9:15].any()
