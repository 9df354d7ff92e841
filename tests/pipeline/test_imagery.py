"""Radar goes to the model that was made for it, and pictures do not."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from radar_scenes import f1, in_scale, radar_scene

import geochg
from geochg.errors import InputError, ModelError
from geochg.events import Notice
from geochg.models.base import Capabilities
from geochg.models.registry import find_backend, load_model
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.describe import describe_pair, describe_series
from geochg.pipeline.dialogue import open_dialogue
from geochg.pipeline.imagery import imagery_remarks
from geochg.records import Task
from geochg.tiling.pair import open_pair


@pytest.fixture
def write_pair(make_raster):
    def write_pair(scene, names=(), units=(), **tags):
        paths = []
        for date, values in (("before", scene.before), ("after", scene.after)):
            path = make_raster(f"{date}.tif", values)
            with rasterio.open(path, "r+") as file:
                if names:
                    file.descriptions = names
                if units:
                    file.units = units
                file.update_tags(**tags)
            paths.append(path)
        return paths

    return write_pair


def options(model, **more):
    return AnalyzeOptions(model=model, align=AlignMode.OFF, **more)


def test_radar_is_analysed_by_what_its_file_says(write_pair):
    scene = radar_scene(seed=1)
    paths = write_pair(in_scale(scene, "intensity"), ("VV",), ("intensity",))
    result = geochg.analyze(*paths, options("radar"))
    water = result.features[result.features["class"] == "water"]
    assert set(water["change"]) == {"appeared"}
    with rasterio.open(paths[0]) as file:
        shapes = water.to_crs(file.crs).geometry
        found = rasterio.features.rasterize(shapes, file.shape, transform=file.transform)
    assert f1(found.astype(bool), scene.flooded) > 0.9


def test_a_scale_that_nobody_tells_is_asked_for(write_pair):
    paths = write_pair(radar_scene(size_px=64), ("VV",))
    with pytest.raises(ModelError, match="do not say whether") as error:
        geochg.analyze(*paths, options("radar"))
    assert "--model-option scale=intensity" in error.value.hint
    geochg.analyze(*paths, options("radar", model_options={"scale": "db"}))


@pytest.mark.parametrize(
    ("names", "tags"),
    [(("VV",), {}), (("Gamma0_VH",), {}), ((), {"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW GRD"})],
)
def test_the_built_in_model_refuses_radar_and_names_the_one_for_it(write_pair, names, tags):
    paths = write_pair(radar_scene(size_px=64), names, **tags)
    for ask in (geochg.analyze, open_dialogue):
        with pytest.raises(InputError, match="the imagery is radar") as error:
            ask(*paths, options("builtin"))
        assert "--model radar" in error.value.hint
    description = describe_pair(*paths, options("builtin"))
    assert [remark for remark in description.remarks if remark.refused]


def test_two_polarisations_are_no_picture_and_lead_to_the_model_for_them(write_pair):
    paths = write_pair(radar_scene(polarisations=2, size_px=64), ("VV", "VH"))
    with pytest.raises(InputError, match="red, green and blue") as error:
        geochg.analyze(*paths, options("builtin"))
    assert "--model radar" in error.value.hint


def test_radar_refuses_pictures(make_raster):
    path = make_raster("rgb.tif", np.zeros((3, 64, 64), "uint8") + 9, photometric="RGB")
    with pytest.raises(ModelError, match="named red, green, blue"):
        geochg.analyze(path, path, options("radar"))


def test_bands_without_polarisation_are_left_out_and_that_is_told(write_pair):
    scene = radar_scene(polarisations=2, size_px=96, seed=2)
    scene = type(scene)(
        *(np.concatenate((d, np.full_like(d[:1], 30))) for d in (scene.before, scene.after)),
        scene.flooded,
    )
    paths = write_pair(scene, ("VV", "VH", "angle"), ("dB", "dB", "degree"))
    told = []
    geochg.analyze(*paths, options("radar"), listener=told.append)
    messages = [event.message for event in told if isinstance(event, Notice)]
    assert any("left out: angle" in message for message in messages)


@pytest.mark.parametrize(
    ("bands", "radar", "treatment"),
    [("rgb", None, "doubtful"), ("all", None, "taken"), ("rgb", "refused", "refused")],
)
def test_models_that_say_nothing_of_radar_doubt_it_where_they_see_pictures(bands, radar, treatment):
    able = Capabilities(frozenset({Task.LOCATE}), "grid", "display", bands, radar=radar)
    assert able.of_radar == treatment


def test_models_of_pictures_get_a_notice(write_pair):
    paths = write_pair(radar_scene(size_px=64), ("VV",))
    pair = open_pair(*paths)
    able = find_backend("vlm")[0].backend_capabilities
    (remark,) = imagery_remarks(pair, SimpleNamespace(name="vlm", capabilities=able))
    assert "vlm was made for pictures of light" in remark.message
    assert not remark.refused
    assert imagery_remarks(pair, load_model("cva")) == ()


def test_two_polarisations_are_not_compared_with_each_other(make_raster):
    scene = in_scale(radar_scene(size_px=64), "intensity")
    before = make_raster("before.tif", scene.before, names=["VV"])
    after = make_raster("after.tif", scene.after, names=["VH"])
    scaled = options("radar", model_options={"scale": "intensity"})
    with pytest.raises(InputError, match="different polarisations: vv before, vh after"):
        geochg.analyze(before, after, scaled)


def test_a_series_tells_the_remarks_of_each_step(make_raster):
    scene = in_scale(radar_scene(size_px=64), "intensity")
    names = [("a.tif", "VV"), ("b.tif", "VH"), ("c.tif", "VV")]
    tags = [{"TIFFTAG_DATETIME": f"202{year}:06:01 10:00:00"} for year in range(3)]
    images = [
        make_raster(name, scene.before, names=[band], tags=date)
        for (name, band), date in zip(names, tags, strict=True)
    ]
    scaled = options("radar", model_options={"scale": "intensity"})
    remarks = describe_series(images, scaled).remarks
    assert [remark.message for remark in remarks if remark.refused] == [
        "step 1: the dates have different polarisations: vv before, vh after",
        "step 2: the dates have different polarisations: vh before, vv after",
    ]


def test_a_series_tells_what_holds_for_all_its_steps_once(make_raster):
    images = [colors(make_raster, f"202{year}.tif", 2, ("green", "nir")) for year in range(3)]
    remarks = describe_series(images, options("cva", classes=("vegetation", "water"))).remarks
    told = [remark.message for remark in remarks if "cannot tell" in remark.message]
    assert told == ["step 1: cva cannot tell vegetation by the bands green, nir"]


@pytest.mark.parametrize("scale", ["intensity", "amplitude"])
def test_decibels_are_not_taken_for_something_else(write_pair, scale):
    scene = radar_scene(size_px=64)
    paths = write_pair(scene, ("VV_db",))
    with pytest.raises(ModelError, match=f"most values .* below 0, which no {scale} does") as error:
        geochg.analyze(*paths, options("radar", model_options={"scale": scale}))
    assert "scale=db" in error.value.hint


def colors(make_raster, name, count, names=()):
    shades = np.random.default_rng(3).integers(0, 99, (count, 64, 64)).astype("uint8")
    return make_raster(name, shades, names=list(names))


@pytest.mark.parametrize("model", ["irmad", "cva"])
def test_a_model_refuses_classes_that_it_cannot_tell_by_these_bands(make_raster, model):
    path = colors(make_raster, "a.tif", 3)
    with pytest.raises(InputError, match="cannot tell water by the bands red, green") as error:
        geochg.analyze(path, path, options(model, classes=("water",)))
    assert "it can tell other" in error.value.hint
    assert "nir=4" in error.value.hint
    description = describe_pair(path, path, options(model, classes=("water",)))
    assert [remark for remark in description.remarks if remark.refused]
    named = options(model, classes=("water",), bands=("red=1", "green=2", "nir=3"))
    assert geochg.analyze(path, path, named).features.empty


def test_a_class_that_cannot_be_told_is_told_where_others_can(make_raster):
    path = colors(make_raster, "a.tif", 2, ("green", "nir"))
    told = []
    wanted = options("cva", classes=("vegetation", "water"))
    geochg.analyze(path, path, wanted, listener=told.append)
    warnings = [event.message for event in told if isinstance(event, Notice) and event.warning]
    assert any("cannot tell vegetation by the bands green, nir" in text for text in warnings)
    assert not any("water by the bands" in text for text in warnings)
