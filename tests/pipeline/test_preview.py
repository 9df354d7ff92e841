"""The small picture of a pair: both dates, changes in the colours of their classes, few bytes."""

import io

import geopandas
import numpy as np
import pytest
import shapely
from PIL import Image, ImageColor
from rasters import ORIGIN, UTM

from geochg.classes import LEGEND
from geochg.errors import InputError
from geochg.pipeline.preview import PREVIEW_PX, pair_preview

COLORS = {row["name"]: ImageColor.getrgb(row["color"]) for row in LEGEND}
TOP_PX, GAP_PX = 16, 6


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def change(west, north, east, south, name="water"):
    """A table of one change, a box in pixels of the rasters that `make_raster` writes."""
    box = shapely.box(*ORIGIN * (west, south), *ORIGIN * (east, north))
    columns = {"class": [name], "area_m2": [box.area], "geometry": [box]}
    return geopandas.GeoDataFrame(columns, crs=UTM)


@pytest.fixture
def pair(make_raster):
    flat = np.full((3, 200, 300), 60, np.uint8)
    flat[0] += np.arange(300, dtype=np.uint8) // 3
    return str(make_raster("2020-05-01.tif", flat)), str(make_raster("2021-05-01.tif", flat + 40))


def test_both_dates_stand_beside_each_other(pair):
    picture = opened(pair_preview(*pair))
    assert picture.shape == (200 + TOP_PX, 600 + GAP_PX, 3)
    before, after = picture[TOP_PX:, :300], picture[TOP_PX:, 300 + GAP_PX :]
    assert abs((after - before).mean() - 40) < 2
    assert before[:, 250, 0].mean() > before[:, 20, 0].mean() + 50
    # Something is written above either date.
    assert picture[:TOP_PX, :150].max() > 200
    assert picture[:TOP_PX, 310:450].max() > 200


def test_changes_are_drawn_on_both_dates_where_they_lie(pair):
    picture = opened(pair_preview(*pair, frames=[change(100, 50, 140, 90)]))
    water = (abs(picture - COLORS["water"]).sum(axis=-1) == 0)[TOP_PX : TOP_PX + 200]
    for left in (0, 300 + GAP_PX):
        rows, cols = np.nonzero(water[:, left : left + 300])
        assert abs(np.array([rows.min(), rows.max()]) - (50, 90)).max() <= 2
        assert abs(np.array([cols.min(), cols.max()]) - (100, 140)).max() <= 2
        assert not water[60:80, left + 110 : left + 130].any()


def test_classes_of_any_words_have_colours_and_names(pair):
    plain = opened(pair_preview(*pair))
    words = [change(10, 10, 60, 60, "бассейн"), change(100, 100, 150, 150, "solar panels")]
    picture = opened(pair_preview(*pair, frames=words))
    assert len(picture) == len(plain) + TOP_PX
    assert picture[-TOP_PX:, :200].max() > 200


def test_what_leaves_a_date_is_not_seen_on_the_other(pair):
    picture = opened(pair_preview(*pair, frames=[change(250, 50, 400, 90)]))
    after = picture[TOP_PX : TOP_PX + 200, 300 + GAP_PX : 300 + GAP_PX + 100]
    assert not (abs(after - COLORS["water"]).sum(axis=-1) == 0).any()


def test_a_large_picture_of_noise_stays_small(make_raster):
    rng = np.random.default_rng(5)
    names = [
        str(make_raster(name, rng.integers(1, 255, (3, 1500, 1400), dtype=np.uint8)))
        for name in ("a.tif", "b.tif")
    ]
    data = pair_preview(*names)
    assert len(data) < 600_000
    assert max(opened(data).shape) <= 2 * PREVIEW_PX + GAP_PX


def test_one_band_and_many_without_colours_make_pictures(make_raster):
    for bands in (1, 2, 6):
        ramp = np.tile(np.linspace(5, 4000, 90, dtype=np.uint16), (bands, 80, 1))
        names = [str(make_raster(f"{name}{bands}.tif", ramp)) for name in "ab"]
        picture = opened(pair_preview(*names))
        assert picture.shape == (80 + TOP_PX, 180 + GAP_PX, 3)
        assert picture[40, 80].mean() > picture[40, 10].mean() + 100


def test_holes_are_grey_and_nothing_valid_is_refused(make_raster):
    data = np.full((3, 100, 100), 200, np.uint8)
    data[:, :, :50] = 0
    names = [str(make_raster(name, data, nodata=0)) for name in ("a.tif", "b.tif")]
    picture = opened(pair_preview(*names))
    assert (abs(picture[TOP_PX:, 5:45] - (90, 90, 90)) < 6).all()
    empty = str(make_raster("c.tif", data * 0, nodata=0))
    with pytest.raises(InputError, match="no valid pixel"):
        pair_preview(names[0], empty)
