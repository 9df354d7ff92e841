"""Pictures of pairs."""

import io

import geopandas as gpd
import numpy as np
import pictures
import pytest
from masked_pairs import plain_pair
from PIL import Image
from rasters import ORIGIN, UTM
from shapely.geometry import box


def ground_box(top, bottom, left, right):
    x0, y0 = ORIGIN * (left, top)
    x1, y1 = ORIGIN * (right, bottom)
    return box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


@pytest.mark.parametrize(("blur", "is_whole"), [(32, True), (16, True), (1, False)])
def test_a_picture_is_no_larger_than_it_may_be(blur, is_whole):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (320 // blur, 1600 // blur, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(noise).resize((1600, 320)))
    written = pictures.small_jpeg(image)
    assert len(written) <= pictures.MOST_BYTES
    width, height = Image.open(io.BytesIO(written)).size
    assert (width == 1600) == is_whole
    assert width / height == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("has_truth", [True, False])
def test_the_truth_is_shown_where_it_is_known(tmp_path, has_truth):
    folder = plain_pair(tmp_path / "pair")
    truth = np.zeros((200, 300), bool)
    truth[20:60, 20:80] = True
    shown = pictures.Shown(
        "one", folder / "before.tif", folder / "after.tif", truth if has_truth else None, ""
    )
    layer = gpd.GeoDataFrame(
        {"class": ["water"], "change": ["appeared"]},
        geometry=[ground_box(100, 180, 200, 280)],
        crs=UTM,
    )
    image = pictures.drawn(shown, layer)
    panel = 300 * pictures.PANEL_PX // 200
    panels = 4 if has_truth else 3
    assert image.shape[1] == panels * panel + (panels - 1) * pictures.GAP_PX
    start = (panel + pictures.GAP_PX) * (panels - 1)
    water, rest = image[225:240, start + 330 : start + 400], image[20:60, start + 150 : start + 290]
    assert water[..., 2].mean() > water[..., 0].mean() + 40
    assert abs(rest[..., 2].mean() - rest[..., 0].mean()) < 40
    if has_truth:
        told = image[:, 2 * (panel + pictures.GAP_PX) :][:, :panel]
        assert told[40:80, 40:110].mean() > 220
        assert told[200:280, 300:].mean() < 100
