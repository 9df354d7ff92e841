"""Pictures of pairs, and sheets of captions to be judged by eye."""

import io

import captions
import geopandas as gpd
import numpy as np
import pictures
import pytest
from masked_pairs import plain_pair, some_kind
from PIL import Image
from rasters import ORIGIN, UTM
from shapely.geometry import MultiPolygon, box

from geochg import AnalyzeOptions
from geochg.datasets.kinds import Kind, MaskedPair, kinds_of
from geochg.models.registry import load_model


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


@pytest.mark.parametrize(
    "shape",
    [
        ground_box(0, 10, 0, 10),
        ground_box(90, 110, 140, 170),
        ground_box(0, 200, 0, 300),
        MultiPolygon([ground_box(150, 200, 280, 300), ground_box(100, 120, 200, 210)]),
    ],
)
def test_a_crop_lies_in_the_image_and_holds_the_feature(shape):
    top, left, side = captions._window(shape, ORIGIN, (200, 300))
    assert 0 <= top <= 200 - side
    assert 0 <= left <= 300 - side
    west, south, east, north = shape.bounds
    (x0, y0), (x1, y1) = ~ORIGIN * (west, north), ~ORIGIN * (east, south)
    if max(x1 - x0, y1 - y0) < 150:
        assert left <= x0
        assert x1 <= left + side
        assert top <= y0
        assert y1 <= top + side


def test_as_many_features_of_each_kind_are_drawn(monkeypatch):
    def features(kind, pair, *_):
        yield from (f"{kind.name}{number}" for number in range(40))

    monkeypatch.setattr(captions, "_features", features)
    pair = MaskedPair("p", *3 * [None])
    kinds = [Kind(name, (), (pair,)) for name in "abc"]
    found = captions.sampled(kinds, None, 12, print, AnalyzeOptions())
    assert [sum(each.startswith(name) for each in found) for name in "abc"] == [4, 4, 4]
    assert found == captions.sampled(kinds, None, 12, print, AnalyzeOptions())
    assert len(set(found)) == 12
    assert found[:4] != ["a0", "a1", "a2", "a3"]


@pytest.mark.usefixtures("marker_plugin")
def test_a_sheet_has_every_caption_and_hides_the_truth_at_its_end(tmp_path):
    kinds = kinds_of(some_kind(tmp_path / "planted"))
    model = load_model("marker", {}, "cpu")
    found = captions.sampled(kinds, model, 8, print, AnalyzeOptions(model="marker"))
    sheet = captions.write_sheets(found, tmp_path / "sheet").read_text(encoding="utf-8")
    judged, _, truth = sheet.partition("## By the masks")
    assert judged.count("true / partly / false") == len(found) > 3
    assert all(each.properties["caption"] in judged for each in found)
    assert truth.count("\n| ") == len(found) + 1
    assert "100%" in truth
    pages = sorted((tmp_path / "sheet").glob("*.png"))
    assert len(pages) == -(-len(found) // captions.PER_PAGE)
    page = np.asarray(Image.open(pages[0]))
    assert (page == captions.OUTLINE).all(axis=-1).sum() > 100
