"""Clouds predicted by the models of ukis-csmask, on our ONNX Runtime."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from geochg.errors import InputError, ModelError
from geochg.extras import MissingExtraError
from geochg.stac import cloud_model
from geochg.stac.cloud_masks import CLEAR, CLOUD, NO_DATA, SHADOW
from geochg.stac.cloud_model import CloudModel, model_bands

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")


class BrightIsCloud:
    """Stands for a session: a pixel is a cloud where its first band is above 0, nothing else."""

    def __init__(self):
        self.windows = []

    def get_inputs(self):
        return [SimpleNamespace(name="input")]

    def run(self, _, inputs):
        (tile,) = inputs.values()
        assert tile.shape == (1, 4, 256, 256)
        assert tile.dtype == np.float32
        self.windows.append(tile.shape)
        bright = tile[:, 0] > 0
        return [np.stack([~bright, bright, np.zeros_like(bright)], axis=1).astype(np.float32)]


def stood_in():
    mean, deviation = np.full((4, 1, 1), 0.5, np.float32), np.ones((4, 1, 1), np.float32)
    return CloudModel("stand-in", BANDS[:4], mean, deviation, BrightIsCloud())


def scene(blue):
    return dict.fromkeys(BANDS[:4], blue)


@pytest.mark.parametrize("shape", [(1, 1), (40, 300), (256, 256), (257, 449), (700, 513)])
def test_every_pixel_gets_the_answer_of_its_own_window(shape):
    blue = np.random.default_rng(7).random(shape, dtype=np.float32)
    mask = stood_in().classes(scene(blue), np.ones(shape, bool), 24)
    assert (mask == np.where(blue > 0.5, CLOUD, CLEAR)).all()


def test_cores_cover_a_side_once_and_keep_off_inner_edges():
    for length in range(256, 1300, 7):
        spans = cloud_model._spans(length)
        covered = [pixel for _, (start, stop) in spans for pixel in range(start, stop)]
        assert covered == list(range(length))
        for window, (start, stop) in spans:
            assert 0 <= window <= length - 256
            assert start == 0 or start - window >= 32
            assert stop == length or window + 256 - stop >= 32


def test_fine_pixels_are_averaged_over_what_is_valid():
    blue = np.zeros((10, 8), np.float32)
    blue[:3, :3], blue[3:6, 3:6] = 1, 0.4
    valid = np.ones((10, 8), bool)
    blue[0, 0], valid[0, 0] = 1e9, False
    blue[6:9, :3], valid[6:9, :3] = 0, False
    blue[8, 2], valid[8, 2] = 0.9, True
    mask = stood_in().classes(scene(blue), valid, 10)
    expected = np.full((10, 8), CLEAR)
    expected[:3, :3] = expected[8, 2] = CLOUD
    expected[~valid] = NO_DATA
    assert (mask == expected).all()


@pytest.mark.parametrize(
    ("pixel_m", "side_px"), [(5, 6), (9.98, 3), (10.02, 3), (20, 2), (24, 1), (30, 1), (44, 1)]
)
def test_pixels_are_averaged_to_about_thirty_metres(pixel_m, side_px):
    blue = np.zeros((12, 12), np.float32)
    blue[0, 0] = 1
    blue[:, 6:] = 0.6
    mask = stood_in().classes(scene(blue), np.ones((12, 12), bool), pixel_m)
    assert (mask[:, 6:] == CLOUD).all()
    assert (mask[0, 0] == CLOUD) == (side_px == 1)


def test_coarse_pixels_are_repeated():
    blue = np.random.default_rng(3).random((150, 140), dtype=np.float32)
    model = stood_in()
    mask = model.classes(scene(blue), np.ones(blue.shape, bool), 60)
    assert (mask == np.where(blue > 0.5, CLOUD, CLEAR)).all()
    assert len(model.session.windows) == 4


def test_what_is_no_number_is_not_measured():
    blue = np.full((5, 5), 0.9, np.float32)
    blue[2, 2] = np.nan
    assert stood_in().classes(scene(blue), np.ones((5, 5), bool), 30)[2, 2] == NO_DATA
    assert (stood_in().classes(scene(blue), np.zeros((5, 5), bool), 30) == NO_DATA).all()


def test_digital_numbers_are_refused():
    with pytest.raises(InputError, match="no reflectance"):
        stood_in().classes(scene(np.full((5, 5), 900.0)), np.ones((5, 5), bool), 30)


@pytest.mark.parametrize("pixel_m", [0, 250, float("nan")])
def test_pixels_too_coarse_are_refused(pixel_m):
    with pytest.raises(InputError, match="clouds cannot be told in pixels"):
        stood_in().classes(scene(np.zeros((5, 5))), np.ones((5, 5), bool), pixel_m)


def test_six_bands_go_before_four():
    assert model_bands(["NIR08", "red", "green", "blue", "rededge"]) == BANDS[:4]
    assert model_bands(["swir22", "swir16", "nir", "red", "green", "blue"]) == BANDS
    assert model_bands([*BANDS[:4], "swir16"]) == BANDS[:4]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["red", "green", "blue"], "near infrared"),
        ([], "blue and green and red"),
        (["nir"], "blue"),
    ],
)
def test_without_near_infrared_there_is_one_line(names, missing):
    with pytest.raises(InputError, match=f"without {missing}") as refusal:
        CloudModel.open(names)
    assert "\n" not in refusal.value.message


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("geochg.extras.is_installed", lambda package: False)
    with pytest.raises(MissingExtraError, match=r"geochg\[clouds\]"):
        CloudModel.open(BANDS)


def test_files_that_are_no_models_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(cloud_model, "_package_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="no card"):
        CloudModel.open(BANDS)
    (tmp_path / "model_6b_l2a.json").write_text('{"data": {"dataset_statistics": []}}')
    with pytest.raises(ModelError, match="no card"):
        CloudModel.open(BANDS)


def cold_springs():
    """A Landsat 8 scene of 7 July 2016 (USGS, public domain): reflectance, 30 m."""
    with rasterio.open(Path(__file__).with_name("cold_springs.tif")) as dataset:
        values = dataset.read() / np.float32(250)
        return dict(zip(dataset.descriptions, values, strict=True))


@pytest.mark.parametrize("count", [4, 6])
def test_a_cloud_and_its_shadow_are_told_from_ground_and_lake(count):
    bands = cold_springs()
    bands = {name: bands[name] for name in BANDS[:count]}
    # In another order than the model's.
    model = CloudModel.open(list(bands)[::-1])
    assert model.name.startswith("ukis-csmask 1.")
    mask = model.classes(bands, np.ones((130, 160), bool), 30)
    assert (mask[80:100, 140:155] == CLOUD).all()
    assert (mask[40:60, 80:105] == SHADOW).all()
    assert (mask[105:112, 5:25] == CLEAR).all()  # the lake is dark, too
    assert (mask[5:35, 5:45] == CLEAR).all()
    assert 0.1 < (mask == CLOUD).mean() < 0.2
