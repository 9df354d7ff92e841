"""Clouds in fetched images: grown by a margin, and predicted where there is no mask."""

import numpy as np
import pytest
import rasterio
from scene_catalog import CLEAR, CLOUD, SIDE_PX, box_text

from geochg.errors import InputError
from geochg.events import Notice
from geochg.stac import scene_clouds
from geochg.stac.date_window import DateWindow
from geochg.stac.fetch import fetch_scene
from geochg.stac.options import FetchOptions
from geochg.stac.search_area import SearchArea

NAMES = ("blue", "green", "red", "nir")


def fetch(catalog, path, listener=lambda event: None, area=None, **options):
    area, window = SearchArea.of(area or box_text()), DateWindow.of("2020-06")
    options = FetchOptions(catalog=catalog.url, **options)
    scene = fetch_scene(area, window, path, options, listener=listener)
    with rasterio.open(path) as image:
        return scene, image.read_masks(1) == 0


def small_cloud(row=32, col=32):
    classes = np.full((SIDE_PX, SIDE_PX), CLEAR)
    classes[row, col] = CLOUD
    return classes


def test_clouds_are_grown_by_ninety_metres_or_as_many_as_are_wanted(catalog, tmp_path):
    catalog.add_scene("a", "2020-06-13", 1000, small_cloud())
    catalog.save()
    _, hidden = fetch(catalog, tmp_path / "a.tif")
    assert hidden[32, 23]
    assert not hidden[32, 22]
    assert not hidden[24, 24]
    assert fetch(catalog, tmp_path / "b.tif", cloud_margin_m=0)[1].sum() == 1
    assert fetch(catalog, tmp_path / "c.tif", cloud_margin_m=10)[1].sum() == 5


def test_a_margin_reaches_over_the_edges_of_blocks(catalog, tmp_path, monkeypatch):
    catalog.add_scene("a", "2020-06-13", 1000, small_cloud())
    catalog.save()
    _, at_once = fetch(catalog, tmp_path / "a.tif")
    monkeypatch.setattr("geochg.stac.composite_writer.BLOCK_PX", 16)
    _, in_blocks = fetch(catalog, tmp_path / "b.tif")
    assert (at_once == in_blocks).all()


def test_a_scene_whose_mask_is_none_is_left_out(catalog, tmp_path):
    catalog.add_scene("wrong", "2020-06-13", 1000, 77)
    catalog.save()
    with pytest.raises(InputError, match=r"wrong has clouds that cannot be told.*77"):
        fetch(catalog, tmp_path / "a.tif")
    catalog.add_scene("right", "2020-06-23", 1000)
    catalog.save()
    told = []
    scene, _ = fetch(catalog, tmp_path / "a.tif", told.append)
    assert scene.items == ("right",)
    assert any(isinstance(event, Notice) and "left out: wrong" in event.message for event in told)


@pytest.fixture
def without_mask(catalog):
    """A collection that no table knows, and that has no mask; half of its scene is bright."""
    bright = np.full((SIDE_PX, SIDE_PX), 1000)
    bright[:, 32:] = 8000
    catalog.add_collection("farm-l2a")
    item = catalog.add_scene("a", "2020-06-13", bright, collection="farm-l2a", bands=NAMES)
    del item["assets"]["scl"]
    for name in NAMES:
        item["assets"][name] |= {
            "eo:bands": [{"name": name, "common_name": name}],
            "raster:bands": [{"scale": 0.0001, "offset": 0}],
            "gsd": 10,
        }
    catalog.save()
    return catalog


class BrightIsCloud:
    """Stands for the model, and notes what it is given."""

    def __init__(self):
        self.calls = []

    def classes(self, reflectance, valid, pixel_m):
        self.calls.append((set(reflectance), valid.shape, pixel_m))
        return np.where(reflectance["blue"] > 0.5, 2, 1).astype(np.uint8)


def test_where_there_is_no_mask_clouds_are_predicted(without_mask, tmp_path, monkeypatch):
    model = BrightIsCloud()
    monkeypatch.setattr(scene_clouds, "_cloud_model", lambda bands, level: model)
    scene, hidden = fetch(without_mask, tmp_path / "a.tif", collection="farm-l2a")
    # 90 m beyond the edge of the cloud.
    assert hidden[:, 23:].all()
    assert not hidden[:, :23].any()
    assert scene.metadata["clouds"] == "model"
    names, shape, pixel_m = model.calls[-1]
    assert names == set(NAMES)
    assert min(shape) >= SIDE_PX
    assert pixel_m == pytest.approx(10, rel=1e-3)


def test_the_model_itself_runs_on_a_scene(without_mask, tmp_path):
    scene, _ = fetch(without_mask, tmp_path / "a.tif", collection="farm-l2a", clouds="model")
    assert scene.metadata["clouds"] == "model"


def test_without_the_model_clouds_are_warned_of(without_mask, tmp_path, monkeypatch):
    monkeypatch.setattr("geochg.extras.is_installed", lambda package: False)
    scene, hidden = fetch(without_mask, tmp_path / "a.tif", collection="farm-l2a")
    assert not hidden.any()
    assert any("no cloud mask" in warning for warning in scene.warnings)
